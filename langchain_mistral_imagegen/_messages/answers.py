"""Answers as LangChain messages: entries become an `AIMessage`, events become `AIMessageChunk`s."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata, add_ai_message_chunks
from langchain_core.messages.tool import ToolCallChunk

from langchain_mistral_imagegen._messages.dead_links import reports_image, without_dead_links
from langchain_mistral_imagegen._messages.event_blocks import EventBlocks, Piece
from langchain_mistral_imagegen._messages.function_calls import parse_calls
from langchain_mistral_imagegen._messages.inputs import canonical
from langchain_mistral_imagegen._messages.native_blocks import (
    MODEL_PROVIDER,
    MOST_BLOCKS,
    MOST_PIECES,
    Block,
    entry_blocks,
    function_call_chunk,
    placed,
    too_large,
)
from langchain_mistral_imagegen._messages.tool_names import ToolNames
from langchain_mistral_imagegen._protocol.entries import (
    AgentHandoffEntry,
    ConversationResponse,
    ConversationUsageInfo,
    FunctionCallEntry,
    MessageOutputEntry,
    Wire,
)
from langchain_mistral_imagegen._protocol.events import (
    AgentHandoffDoneEvent,
    FunctionCallEvent,
    MessageOutputEvent,
    ResponseDoneEvent,
    ResponseErrorEvent,
    ResponseStartedEvent,
)
from langchain_mistral_imagegen._protocol.failures import stream_error
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._protocol.surrogates import replace_lone_surrogates
from langchain_mistral_imagegen._telemetry import NO_SPAN, TurnSpan
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    InvalidResponseError,
    MistralImagegenError,
    ServerError,
    StreamInterruptedError,
)

_BATCH = 100


def merge_chunks(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """Merge the chunks of a message; in batches, as LangChain copies a text once for each piece that it appends."""
    merged = list(chunks)
    while len(merged) > 1:
        merged = [add_ai_message_chunks(*merged[at : at + _BATCH]) for at in range(0, len(merged), _BATCH)]
    return merged[0]


def usage_metadata(usage: ConversationUsageInfo | None) -> UsageMetadata | None:
    """Count connector tokens as input, so that input and output sum up to the total that Mistral reports."""
    if usage is None:
        return None
    connector = usage.connector_tokens or 0
    metadata = UsageMetadata(
        input_tokens=usage.prompt_tokens + connector,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + connector + usage.completion_tokens,
    )
    if connector:
        # LangChain allows further keys here, its type does not.
        metadata["input_token_details"] = InputTokenDetails(connector=connector)  # type: ignore[typeddict-unknown-key]
    return metadata


def fingerprint(before: str, answer: AIMessage) -> str:
    """Digest an answer and what it answers to: a different digest later means a changed history.

    Of the answer itself only its text and calls count, because they are the same in all forms that a message can take.

    Args:
        before: Digest of what stood before.
        answer: The answer, whole.
    """
    calls = [[call["name"], call["args"], call["id"]] for call in (*answer.tool_calls, *answer.invalid_tool_calls)]
    return hashlib.blake2b(canonical([before, str(answer.text), calls]), digest_size=8).hexdigest()


@dataclass(frozen=True, kw_only=True)
class AnswerContext:
    """What is needed besides a response to turn it into a message.

    Attributes:
        model: The `model_name` of an answer that names no model.
        urls: Holds the signed URLs that are removed from the answer.
        names: Names of the functions that the answer may call.
        fingerprint: Digest of the history that is answered.
        stored: Whether the server keeps the conversation.
        span: Receives the answer's facts, for telemetry.
        notes: Further facts for the answer's `response_metadata`, which are found while the turn is sent.
    """

    model: str
    urls: SignedUrls
    names: ToolNames = field(default_factory=ToolNames)
    fingerprint: str = ""
    stored: bool = True
    span: TurnSpan = NO_SPAN
    notes: dict[str, Any] = field(default_factory=dict)

    def with_span(self, span: TurnSpan) -> AnswerContext:
        """Return a context whose answer is recorded on a span."""
        return self if span is self.span else replace(self, span=span)


class _Facts:
    """The metadata of an answer, gathered from its entries or events."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._entry_ids: dict[str, None] = {}
        self._seen_model: str | None = None
        self._agent_id: str | None = None
        self._created_at: str | None = None
        self._finish_reason = "stop"

    def note(self, item: Wire) -> None:
        self._context.span.item(item)
        if entry_id := _text(item, "id"):
            self._entry_ids[entry_id] = None
            self._created_at = self._created_at or _text(item, "created_at")
            if len(self._entry_ids) > MOST_BLOCKS:
                raise too_large(MOST_BLOCKS, "entries")
        self._seen_model = self._seen_model or _text(item, "model")
        self._agent_id = _text(item, "agent_id") or self._agent_id
        match item:  # the most frequent first
            case MessageOutputEvent() | MessageOutputEntry():
                if self._finish_reason == "handoff":
                    self._finish_reason = "stop"  # the server went on with the next agent
            case FunctionCallEntry() | FunctionCallEvent():
                is_waiting = item.is_pending or self._finish_reason == "confirmation"  # also if others follow
                self._finish_reason = "confirmation" if is_waiting else "tool_calls"
            case AgentHandoffEntry() | AgentHandoffDoneEvent():
                self._finish_reason = "handoff"
            case ResponseDoneEvent(finish_reason=str(reason)):
                self._finish_reason = reason

    @property
    def message_id(self) -> str | None:
        # The first entry's id, because a stream knows it when its first chunk is due; `head` has the last one's.
        return next(iter(self._entry_ids), None)

    def metadata(self, usage: ConversationUsageInfo | None, answer: AIMessage) -> dict[str, Any]:
        facts = {
            "model_name": self._seen_model or self._context.model,
            "agent_id": self._agent_id,
            "created_at": self._created_at,
            "entry_ids": list(self._entry_ids),
            "head": next(reversed(self._entry_ids), None),
            "connectors": usage.connectors if usage else None,
            "finish_reason": self._finish_reason,
            "fingerprint": fingerprint(self._context.fingerprint, answer),
            "store": None if self._context.stored else False,
            **self._context.notes,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}


def _text(item: Wire, name: str) -> str | None:
    # What is not text is a field that the item's type does not have; the server may send any.
    value = getattr(item, name, None)
    return value if isinstance(value, str) else None


def to_message(response: ConversationResponse, context: AnswerContext) -> AIMessage:
    """Make the message of a response.

    Raises:
        InvalidResponseError: If it has far more entries or blocks than an answer can have.
    """
    facts, content, calls = _Facts(context), list[Block](), list[ToolCallChunk]()
    has_image = False
    for entry in (output.redacted(context.urls) for output in response.outputs):
        facts.note(entry)
        if isinstance(entry, FunctionCallEntry) and not entry.is_pending:
            arguments = replace_lone_surrogates(entry.arguments)
            calls.append(function_call_chunk(entry, context.names, arguments, len(content) + len(calls)))
        text_index = None
        for block in entry_blocks(entry):
            if has_image and block["type"] == "text":
                block["text"] = without_dead_links(block["text"])
            has_image = has_image or reports_image(block)
            index = len(content) + len(calls)
            text_index = index if block["type"] == "text" else text_index
            content.append(placed(block, index, text_index))
        if len(content) + len(calls) > MOST_BLOCKS:
            raise too_large(MOST_BLOCKS, "blocks")
    tool_calls, invalid_tool_calls = parse_calls(calls)
    message = AIMessage(
        content=content,  # type: ignore[arg-type]  # list is invariant; blocks are dicts
        id=facts.message_id,
        tool_calls=tool_calls,
        invalid_tool_calls=invalid_tool_calls,
        usage_metadata=usage_metadata(response.usage),
        response_metadata={"model_provider": MODEL_PROVIDER, "conversation_id": response.conversation_id},
    )
    message.response_metadata |= facts.metadata(response.usage, message)
    context.span.message(message)
    return message


class AnswerStream:
    """Makes message chunks of events.

    Attributes:
        conversation_id: Known from the first event on.
    """

    def __init__(self, context: AnswerContext) -> None:
        self.conversation_id: str | None = None
        self._blocks = EventBlocks(context.urls, context.names)
        self._facts = _Facts(context)
        self._span = context.span
        self._chunks: list[AIMessageChunk] = []
        self._is_done = False

    def feed(self, event: Wire) -> list[AIMessageChunk]:
        """Return the chunks that an event makes.

        Raises:
            APIError: For `conversation.response.error`; its `partial` holds the message so far.
        """
        if self._is_done:
            return []
        self._facts.note(event)
        match event:  # the most frequent first
            case MessageOutputEvent():
                return [self._piece(piece) for piece in self._blocks.feed(event)]
            case ResponseStartedEvent():
                self.conversation_id = event.conversation_id
                return []
            case ResponseErrorEvent():
                error = stream_error(event.message or "", event.code or 500)
                error.partial = self.partial
                error.is_retryable = error.is_retryable and error.partial is None  # what it holds may have been paid
                raise error
            case ResponseDoneEvent():
                rest = [self._piece(piece) for piece in self._blocks.flush()]
                return [*rest, self._last(event)]
            case _:
                return [self._piece(piece) for piece in self._blocks.feed(event)]

    @contextmanager
    def complete(self) -> Iterator[None]:
        """Check at the end of the stream that the answer is complete.

        Raises:
            StreamInterruptedError: If it ended before `conversation.response.done`, or failed after something had
                arrived that may be paid for; `partial` holds the message so far.
        """
        cause: MistralImagegenError | None = None
        how = "ended"
        try:
            yield
        except APIConnectionError as error:
            if not error.sent:
                raise
            cause = error
        except InvalidResponseError as error:
            cause, how = error, "cannot be read"
        except ServerError as error:
            if error.partial is None:
                raise
            cause, how = error, f"failed, {error},"
        if not self._is_done:
            interrupted = StreamInterruptedError(
                f"The stream {how} before the answer was complete; the server may have finished it",
                conversation_id=self.conversation_id,
            )
            interrupted.partial = self.partial
            raise interrupted from cause

    @property
    def partial(self) -> AIMessageChunk | None:
        """The message so far."""
        return merge_chunks(self._chunks) if self._chunks else None

    @property
    def message(self) -> AIMessage:
        """The whole message, when it is complete."""
        return cast("AIMessage", message_chunk_to_message(merge_chunks(self._chunks)))

    def _piece(self, piece: Piece) -> AIMessageChunk:
        if isinstance(piece, list):
            return self._chunk(content=piece)
        return self._chunk(tool_call_chunks=[piece])

    def _last(self, event: ResponseDoneEvent) -> AIMessageChunk:
        self._is_done = True
        return self._chunk(
            response_metadata=self._facts.metadata(event.usage, self._text_and_calls()),
            usage_metadata=usage_metadata(event.usage),
            chunk_position="last",
        )

    def _text_and_calls(self) -> AIMessage:
        """Return the answer's text and calls; merging all of its chunks for that would double the work."""
        texts: dict[int, list[str]] = {}
        for block in (block for chunk in self._chunks for block in chunk.content):
            if isinstance(block, dict) and block["type"] == "text":
                texts.setdefault(block["index"], []).append(block["text"])
        tool_calls, invalid_tool_calls = parse_calls(call for chunk in self._chunks for call in chunk.tool_call_chunks)
        return AIMessage(
            "".join(piece for index in sorted(texts) for piece in texts[index]),
            tool_calls=tool_calls,
            invalid_tool_calls=invalid_tool_calls,
        )

    def _chunk(
        self, *, content: Any = None, response_metadata: dict[str, Any] | None = None, **fields: Any
    ) -> AIMessageChunk:
        metadata = {"model_provider": MODEL_PROVIDER, **(response_metadata or {})}
        if not self._chunks and self.conversation_id:
            metadata["conversation_id"] = self.conversation_id
        chunk = AIMessageChunk(content=content or [], id=self._facts.message_id, response_metadata=metadata, **fields)
        if len(self._chunks) >= MOST_PIECES:
            raise too_large(MOST_PIECES, "pieces")
        self._chunks.append(chunk)
        self._span.message(chunk)
        return chunk
