"""The steps that an answer is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SendText:
    """Answer with a text."""

    text: str


@dataclass(frozen=True)
class DrawImage:
    """Run the image tool."""

    prompt: str


@dataclass(frozen=True)
class Search:
    """Run a web search."""

    tool: str
    query: str


@dataclass(frozen=True)
class CallFunction:
    """Ask the client to run a function."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class HandOver:
    """Pass the conversation to another agent."""

    agent_id: str


Step = SendText | DrawImage | Search | CallFunction | HandOver
