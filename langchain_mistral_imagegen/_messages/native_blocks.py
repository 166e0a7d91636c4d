"""Native content blocks: what an entry or chunk looks like in a message of this package, without signed URLs.

They keep Mistral's types and field names. Whether an answer is streamed or not, its blocks are made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_mistral_imagegen._protocol.entries import (
    AgentHandoffEntry,
    FunctionCallEntry,
    MessageOutputEntry,
    TextChunk,
    ThinkChunk,
    ToolExecutionEntry,
    Unknown,
    Wire,
)
from langchain_mistral_imagegen._protocol.events import (
    AgentHandoffDoneEvent,
    AgentHandoffStartedEvent,
    FunctionCallEvent,
    ToolExecutionDeltaEvent,
    ToolExecutionDoneEvent,
    ToolExecutionStartedEvent,
)
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls, image_tool_failed

MODEL_PROVIDER = "mistralai_conversations"
"""`response_metadata["model_provider"]` of this package's answers, by which LangChain finds the translator."""

Block: TypeAlias = dict[str, Any]
"""A content block of a LangChain message, native or standard."""


def entry_blocks(entry: Wire, urls: SignedUrls) -> Iterator[Block]:
    """Yield the blocks of an entry; a `function.call` has none unless it waits: it becomes a tool call."""
    match entry:
        case FunctionCallEntry():
            if entry.is_pending:
                yield pending_call_block(entry, urls.redact(entry.arguments, entry.id))
        case MessageOutputEntry(content=str(text)):
            if text:
                yield text_block(urls.redact(text, entry.id), entry.id)
        case MessageOutputEntry(content=list(chunks)):
            said = (chunk for chunk in chunks if not (isinstance(chunk, TextChunk) and not chunk.text))
            yield from (chunk_block(chunk, urls, entry.id) for chunk in said)
        case ToolExecutionEntry():
            yield tool_call_block(entry, urls) | tool_result_block(entry, urls)
        case AgentHandoffEntry():
            yield handoff_block(entry)
        case _:
            raw = entry.raw if isinstance(entry, Unknown) else entry.as_sent()
            yield unknown_block(raw, urls)


def placed(block: Block, index: int, text_index: int | None) -> Block:
    """Give a block its index in the message, and a source the index of the text that cites it."""
    cites = {"cites": text_index} if block["type"] == "tool_reference" and text_index is not None else {}
    return {**block, **cites, "index": index}


def text_block(text: str, entry_id: str) -> Block:
    """Make a block of text."""
    return {"type": "text", "text": text} | ({"id": entry_id} if entry_id else {})


def thinking_block(text: str, chunk: ThinkChunk, urls: SignedUrls, entry_id: str) -> Block:
    """Make a block of reasoning, of which the text is given as it may be told."""
    told = {"signature": chunk.signature, "references": urls.redact(chunk.references, entry_id)}
    return {"type": "thinking", "thinking": text} | {name: value for name, value in told.items() if value}


def chunk_block(chunk: Wire, urls: SignedUrls, entry_id: str) -> Block:
    """Make a block of a complete chunk."""
    match chunk:
        case TextChunk():
            return text_block(urls.redact(chunk.text, entry_id), entry_id)
        case ThinkChunk():
            return thinking_block(urls.redact(chunk.text, entry_id), chunk, urls, entry_id)
        case Unknown():
            return unknown_block(chunk.raw, urls, entry_id)
        case _:
            block: Block = urls.redact(chunk.as_sent(), entry_id)
            return block


def tool_call_block(
    tool: ToolExecutionEntry | ToolExecutionStartedEvent | ToolExecutionDeltaEvent,
    urls: SignedUrls,
) -> Block:
    """Make the part of a `tool.execution` block that is known when the server starts the tool."""
    function = {"function": tool.function} if tool.function else {}
    arguments = urls.redact(tool.arguments, tool.id)
    return {"type": "tool.execution", "id": tool.id, "name": tool.name, "arguments": arguments} | function


def tool_result_block(tool: ToolExecutionEntry | ToolExecutionDoneEvent, urls: SignedUrls) -> Block:
    """Make the part of a `tool.execution` block that tells how it ended."""
    info = urls.redact(tool.info or {}, tool.id)
    status = "error" if image_tool_failed(tool.name, info) else "success"
    return {"type": "tool.execution", "id": tool.id, "tool": tool.name, "info": info, "status": status}


def handoff_block(
    handoff: AgentHandoffEntry | AgentHandoffStartedEvent | AgentHandoffDoneEvent,
) -> Block:
    """Make a block of a handoff, or of what one of its two events tells."""
    names = ("previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name")
    told = {name: getattr(handoff, name, None) for name in ("id", *names)}
    return {"type": "agent.handoff"} | {name: value for name, value in told.items() if value}


def pending_call_block(call: FunctionCallEntry | FunctionCallEvent, arguments: str) -> Block:
    """Make a block of a call that waits to be allowed or denied; it is not yet anybody's to run."""
    status = {"confirmation_status": call.confirmation_status}
    return {"type": "function.call", "id": call.tool_call_id, "name": call.name, "arguments": arguments} | status


def unknown_block(raw: Any, urls: SignedUrls, entry_id: str = "unknown") -> Block:
    """Make a block of something unknown, as it was sent."""
    return {"type": "non_standard", "value": urls.redact(raw, entry_id)}


def function_call_chunk(call: FunctionCallEntry | FunctionCallEvent, arguments: str, index: int) -> ToolCallChunk:
    """Make LangChain's tool call chunk of a function call."""
    return tool_call_chunk(name=call.name, args=arguments, id=call.tool_call_id, index=index)
