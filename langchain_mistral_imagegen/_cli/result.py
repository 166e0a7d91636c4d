"""`Result`: the one JSON object that `--json` prints, for a prompt, a conversation, a recorded run or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from langchain_mistral_imagegen.images import ImageRef

Outcome = Literal[
    "stored", "text", "failed", "unfinished", "skipped", "no_image_before", "not_sent", "shown", "recorded"
]
_RECORD_ONLY = {"status"}  # the outcome is more precise


class ResultImage(ImageRef):
    """An image of a result."""

    path: NotRequired[str]
    """Where it is stored: a path, or a URL of the image store."""


class Result(TypedDict):
    """What a line of `--json` holds. `result.schema.json` describes the fields."""

    schema_version: Literal[1]
    outcome: Outcome
    images: list[ResultImage]
    id: NotRequired[str]
    prompt: NotRequired[str]
    time: NotRequired[str]
    key: NotRequired[str]
    conversation_id: NotRequired[str]
    model_name: NotRequired[str]
    agent_id: NotRequired[str]
    text: NotRequired[str]
    markdown: NotRequired[str]
    usage: NotRequired[dict[str, Any]]
    connectors: NotRequired[dict[str, int]]
    sandbox: NotRequired[bool]
    error: NotRequired[str]
    rescue: NotRequired[str]
    entries: NotRequired[list[dict[str, Any]]]
    file: NotRequired[dict[str, Any]]


def result(outcome: Outcome, facts: Mapping[str, Any]) -> Result:
    """Make a result of what is known; facts that are `None` are left out."""
    known = {name: fact for name, fact in facts.items() if fact is not None and name not in _RECORD_ONLY}
    return cast("Result", {"schema_version": 1, "outcome": outcome, "images": [], **known})
