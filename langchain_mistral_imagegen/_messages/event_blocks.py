"""Events to pieces of native blocks, each with the `index` of the block it belongs to.

LangChain merges pieces of equal index and concatenates their strings (equal ids aside), so every other field but
running text is given once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from langchain_core.messages.tool import ToolCallChunk

from langchain_mistral_imagegen._messages import native_blocks
from langchain_mistral_imagegen._messages.dead_links import DeadLinks, reports_image
from langchain_mistral_imagegen._messages.native_blocks import Block
from langchain_mistral_imagegen._messages.tool_names import ToolNames
from langchain_mistral_imagegen._protocol.entries import TextChunk, ThinkChunk, ToolReferenceChunk, Unknown, Wire
from langchain_mistral_imagegen._protocol.events import (
    AgentHandoffDoneEvent,
    AgentHandoffStartedEvent,
    FunctionCallEvent,
    MessageOutputEvent,
    OutputEvent,
    ToolExecutionDeltaEvent,
    ToolExecutionDoneEvent,
    ToolExecutionStartedEvent,
)
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._protocol.surrogates import SurrogateFilter
from langchain_mistral_imagegen._protocol.text_stream import Redacted, TextStream

Piece: TypeAlias = list[Block] | ToolCallChunk


@dataclass
class _Slot:
    """A block that is still growing."""

    index: int
    text: TextStream
    json: SurrogateFilter = field(default_factory=SurrogateFilter)
    tool: str = ""
    sent: set[str] = field(default_factory=set)

    def once(self, block: Block) -> Block:
        """Return a block less the fields that were given before."""
        fresh = {name: value for name, value in block.items() if name not in self.sent}
        self.sent |= fresh.keys() - {"type", "id", "text", "thinking", "references", "arguments"}
        return {"type": block["type"], **fresh, "index": self.index}


class EventBlocks:
    """Turns the events of one stream into pieces of blocks and tool calls."""

    def __init__(self, urls: SignedUrls, names: ToolNames) -> None:
        self._urls = urls
        self._names = names
        self._slots: dict[tuple[Any, ...], _Slot] = {}
        self._count = 0
        self._previous: tuple[Any, ...] | None = None
        self._position_now: tuple[Any, ...] = ()
        self._runs = 0
        self._text: tuple[str, int] | None = None
        self._text_before: tuple[str, TextStream] | None = None
        self._has_image = False
        self._after_image: set[int] = set()  # indexes of texts
        self._links: dict[int, DeadLinks] = {}
        self._references: list[Block] = []
        self._handoffs: dict[str, Block] = {}

    def feed(self, event: Wire) -> Iterable[Piece]:
        """Return the pieces of an event."""
        if not isinstance(event, MessageOutputEvent):
            return self._of_other(event)
        if isinstance(event.content, str):  # nearly all events
            return [*self._cited(), *self._text_piece(event, event.content)]
        return [piece for chunk in event.content for piece in self._chunk(event, chunk)]

    def _of_other(self, event: Wire) -> Iterator[Piece]:
        yield from self._cited()
        yield from self._end_of_text()
        match event:
            case ToolExecutionStartedEvent() | ToolExecutionDeltaEvent():
                yield [self._tool_call(event)]
            case ToolExecutionDoneEvent():
                yield [self._noted(self._tool_result(event))]
            case AgentHandoffStartedEvent():
                # Its other half comes soon, and LangChain's event stream keeps only the last piece of such a block.
                self._handoffs[event.id] = self._whole(native_blocks.handoff_block(event))
            case AgentHandoffDoneEvent():
                started = self._handoffs.pop(event.id, None) or self._whole({})
                yield [{**started, **native_blocks.handoff_block(event)}]
            case FunctionCallEvent():
                yield self._function_call(event)
            case Unknown():
                yield [self._whole(native_blocks.unknown_block(event.redacted(self._urls).raw))]

    def flush(self) -> Iterator[Piece]:
        """Yield the text that was held back, at the end of the stream."""
        yield from self._cited()
        yield from ([handoff] for handoff in self._handoffs.values())
        for key, slot in self._slots.items():
            if key[0] == "text":
                yield from self._text_pieces(slot.text.flush_parts())
                continue
            if not (rest := slot.text.feed(slot.json.flush()) + slot.text.flush()):
                continue
            match key:
                case ("function", *_):
                    yield ToolCallChunk(name=None, args=rest, id=None, index=slot.index)
                case ("tool", *_):
                    yield [{"type": "tool.execution", "arguments": rest, "index": slot.index}]
                case ("pending", *_):
                    yield [{"type": "function.call", "arguments": rest, "index": slot.index}]
                case _:
                    yield [{"type": "thinking", "thinking": rest, "index": slot.index}]
        yield from self._end_of_text()

    def _chunk(self, event: MessageOutputEvent, chunk: Wire) -> Iterator[Piece]:
        if not isinstance(chunk, TextChunk):
            yield from self._end_of_text()
        if isinstance(chunk, ToolReferenceChunk):
            block = native_blocks.chunk_block(chunk.redacted(self._urls, event.id), event.id)
            cited = self._text[1] if self._text and self._text[0] == event.id else None
            self._references.append(native_blocks.placed(block, self._next_index(), cited))
            return
        yield from self._cited()
        match chunk:
            case TextChunk():
                yield from self._text_piece(event, chunk.text)
            case ThinkChunk():
                slot = self._slot(self._position(event, "thinking"), event.id)
                text = slot.text.feed(chunk.text)
                references = chunk.redacted(self._urls, event.id).references
                yield [slot.once(native_blocks.thinking_block(text, chunk.signature, references))]
            case _:
                self._previous = None
                block = native_blocks.chunk_block(chunk.redacted(self._urls, event.id), event.id)
                yield [self._noted(self._whole(block))]

    def _text_piece(self, event: MessageOutputEvent, text: str) -> list[Piece]:
        if not text:
            return []
        # A URL may be broken over two texts that follow each other.
        before = self._text_before[1] if self._text_before and self._text_before[0] == event.id else None
        slot = self._slot(self._position(event, "text"), event.id, before)
        self._text, self._text_before = (event.id, slot.index), (event.id, slot.text)
        return self._text_pieces(slot.text.feed_part(text, slot.index) or [(slot.index, "")], event.id)

    def _text_pieces(self, parts: Redacted, entry_id: str = "") -> list[Piece]:
        pieces: list[Piece] = []
        for index, text in parts:
            shown = self._links.setdefault(index, DeadLinks()).feed(text) if index in self._after_image else text
            # Each piece has all of its fields: type and id merge with themselves.
            block = native_blocks.text_block(shown, entry_id)
            block["index"] = index
            pieces.append([block])
        return pieces

    def _end_of_text(self) -> Iterator[Piece]:
        """Yield the beginnings of links that were held back, when something else than text follows."""
        self._text_before = None
        for index, links in self._links.items():
            if rest := links.flush():
                yield [{"type": "text", "text": rest, "index": index}]
        self._links.clear()

    def _noted(self, block: Block) -> Block:
        self._has_image = self._has_image or reports_image(block)
        return block

    def _cited(self) -> list[Piece]:
        """Return the sources that came one after another as one piece.

        LangChain's event stream keeps only the last annotations that a text was given.
        """
        if not self._references:
            return []
        cited, self._references, self._previous = self._references, [], None
        return [cited]

    def _position(self, event: MessageOutputEvent, kind: str) -> tuple[object, ...]:
        """Return which running text a piece belongs to: by the indexes, or without them by arrival."""
        given = event.model_fields_set
        output = event.output_index if "output_index" in given else None
        part = event.content_index if "content_index" in given else None
        arrived = kind, event.id, output, part
        # A piece without an index goes on with the text before it: half of a signed URL in two texts would be shown.
        if output is not None and part is not None:
            self._position_now = kind, output, part
        elif self._previous is None or not _is_same(arrived, self._previous):
            self._runs += 1
            self._position_now = kind, "run", self._runs
        self._previous = arrived
        return self._position_now

    def _entry(self, kind: str, given: str, event: OutputEvent) -> tuple[Any, ...]:
        """Return the key of the entry that an event is about: its id and place, one of which may be missing."""
        key = kind, given, event.output_index if "output_index" in event.model_fields_set else None
        if key in self._slots:
            return key
        return next((other for other in reversed(self._slots) if _is_same(key, other)), key)

    def _tool_call(self, event: ToolExecutionStartedEvent | ToolExecutionDeltaEvent) -> Block:
        slot = self._slot(self._entry("tool", event.id, event), event.id)
        slot.tool = event.tool or slot.tool
        block = native_blocks.tool_call_block(event) | {"arguments": slot.text.feed(event.arguments)}
        return slot.once({name: value for name, value in block.items() if value or name != "name"})

    def _tool_result(self, event: ToolExecutionDoneEvent) -> Block:
        slot = self._slot(self._entry("tool", event.id, event), event.id)
        ran = event if event.name else event.model_copy(update={"name": slot.tool})
        block = native_blocks.tool_result_block(ran.redacted(self._urls))
        return slot.once(block if "name" in slot.sent else block | {"name": ran.tool, "arguments": ""})

    def _function_call(self, event: FunctionCallEvent) -> Piece:
        if event.is_pending:
            slot = self._slot(self._entry("pending", event.tool_call_id, event), event.id)
            return [slot.once(native_blocks.pending_call_block(event, slot.text.feed(event.arguments)))]
        slot = self._slot(self._entry("function", event.tool_call_id, event), event.id)
        arguments = slot.text.feed(slot.json.feed(event.arguments))
        chunk = native_blocks.function_call_chunk(event, self._names, arguments, slot.index)
        if "name" in slot.sent:
            chunk["name"] = chunk["id"] = None
        slot.sent.add("name")
        return chunk

    def _slot(self, key: tuple[Any, ...], entry_id: str, text: TextStream | None = None) -> _Slot:
        if key not in self._slots:
            self._slots[key] = _Slot(self._next_index(), text or TextStream(self._urls, entry_id))
            if key[0] == "text" and self._has_image:
                self._after_image.add(self._slots[key].index)
        return self._slots[key]

    def _whole(self, block: Block) -> Block:
        return {**block, "index": self._next_index()}

    def _next_index(self) -> int:
        if self._count >= native_blocks.MOST_BLOCKS:
            raise native_blocks.too_large(native_blocks.MOST_BLOCKS, "blocks")
        self._count += 1
        return self._count - 1


def _is_same(one: tuple[Any, ...], other: Any) -> bool:
    """Return whether two keys are of one entry: where both have an id or a place, these are equal."""
    return one[0] == other[0] and all(
        mine == yours or mine in {None, ""} or yours in {None, ""}
        for mine, yours in zip(one[1:], other[1:], strict=False)
    )
