"""Messages in every form that LangChain takes, as messages: one conversion for all that takes messages.

Programs that talk to a LangGraph server have messages as dicts, as `message.model_dump()` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, MessageLikeRepresentation
from langchain_core.messages import convert_to_messages as converted

from langchain_mistral_imagegen.errors import InvalidInputError

MessageLike: TypeAlias = MessageLikeRepresentation | Mapping[str, Any]
"""A message, or what LangChain converts to one: a dict, a tuple of role and text, a text."""
_PAIR = 2


def as_messages(given: MessageLike | Iterable[MessageLike]) -> list[BaseMessage]:
    """Convert a message, or several, to messages; those that are messages are returned as they are.

    Raises:
        InvalidInputError: If one cannot be converted.
    """
    many: Iterable[Any] = [given] if is_message(given) else given
    return [one if isinstance(one, BaseMessage) else _message(one) for one in many]


def is_message(given: Any) -> bool:
    """Return whether a value is one message, in any form, and neither several messages nor a graph's state."""
    if isinstance(given, Mapping):
        return given.get("lc") == 1 or ("content" in given and not given.keys().isdisjoint({"role", "type"}))
    is_pair = isinstance(given, tuple) and len(given) == _PAIR and isinstance(given[0], str)
    return isinstance(given, BaseMessage | str) or is_pair


def _message(given: Any) -> BaseMessage:
    fields = dict(given) if isinstance(given, Mapping) else None
    try:
        if fields and fields.get("type") == "AIMessageChunk":  # which LangChain does not convert
            return AIMessageChunk(**fields)
        return _restored(converted([fields or given])[0])
    except (ValueError, NotImplementedError, TypeError):
        # LangChain's error shows the message, and in it the bytes of images.
        what = (
            f"A dict with the keys {sorted(map(str, fields))}" if fields else f"A value of type {type(given).__name__}"
        )
        raise InvalidInputError(
            f"{what} is no message; pass LangChain's messages, or dicts with 'role' (or 'type') and 'content'"
        ) from None


def _restored(message: BaseMessage) -> BaseMessage:
    """Return an answer with the fields that LangChain's conversion leaves among `additional_kwargs`."""
    others = dict(message.additional_kwargs)
    fields = {name: others.pop(name) for name in ("usage_metadata", "invalid_tool_calls") if name in others}
    if not isinstance(message, AIMessage) or not fields:
        return message
    known = {name: value for name, value in fields.items() if value}
    return message.model_copy(update={**known, "additional_kwargs": others})
