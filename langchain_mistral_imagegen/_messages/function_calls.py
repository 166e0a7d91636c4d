"""Function calls of an answer, from their pieces, with their arguments parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from langchain_core.messages import AIMessageChunk, InvalidToolCall, ToolCall, ToolCallChunk
from langchain_core.messages.tool import invalid_tool_call

from langchain_mistral_imagegen._protocol.entries import read_json

_SPACES = re.compile(r"\s+")
_MOST_SPACES = 1000  # characters in a row
Calls: TypeAlias = tuple[list[ToolCall], list[InvalidToolCall]]


def parse_calls(pieces: Iterable[ToolCallChunk]) -> Calls:
    """Join the pieces of calls by their index, and parse the arguments as LangChain does at the end of a stream.

    Returns:
        The calls, and those whose arguments are no JSON object.
    """
    calls, refused = list[ToolCallChunk](), list[InvalidToolCall]()
    for call in _joined(pieces):
        if _is_slow(call["args"] or ""):
            refused.append(invalid_tool_call(name=call["name"], args=call["args"], id=call["id"]))
        else:
            calls.append(call)
    # Parsed by the class that parses them in a stream, so that malformed arguments end up the same way.
    parsed = AIMessageChunk(content="", tool_call_chunks=calls) if calls else None
    return (parsed.tool_calls, [*parsed.invalid_tool_calls, *refused]) if parsed else ([], refused)


def _joined(pieces: Iterable[ToolCallChunk]) -> list[ToolCallChunk]:
    calls: dict[int | None, ToolCallChunk] = {}
    arguments: dict[int | None, list[str]] = {}
    for piece in pieces:
        calls.setdefault(piece["index"], piece)
        arguments.setdefault(piece["index"], []).append(piece["args"] or "")
    return [{**call, "args": "".join(arguments[index])} for index, call in calls.items()]


def _is_slow(arguments: str) -> bool:
    """Return whether LangChain would take quadratic time to repair arguments, which it does for long white space."""
    if max(map(len, _SPACES.findall(arguments)), default=0) < _MOST_SPACES:
        return False
    try:
        read_json(arguments)
    except ValueError:
        return True
    return False
