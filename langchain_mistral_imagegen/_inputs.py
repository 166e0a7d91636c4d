"""LangChain messages to Mistral's input entries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

Entry = dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    """What messages say to a conversation.

    Attributes:
        instructions: All system messages, in their order, joined by blank lines.
        entries: The others.
    """

    instructions: str
    entries: list[Entry]

    def as_entries(self) -> list[Entry]:
        """Return everything as entries, for requests that take no instructions: they become a user message."""
        spoken = [_message("user", self.instructions)] if self.instructions else []
        return spoken + self.entries


def to_inputs(messages: Sequence[BaseMessage]) -> Inputs:
    """Convert messages.

    Raises:
        ValueError: If there is nothing to send, or a message holds a block that the API cannot take.
    """
    instructions = "\n\n".join(m.text for m in messages if isinstance(m, SystemMessage) and m.text)
    entries = [entry for message in messages for entry in _entries(message)]
    if not entries and not instructions:
        raise ValueError("There is no message to send: pass a prompt, or a list with at least one message")
    return Inputs(instructions, entries)


def _entries(message: BaseMessage) -> Iterable[Entry]:
    match message:
        case SystemMessage():
            return []
        case AIMessage():
            said = [_message("assistant", message.text)] if message.text else []
            return said + [_function_call(call) for call in message.tool_calls]
        case ToolMessage():
            return [{"type": "function.result", "tool_call_id": message.tool_call_id, "result": message.text}]
        case HumanMessage(content=str(text)):
            return [_message("user", text)]
        case _:
            role = "assistant" if message.type == "assistant" else "user"
            return [_message(role, [_chunk(block) for block in message.content])]


def _message(role: str, content: Any) -> Entry:
    return {"object": "entry", "type": "message.input", "role": role, "content": content}


def _function_call(call: Any) -> Entry:
    arguments = json.dumps(call["args"], ensure_ascii=False)
    return {"type": "function.call", "tool_call_id": call["id"], "name": call["name"], "arguments": arguments}


def _chunk(block: str | dict[str, Any]) -> dict[str, Any]:
    match block:
        case str(text) | {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image_url", "image_url": image}:
            return {"type": "image_url", "image_url": image}
        case {"type": "image", "file_id": str(file_id)}:
            return {"type": "tool_file", "tool": "image_generation", "file_id": file_id}
        case {"type": "image"}:
            return {"type": "image_url", "image_url": _url(block, "image/jpeg")}
        case {"type": "file", "url": _} | {"type": "file", "base64": _}:
            return {"type": "document_url", "document_url": _url(block, "application/pdf")}
        case {"type": "tool_file" | "document_url"}:
            return block
    kind = block.get("type") if isinstance(block, dict) else type(block).__name__
    raise ValueError(
        f"A message holds a block of type {kind!r}, which Mistral's conversations do not take; use text or image"
    )


def _url(block: dict[str, Any], mime_type: str) -> str:
    if block.get("url"):
        return str(block["url"])
    if block.get("base64"):
        return f"data:{block.get('mime_type', mime_type)};base64,{block['base64']}"
    raise ValueError(f"A {block['type']!r} block needs 'url', 'base64' or 'file_id'; it has {sorted(block)}")
