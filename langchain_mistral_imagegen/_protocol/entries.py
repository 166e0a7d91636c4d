"""What Mistral sends, as frozen types named as in its OpenAPI document; events are in `events.py`.

The types are tolerant. A field may be new, missing or null; an entry, chunk or event whose type is unknown, or
whose fields do not fit, becomes an `Unknown` that keeps what was sent. Nothing is dropped and nothing raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import from_json

from langchain_mistral_imagegen._protocol.image_tool import IMAGE_TOOL, tool_name
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls, may_hold_url
from langchain_mistral_imagegen._protocol.surrogates import replace_lone_surrogates
from langchain_mistral_imagegen._protocol.text_stream import redacted_parts
from langchain_mistral_imagegen.errors import InvalidResponseError

if TYPE_CHECKING:
    from pydantic._internal._repr import ReprArgs

T = TypeVar("T")
_MOST_OBJECTS = 500_000  # in one response, counted by their braces: a small body may hold millions, of a kilobyte each
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?')  # also one without an end, so that it takes linear time
Json: TypeAlias = dict[str, Any]
"""A JSON object as Mistral sends or takes it."""


def read_json(data: bytes | str) -> Any:
    """Read JSON; lone surrogates and bytes that are not UTF-8 become U+FFFD, so that the rest of an answer is not lost.

    Raises:
        ValueError: If it is not JSON or nests too deep; `json.loads` would raise other errors, or return a value that
            cannot be encoded again.
    """
    try:
        return from_json(data)
    except ValueError:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if (repaired := replace_lone_surrogates(text)) == data:
            raise
    return from_json(repaired)


class Wire(BaseModel):
    """Base of everything Mistral sends."""

    # What the server sent may hold a signed URL: neither errors nor `repr` show it.
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    def __repr_args__(self) -> ReprArgs:
        return [(name, SignedUrls().redact(value, "redacted")) for name, value in super().__repr_args__()]

    def as_sent(self) -> dict[str, Any]:
        """Return the JSON object the server sent, less its nulls."""
        # No warnings: pydantic gives one for each `Unknown` that stands where the type names only known chunks.
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True, warnings=False)

    def redacted(self, urls: SignedUrls, entry_id: str = "") -> Self:
        """Return the entry, chunk or event without signed URLs; nothing else of it may be shown or stored.

        Args:
            urls: Holds the URLs that are removed.
            entry_id: Id of the entry; by default its own.
        """
        entry_id, of_any_host = entry_id or getattr(self, "id", "") or "unknown", self.is_image_tool
        changed = {}  # only that, because `as_sent` leaves out what was never set
        for name, value in (vars(self) | (self.model_extra or {})).items():
            if value is None or (isinstance(value, str) and not may_hold_url(value)):
                continue  # nearly all
            clean = _redacted(value, urls, entry_id, of_any_host=of_any_host)
            if clean is not value and clean != value:
                changed[name] = clean
        return self.model_copy(update=changed) if changed else self

    @property
    def is_image_tool(self) -> bool:
        """Whether this is a run of the image tool, in which each signed URL is an image's."""
        return False


def _redacted(value: Any, urls: SignedUrls, entry_id: str, *, of_any_host: bool) -> Any:
    if isinstance(value, list):
        return _redacted_list(value, urls, entry_id, of_any_host=of_any_host)
    if not isinstance(value, str) and isinstance(value, Wire):  # the second question alone takes longer than all else
        return value.redacted(urls, entry_id)
    return urls.redact(value, entry_id, of_any_host=of_any_host)


def _redacted_list(value: list[Any], urls: SignedUrls, entry_id: str, *, of_any_host: bool) -> list[Any]:
    clean: list[Any] = []
    for kind, parts in groupby(value, key=type):
        if kind is TextChunk:
            clean += _redacted_texts(list(parts), urls, entry_id)
        else:
            clean += [_redacted(part, urls, entry_id, of_any_host=of_any_host) for part in parts]
    return clean


def _redacted_texts(chunks: list[TextChunk], urls: SignedUrls, entry_id: str) -> list[TextChunk]:
    """Redact texts that follow each other as one text, because a URL may be broken over several."""
    if len(chunks) == 1:
        return [chunks[0].redacted(urls, entry_id)]
    texts = redacted_parts([chunk.text for chunk in chunks], urls, entry_id)
    whole = (chunk.model_copy(update={"text": text}) for chunk, text in zip(chunks, texts, strict=True))
    return [chunk.redacted(urls, entry_id) for chunk in whole]


class Unknown(Wire):
    """Something this package does not know yet; `raw` is what was sent."""

    type: str = "unknown"
    raw: Any

    @classmethod
    def of(cls, raw: Any) -> Unknown:
        """Wrap a JSON value."""
        kind = raw.get("type") if isinstance(raw, dict) else None
        return cls(type=kind if isinstance(kind, str) else "unknown", raw=raw)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def validate_without_nulls(handler: Callable[[Any], T], value: Any) -> T:
    """Validate a JSON value; if it does not fit, once more without its null fields: null means the same as missing.

    The parts of its fields keep their nulls, because they may be unknown, or arguments of a function.

    Raises:
        ValidationError: If it does not fit either way.
    """
    try:
        return handler(value)
    except ValidationError:
        if not isinstance(value, dict):
            raise
        # Not before the first try, which is the path of each delta of a stream.
        return handler({name: part for name, part in value.items() if part is not None})


def _or_unknown(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate_without_nulls(handler, value)
    except ValidationError:
        return Unknown.of(value)


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate_without_nulls(handler, value)
    except ValidationError:
        return None


OrUnknown = WrapValidator(_or_unknown)
"""Annotates what becomes an `Unknown` if it does not fit."""
OrNone = WrapValidator(_or_none)
"""Annotates what becomes `None` if it does not fit."""


def _as_text(value: Any) -> str:
    """Return tool arguments as JSON text: they come as a string, as an object, or not at all."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_content(value: Any) -> Any:
    """Return content as a string or a list: it may also be null or one chunk."""
    if value is None:
        return ""
    return [value] if isinstance(value, dict) else value


JsonText = Annotated[str, BeforeValidator(_as_text)]

# --- chunks ---


class TextChunk(Wire):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImageURLChunk(Wire):
    """An image by URL, as chat completions return generated images."""

    type: Literal["image_url"]
    image_url: str | dict[str, Any]

    @property
    def url(self) -> str:
        """The URL, whichever way it was written."""
        return self.image_url if isinstance(self.image_url, str) else str(self.image_url.get("url", ""))


class ToolFileChunk(Wire):
    """A file a connector produced; its bytes are at the files endpoint."""

    type: Literal["tool_file"]
    file_id: str
    tool: str | None = None
    file_name: str | None = None
    file_type: str | None = None


class DocumentURLChunk(Wire):
    """A document by URL."""

    type: Literal["document_url"]
    document_url: str
    document_name: str | None = None


class ThinkChunk(Wire):
    """The model's reasoning."""

    type: Literal["thinking"]
    thinking: str | list[dict[str, Any]]
    signature: str | None = None

    def redacted(self, urls: SignedUrls, entry_id: str = "") -> Self:
        """Return the chunk without signed URLs, also without those that are broken over several of its texts."""
        if isinstance(self.thinking, str):
            return super().redacted(urls, entry_id)
        places = [place for place, part in enumerate(self.thinking) if isinstance(part.get("text"), str)]
        texts = redacted_parts([self.thinking[place]["text"] for place in places], urls, entry_id or "unknown")
        parts = [dict(part) for part in self.thinking]
        for place, text in zip(places, texts, strict=True):
            parts[place]["text"] = text
        return super(ThinkChunk, self.model_copy(update={"thinking": parts})).redacted(urls, entry_id)

    @property
    def text(self) -> str:
        """The reasoning as text."""
        if isinstance(self.thinking, str):
            return self.thinking
        return "".join(str(part.get("text", "")) for part in self.thinking)

    @property
    def references(self) -> list[dict[str, Any]]:
        """The sources that the reasoning names, and whatever else is no text."""
        return [] if isinstance(self.thinking, str) else [part for part in self.thinking if "text" not in part]


class ToolReferenceChunk(Wire):
    """A source that a connector found and the model cites."""

    type: Literal["tool_reference"]
    tool: str | None = None
    title: str | None = None
    url: str | None = None
    favicon: str | None = None
    description: str | None = None


KnownChunk = Annotated[
    TextChunk | ImageURLChunk | ToolFileChunk | DocumentURLChunk | ThinkChunk | ToolReferenceChunk,
    Field(discriminator="type"),
]
_Chunks = Annotated[str | list[Annotated[KnownChunk, OrUnknown]], BeforeValidator(_as_content)]
Content = Annotated[str | _Chunks, Field(union_mode="left_to_right")]  # most contents are texts

# --- entries ---


class MessageInputEntry(Wire):
    """A message to the conversation, mostly of a user."""

    type: Literal["message.input"]
    id: str = ""
    role: str = "user"
    content: Content = ""


class MessageOutputEntry(Wire):
    """A message of the model: text, files, references."""

    type: Literal["message.output"]
    id: str = ""
    content: Content = ""
    model: str | None = None
    agent_id: str | None = None


def is_finished(entries: Sequence[Wire]) -> bool:
    """Return whether entries end with a `message.output` that the server has written to its end."""
    last = entries[-1] if entries else None
    return isinstance(last, MessageOutputEntry) and bool(last.as_sent().get("completed_at"))


class ToolRun(Wire):
    """A run of a built-in tool, or a piece of one."""

    name: str = ""
    function: str | None = None
    metadata: Annotated[Json | None, OrNone] = None

    @property
    def tool(self) -> str:
        """The name of the tool, `image_generation` for whatever makes images."""
        return tool_name(self.name, self.function, self.metadata)

    @property
    def is_image_tool(self) -> bool:
        """Whether the tool makes images."""
        return self.tool == IMAGE_TOOL


class ToolExecutionEntry(ToolRun):
    """A built-in tool that the server ran; `info` holds its result, or the reason why there is none."""

    type: Literal["tool.execution"]
    id: str = ""
    arguments: JsonText = ""
    info: dict[str, Any] | None = None
    model: str | None = None
    agent_id: str | None = None


class FunctionCallEntry(Wire):
    """A function that the client is to run."""

    type: Literal["function.call"]
    id: str = ""
    tool_call_id: str
    name: str
    arguments: JsonText = ""
    confirmation_status: str | None = None
    model: str | None = None
    agent_id: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the server waits for the call to be allowed or denied."""
        return self.confirmation_status == "pending"


class FunctionResultEntry(Wire):
    """What a function returned."""

    type: Literal["function.result"]
    id: str = ""
    tool_call_id: str
    result: JsonText = ""


class AgentHandoffEntry(Wire):
    """One agent passed the conversation to another."""

    type: Literal["agent.handoff"]
    id: str = ""
    previous_agent_id: str | None = None
    previous_agent_name: str | None = None
    next_agent_id: str | None = None
    next_agent_name: str | None = None


KnownEntry = Annotated[
    MessageInputEntry
    | MessageOutputEntry
    | ToolExecutionEntry
    | FunctionCallEntry
    | FunctionResultEntry
    | AgentHandoffEntry,
    Field(discriminator="type"),
]
Entry = Annotated[KnownEntry, OrUnknown]

# --- responses ---


class ConversationUsageInfo(Wire):
    """What a response cost. `total_tokens` is the sum of the other three; `connectors` counts tool calls."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    connector_tokens: int | None = None
    connectors: Annotated[dict[str, int] | None, OrNone] = None


Usage = Annotated[ConversationUsageInfo | None, OrNone]


class ConversationResponse(Wire):
    """A conversation's answer to its inputs."""

    conversation_id: str
    outputs: list[Entry] = []
    usage: Usage = None


class ConversationHistory(Wire):
    """All entries of a conversation."""

    conversation_id: str = ""
    entries: list[Entry] = []


WireT = TypeVar("WireT", bound=Wire)


def _validated(kind: type[WireT], data: bytes) -> WireT:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        try:
            sent = read_json(data)
        except ValueError:
            raise error from None
        try:
            return validate_without_nulls(kind.model_validate, sent)
        except ValidationError:
            return kind.model_validate(_without_nulls(sent))  # a list of resources, with a null in one of them


def read_response(kind: type[WireT], data: bytes) -> WireT:
    """Read a response body.

    Raises:
        InvalidResponseError: If it is not JSON, lacks what makes it this kind of response, or holds too many objects.
    """
    if data.count(b"{") > _MOST_OBJECTS and _STRING.sub(b"", data).count(b"{") > _MOST_OBJECTS:
        raise InvalidResponseError(f"The server's {kind.__name__} holds more than {_MOST_OBJECTS:,} JSON objects")
    try:
        return _validated(kind, data)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:3])
        # The input is left out on purpose, also from the chained exception: it may hold a signed URL.
        raise InvalidResponseError(f"The server's {kind.__name__} cannot be read: {where}") from None
