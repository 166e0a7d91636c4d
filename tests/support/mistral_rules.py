"""Mistral's own validators (`mistral-common`) over what this package sends.

They know chat completions, so what conversations send is converted first; removed is what they have no type for: images,
files and documents in messages, reasoning, and built-in tools.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import (
    MistralRequestValidatorV3,
    MistralRequestValidatorV13,
    ValidationMode,
)

VALIDATORS = [kind(ValidationMode.serving) for kind in (MistralRequestValidatorV3, MistralRequestValidatorV13)]


def check_messages(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> None:
    """Check roles, their order, tool calls and results, ids and names.

    Raises:
        MistralCommonException: If Mistral's validator refuses them.
    """
    functions = [tool for tool in tools if tool["type"] == "function"]
    request = {"messages": [_textual(message) for message in messages], "tools": functions or None, "model": "m"}
    for validator in VALIDATORS:
        validator.validate_request(ChatCompletionRequest.from_openai(**request))


def _textual(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(chunk.get("text", "(attached)") for chunk in content if isinstance(chunk, dict))
    return {**message, "content": content or ("" if message.get("tool_calls") else "(empty)")}


def check_request(path: str, body: dict[str, Any]) -> None:
    """Check a request to chat completions, or one that starts a conversation; others hold a part of a history."""
    if path == "/v1/chat/completions":
        check_messages(body["messages"], body.get("tools") or [])
    elif path == "/v1/conversations" and isinstance(body.get("inputs"), list):
        check_messages(list(_converted(body["inputs"])), body.get("tools") or [])


def _converted(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    calls: list[dict[str, Any]] = []
    for entry in entries:
        kind = entry.get("type", "message.input")  # as in `{"role": "user", "content": "..."}`
        if kind == "function.call":
            function = {"name": entry["name"], "arguments": entry["arguments"]}
            calls.append({"id": entry["tool_call_id"], "type": "function", "function": function})
            continue
        if calls:
            yield {"role": "assistant", "content": "", "tool_calls": calls}
            calls = []
        if kind == "function.result":
            yield {"role": "tool", "tool_call_id": entry["tool_call_id"], "content": entry["result"]}
        else:
            yield {"role": entry.get("role", "assistant"), "content": entry["content"]}
