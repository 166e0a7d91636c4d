"""A conversation that Mistral has kept, as messages: in another process, by its id, to look at or to go on with."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._messages.native_blocks import chunk_block
from langchain_mistral_imagegen._protocol.entries import (
    ConversationResponse,
    FunctionResultEntry,
    MessageInputEntry,
    Wire,
)
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.resources import Conversation
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import InvalidInputError

_Input: TypeAlias = MessageInputEntry | FunctionResultEntry
_Prepare: TypeAlias = Callable[[Sequence[BaseMessage]], tuple[Turn, AnswerContext]]


def is_input(entry: Wire) -> bool:
    """Tell whether an entry is something that was said to the conversation, and not by it."""
    return isinstance(entry, _Input)


def response_of(conversation_id: str, outputs: Sequence[Any]) -> ConversationResponse:
    """Make the response of a conversation anew from its entries; what it used is not kept."""
    # Not checked again: they are read already.
    return ConversationResponse.model_construct(conversation_id=conversation_id, outputs=list(outputs), usage=None)


def exchanges(conversation_id: str, entries: Iterable[Wire]) -> Iterator[list[_Input] | ConversationResponse]:
    """Yield by turns what was said to a conversation, and its answer."""
    for are_inputs, group in itertools.groupby(entries, is_input):
        alike = list(group)
        yield cast("list[_Input]", alike) if are_inputs else response_of(conversation_id, alike)


def remembered(
    conversation_id: str, prepare: _Prepare, *, instructions: str, context: AnswerContext
) -> Flow[list[BaseMessage]]:
    """Read a conversation as messages.

    Args:
        conversation_id: The conversation.
        prepare: Makes a turn of a history, as the model that reads it would.
        instructions: Those of the model, which no message repeats.
        context: What an answer is told that the model cannot go on from.
    """
    conversation = yield from api.get_conversation(conversation_id)
    entries = (yield from api.conversation_history(conversation_id)).entries
    messages: list[BaseMessage] = list(_system(conversation.instructions or "", instructions))
    for exchange in exchanges(conversation_id, entries):
        if isinstance(exchange, list):
            messages += [_said(entry, context.urls) for entry in exchange]
        else:
            messages.append(to_message(exchange, _context(conversation, messages, prepare, context)))
    return messages


def _system(remote: str, own: str) -> Iterator[SystemMessage]:
    """Yield the system prompt, less what the model adds to each history by itself."""
    text = (remote + "\n\n").removeprefix(own + "\n\n").removesuffix("\n\n")
    if text:
        yield SystemMessage(text)


def _said(entry: _Input, urls: SignedUrls) -> BaseMessage:
    if isinstance(entry, FunctionResultEntry):
        result = urls.redact(entry.result, entry.id)
        return ToolMessage(result, tool_call_id=entry.tool_call_id, id=entry.id or None)
    kind = AIMessage if entry.role == "assistant" else HumanMessage
    return kind(content=_content(entry, urls), id=entry.id or None)


def _content(entry: MessageInputEntry, urls: SignedUrls) -> Any:
    if isinstance(entry.content, str):
        return urls.redact(entry.content, entry.id)
    return [chunk_block(chunk, urls, entry.id) for chunk in entry.content]


def _context(
    conversation: Conversation, messages: Sequence[BaseMessage], prepare: _Prepare, otherwise: AnswerContext
) -> AnswerContext:
    """Return what an answer is told; its fingerprint only if the model would have asked the same, of the same."""
    try:
        turn, context = prepare(messages)
    except InvalidInputError:  # a history that this package does not make
        return otherwise
    return context if _is_same(turn, conversation) else dataclasses.replace(context, fingerprint=otherwise.fingerprint)


def _is_same(turn: Turn, conversation: Conversation) -> bool:
    if turn.inputs.instructions != (conversation.instructions or ""):
        return False
    if "agent_id" in turn.whom:
        version = turn.whom.get("agent_version")
        is_version = version is None or str(version) == str(conversation.agent_version)
        return is_version and bool(turn.whom["agent_id"] == conversation.agent_id)
    tools = _given(turn.whom.get("tools")), _given(conversation.tools)
    return bool(turn.whom["model"] == conversation.model and tools[0] == tools[1])


def _given(tools: Any) -> Any:
    """Return tools less what is not set: the server may add fields that it was not given."""
    if isinstance(tools, dict):
        return {name: _given(value) for name, value in tools.items() if value is not None}
    return [_given(tool) for tool in tools] if isinstance(tools, list) else tools or []
