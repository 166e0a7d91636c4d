"""A conversation as text: a paragraph per entry, with the images in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_mistral_imagegen._conversations.history import exchanges
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._messages.native_blocks import entry_blocks
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen._protocol.entries import (
    ConversationResponse,
    FunctionCallEntry,
    FunctionResultEntry,
    MessageInputEntry,
    MessageOutputEntry,
    ToolExecutionEntry,
    Wire,
)
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.images import ImageRef


def paragraphs(entries: Sequence[Wire]) -> Iterator[str]:
    """Yield a paragraph for each entry; the entries are `redacted`."""
    for entry in entries:
        author = one_line(_author(entry))
        texts = [text for block in _blocks(entry) if (text := _text(block))]
        lines = [line for line in "\n".join(texts).splitlines() if line.strip()]
        yield "\n  ".join([f"{author}: {lines[0]}", *lines[1:]] if lines else [author])


def conversation_images(conversation_id: str, entries: Sequence[Wire]) -> list[ImageRef]:
    """Find the images of a conversation, answer by answer; the entries are `redacted`."""
    answers = [one for one in exchanges(conversation_id, entries) if isinstance(one, ConversationResponse)]
    return images_of([to_message(answer, AnswerContext(model="", urls=SignedUrls())) for answer in answers])


def _author(entry: Wire) -> str:
    match entry:
        case MessageInputEntry():
            return entry.role
        case MessageOutputEntry():
            return entry.agent_id or entry.model or "assistant"
        case ToolExecutionEntry() | FunctionCallEntry():
            return f"{entry.name}({entry.arguments})"
        case FunctionResultEntry():
            return "result"
        case _:
            return str(getattr(entry, "type", "unknown"))


def _blocks(entry: Wire) -> Iterator[dict[str, Any]]:
    match entry:
        case MessageInputEntry():
            as_output = MessageOutputEntry(type="message.output", id=entry.id, content=entry.content)
            yield from entry_blocks(as_output)
        case FunctionResultEntry():
            yield {"type": "text", "text": entry.result}
        case _:
            yield from entry_blocks(entry)


def _text(block: dict[str, Any]) -> str:
    render = _TEXTS.get(block["type"])
    text = render(block) if render else f"[{block['type']}]"
    return text if block["type"] in {"text", "thinking"} else one_line(text)


def _short(url: Any) -> str:
    text = str(url.get("url") if isinstance(url, dict) else url)
    return f"{text[:60]}..." if text.startswith("data:") else text


_TEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "text": lambda block: str(block["text"]),
    "thinking": lambda block: f"(thinking: {block['thinking']})",
    "tool_file": lambda block: f"[{block.get('file_name', 'file')}: {block['file_id']}]",
    "tool.execution": lambda block: str(block["info"].get("result") or "") if block["status"] == "error" else "",
    "agent.handoff": lambda block: f"{block.get('previous_agent_name')} hands over to {block.get('next_agent_name')}",
    "function.call": lambda _: "(waiting for confirmation)",
    "image_url": lambda block: f"[image: {_short(block['image_url'])}]",
    "tool_reference": lambda block: f"[source: {block.get('title')}, {block.get('url')}]",
}
