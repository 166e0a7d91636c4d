"""A conversation that Mistral stores, as messages: read by its id, in any process, to look at or to continue."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._conversations.turn import TurnSettings
from langchain_mistral_imagegen._messages.answers import AnswerContext, fingerprint, to_message
from langchain_mistral_imagegen._messages.inputs import Inputs
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


def is_input(entry: Wire) -> bool:
    """Return whether an entry was sent to the conversation."""
    return isinstance(entry, _Input)


def response_of(conversation_id: str, outputs: Sequence[Any]) -> ConversationResponse:
    """Make a conversation's response again from its entries; its usage is not stored."""
    # Not validated again: the entries are.
    return ConversationResponse.model_construct(conversation_id=conversation_id, outputs=list(outputs), usage=None)


def exchanges(conversation_id: str, entries: Iterable[Wire]) -> Iterator[list[_Input] | ConversationResponse]:
    """Yield, by turns, the inputs of a conversation and its answers."""
    for are_inputs, group in itertools.groupby(entries, is_input):
        alike = list(group)
        yield cast("list[_Input]", alike) if are_inputs else response_of(conversation_id, alike)


def messages_of(conversation_id: str, settings: TurnSettings, urls: SignedUrls) -> Flow[list[BaseMessage]]:
    """Read a conversation as messages.

    Args:
        conversation_id: The conversation.
        settings: Of the model that reads it; its instructions become no message.
        urls: Holds the signed URLs that are removed from the messages.
    """
    conversation = yield from api.get_conversation(conversation_id)
    entries = (yield from api.conversation_history(conversation_id)).entries
    context = AnswerContext(model=settings.name, urls=urls, stored=settings.is_stored)
    messages: list[BaseMessage] = list(_system(conversation.instructions or "", settings.instructions))
    for exchange in exchanges(conversation_id, entries):
        if isinstance(exchange, list):
            messages += [_input_message(entry.redacted(urls)) for entry in exchange]
        else:
            messages.append(to_message(exchange, context))
    _add_fingerprints(messages, conversation, settings)
    return messages


def _system(remote: str, own: str) -> Iterator[SystemMessage]:
    """Yield the system prompt without the instructions that the model adds by itself."""
    text = (remote + "\n\n").removeprefix(own + "\n\n").removesuffix("\n\n")
    if text:
        yield SystemMessage(text)


def _input_message(entry: _Input) -> BaseMessage:
    if isinstance(entry, FunctionResultEntry):
        return ToolMessage(entry.result, tool_call_id=entry.tool_call_id, id=entry.id or None)
    kind = AIMessage if entry.role == "assistant" else HumanMessage
    return kind(content=_content(entry), id=entry.id or None)


def _content(entry: MessageInputEntry) -> Any:
    if isinstance(entry.content, str):
        return entry.content
    return [chunk_block(chunk, entry.id) for chunk in entry.content]


def _add_fingerprints(messages: Sequence[BaseMessage], conversation: Conversation, settings: TurnSettings) -> None:
    """Mark the answers that the model can continue: it would have sent the same to the same model or agent."""
    parts = _sendable(messages, settings)
    instructions = settings.whole(parts).instructions
    if instructions == (conversation.instructions or "") and _has_target(conversation, settings):
        # One pass: each digest goes on from the one before.
        for message, digest in zip(messages, settings.digests(parts, instructions), strict=False):
            if isinstance(message, AIMessage) and "head" in message.response_metadata:
                message.response_metadata["fingerprint"] = fingerprint(digest.hexdigest(), message)


def _sendable(messages: Sequence[BaseMessage], settings: TurnSettings) -> list[Inputs]:
    """Convert the messages before the first that this package cannot send."""
    for place, message in enumerate(messages):
        try:
            settings.read([message])
        except InvalidInputError:
            return settings.read(messages[:place])
    return settings.read(messages)


def _has_target(conversation: Conversation, settings: TurnSettings) -> bool:
    target = settings.target
    if "agent_id" in target:
        version = target.get("agent_version")
        is_version = version is None or str(version) == str(conversation.agent_version)
        return is_version and bool(target["agent_id"] == conversation.agent_id)
    tools = _set(target.get("tools")), _set(conversation.tools)
    return bool(target["model"] == conversation.model and tools[0] == tools[1])


def _set(tools: Any) -> Any:
    """Return tools without unset fields: the server may add fields that were not sent."""
    if isinstance(tools, dict):
        return {name: _set(value) for name, value in tools.items() if value is not None}
    return [_set(tool) for tool in tools] if isinstance(tools, list) else tools or []
