"""Which errors the calling model reads, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen.errors import (
    APIError,
    AuthenticationError,
    InvalidInputError,
    MissingAPIKeyError,
    NoImageError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
)

Reaction = Literal["tell_model", "raise"]
ErrorKind = Literal["refusal", "guardrail", "quota", "key", "input", "other"]
OnError: TypeAlias = Reaction | dict[ErrorKind, Reaction] | None

DEFAULTS: Mapping[ErrorKind, Reaction] = MappingProxyType(
    {
        "refusal": "tell_model",
        "guardrail": "tell_model",
        "quota": "tell_model",
        "key": "raise",
        "input": "tell_model",
        "other": "raise",
    }
)
_KINDS: Mapping[type[Exception], ErrorKind] = MappingProxyType(
    {
        NoImageError: "refusal",
        PermissionDeniedError: "guardrail",
        RateLimitError: "quota",
        AuthenticationError: "key",
        MissingAPIKeyError: "key",
        InvalidInputError: "input",
    }
)


def is_for_model(error: Exception, on_error: OnError) -> bool:
    """Return whether the calling model reads an error, instead of the program."""
    if isinstance(on_error, str):
        return on_error == "tell_model"
    kind: ErrorKind = next((kind for cls, kind in _KINDS.items() if isinstance(error, cls)), "other")
    return {**DEFAULTS, **(on_error or {})}[kind] == "tell_model"


def text_for_model(error: Exception) -> str:
    """Return what the calling model reads about an error, with what it can do."""
    if isinstance(error, NoImageError):
        return str(error)
    remedy = ""
    if isinstance(error, QuotaExceededError):
        remedy = " The quota of the day is used up: do not try again today, and tell the user."
    elif isinstance(error, RateLimitError):
        remedy = f" Try again {_when(error)}, or tell the user."
    elif isinstance(error, PermissionDeniedError):
        remedy = " If the content was refused, change the prompt; do not repeat it unchanged."
    return f"No image was generated: {error}.{remedy}"


def _when(error: APIError) -> str:
    return f"in {error.retry_after:.0f} seconds" if error.retry_after else "in a minute"


def why_no_image(answer: AIMessage) -> str:
    """Return the message for an answer without an image, with the reason that the server gave."""
    blocks = [block for block in answer.content if isinstance(block, dict)]
    reasons = [str(block["info"].get("result")) for block in blocks if block.get("status") == "error"]
    why = f" The image tool reported: {'; '.join(reasons)}" if reasons else ""
    return f"No image was generated.{why} The image model answered: {answer.text or '(nothing)'}"
