"""`Question`: one thing that the documentation leaves open; `Finding`: what the API answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_mistral_imagegen._contact.visit import Visit
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen.errors import MistralImagegenError


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to a question.

    Attributes:
        answer: In words.
        fits: Whether it is what the package assumes; `None` if the question stays open.
        evidence: What the server sent, as an outline without values that could be secrets; JSON.
    """

    answer: str
    fits: bool | None
    evidence: Any = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question to the API.

    Attributes:
        name: Short, unique, for `--json`.
        text: The question.
        assumes: What the package assumes.
        otherwise: What it means for users if the assumption is wrong.
        find: Answers it.
        applies: Whether it makes sense to ask.
    """

    name: str
    text: str
    assumes: str
    otherwise: str
    find: Callable[[Visit], Flow[Finding]]
    applies: Callable[[Visit], bool] = lambda _: True


def ask(question: Question, visit: Visit) -> Flow[Finding]:
    """Ask a question; an error of the API leaves it open, and is the answer."""
    try:
        return (yield from question.find(visit))
    except MistralImagegenError as error:
        return Finding(answer=f"{type(error).__name__}: {error}", fits=None)
