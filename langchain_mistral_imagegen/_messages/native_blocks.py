"""Native content blocks: what an entry or chunk looks like in a message of this package.

They keep Mistral's types and field names. Entries and chunks come here `redacted`, without signed URLs. Whether
an answer is streamed or not, its blocks are made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk

from langchain_mistral_imagegen._messages.tool_names import ToolNames
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
from langchain_mistral_imagegen._protocol.signed_urls import image_tool_failed
from langchain_mistral_imagegen.errors import InvalidResponseError

MODEL_PROVIDER = "mistralai_conversations"
"""`response_metadata["model_provider"]` of this package's answers, by which LangChain finds the translator."""

Block: TypeAlias = dict[str, Any]
"""A content block of a LangChain message, native or standard."""

MOST_BLOCKS = 2_000
"""Blocks, and entries, of one answer; the largest seen have dozens, and LangChain merges them in quadratic time."""
MOST_PIECES = 1_000_000
"""Message chunks of one answer: a token each, of which models write some hundred thousand at most."""


def too_large(most: int, what: str) -> InvalidResponseError:
    """Make the error of an answer that is not what a model writes, before it takes more memory."""
    return InvalidResponseError(f"The answer has more than {most:,} {what}, so it is not read any further")


def entry_blocks(entry: Wire) -> Iterator[Block]:
    """Yield the blocks of an entry; a `function.call` has none unless it waits: it becomes a tool call."""
    match entry:
        case FunctionCallEntry():
            if entry.is_pending:
                yield pending_call_block(entry, entry.arguments)
        case MessageOutputEntry(content=str(text)):
            if text:
                yield text_block(text, entry.id)
        case MessageOutputEntry(content=list(chunks)):
            filled = (chunk for chunk in chunks if not (isinstance(chunk, TextChunk) and not chunk.text))
            yield from (chunk_block(chunk, entry.id) for chunk in filled)
        case ToolExecutionEntry():
            yield tool_call_block(entry) | tool_result_block(entry)
        case AgentHandoffEntry():
            yield handoff_block(entry)
        case _:
            yield unknown_block(entry.raw if isinstance(entry, Unknown) else entry.as_sent())


def placed(block: Block, index: int, text_index: int | None) -> Block:
    """Give a block its index in the message, and a source the index of the text that cites it."""
    cites = {"cites": text_index} if block["type"] == "tool_reference" and text_index is not None else {}
    return {**block, **cites, "index": index}


def text_block(text: str, entry_id: str) -> Block:
    """Make a block of text."""
    return {"type": "text", "text": text, "id": entry_id} if entry_id else {"type": "text", "text": text}


def thinking_block(text: str, signature: str | None, references: list[Block]) -> Block:
    """Make a block of reasoning."""
    given = {"signature": signature, "references": references}
    return {"type": "thinking", "thinking": text} | {name: value for name, value in given.items() if value}


def chunk_block(chunk: Wire, entry_id: str) -> Block:
    """Make a block of a complete chunk."""
    match chunk:
        case TextChunk():
            return text_block(chunk.text, entry_id)
        case ThinkChunk():
            return thinking_block(chunk.text, chunk.signature, chunk.references)
        case Unknown():
            return unknown_block(chunk.raw)
        case _:
            return chunk.as_sent()


def tool_call_block(
    tool: ToolExecutionEntry | ToolExecutionStartedEvent | ToolExecutionDeltaEvent,
) -> Block:
    """Make the part of a `tool.execution` block that is known when the server starts the tool."""
    ran = tool.function or (tool.name if tool.name != tool.tool else None)
    function = {"function": ran} if ran else {}
    return {"type": "tool.execution", "id": tool.id, "name": tool.tool, "arguments": tool.arguments} | function


def tool_result_block(tool: ToolExecutionEntry | ToolExecutionDoneEvent) -> Block:
    """Make the part of a `tool.execution` block that holds its result."""
    info = tool.info or {}
    status = "error" if image_tool_failed(tool.tool, info) else "success"
    return {"type": "tool.execution", "id": tool.id, "tool": tool.tool, "info": info, "status": status}


def handoff_block(
    handoff: AgentHandoffEntry | AgentHandoffStartedEvent | AgentHandoffDoneEvent,
) -> Block:
    """Make a block of a handoff, or of one of its two events."""
    names = ("previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name")
    given = {name: getattr(handoff, name, None) for name in ("id", *names)}
    return {"type": "agent.handoff"} | {name: value for name, value in given.items() if value}


def pending_call_block(call: FunctionCallEntry | FunctionCallEvent, arguments: str) -> Block:
    """Make a block of a call that waits to be allowed or denied; nobody may run it yet."""
    status = {"confirmation_status": call.confirmation_status}
    return {"type": "function.call", "id": call.tool_call_id, "name": call.name, "arguments": arguments} | status


def unknown_block(raw: Any) -> Block:
    """Make a block of something unknown, as it was sent."""
    return {"type": "non_standard", "value": raw}


def function_call_chunk(
    call: FunctionCallEntry | FunctionCallEvent, names: ToolNames, arguments: str, index: int
) -> ToolCallChunk:
    """Make LangChain's tool call chunk of a function call, which has its own name again."""
    return tool_call_chunk(name=names.own(call.name), args=arguments, id=call.tool_call_id, index=index)
