"""Server-sent events of a conversation, as frozen and tolerant types; see `entries.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from langchain_mistral_imagegen._protocol.entries import (
    Content,
    Json,
    JsonText,
    OrNone,
    ToolRun,
    Unknown,
    Usage,
    Wire,
    read_json,
    validate_without_nulls,
)
from langchain_mistral_imagegen._protocol.failures import error_message


class ResponseStartedEvent(Wire):
    """The first event; it names the conversation."""

    type: Literal["conversation.response.started"]
    conversation_id: str


class ResponseDoneEvent(Wire):
    """The last event of a complete stream."""

    type: Literal["conversation.response.done"]
    usage: Usage = None
    finish_reason: Annotated[str | None, OrNone] = None  # of chat completions


class ResponseErrorEvent(Wire):
    """The last event of a stream that failed."""

    type: Literal["conversation.response.error"]
    message: Annotated[str | None, OrNone] = None
    code: Annotated[int | None, OrNone] = None


class OutputEvent(Wire):
    """An event of one output: `output_index` is its place in the equivalent response's `outputs`."""

    id: str = ""
    output_index: int = 0
    model: str | None = None
    agent_id: str | None = None


class MessageOutputEvent(OutputEvent):
    """A piece of text, or one whole chunk."""

    type: Literal["message.output.delta"]
    content: Content = ""
    content_index: int = 0


class ToolExecutionStartedEvent(OutputEvent, ToolRun):
    """The server starts a tool."""

    type: Literal["tool.execution.started"]
    arguments: JsonText = ""


class ToolExecutionDeltaEvent(OutputEvent, ToolRun):
    """A piece of the tool's arguments."""

    type: Literal["tool.execution.delta"]
    arguments: JsonText = ""


class ToolExecutionDoneEvent(OutputEvent, ToolRun):
    """The tool's result."""

    type: Literal["tool.execution.done"]
    info: dict[str, Any] | None = None


class AgentHandoffStartedEvent(OutputEvent):
    """An agent is about to pass the conversation on."""

    type: Literal["agent.handoff.started"]
    previous_agent_id: str | None = None
    previous_agent_name: str | None = None


class AgentHandoffDoneEvent(OutputEvent):
    """Another agent has taken over."""

    type: Literal["agent.handoff.done"]
    next_agent_id: str | None = None
    next_agent_name: str | None = None


class FunctionCallEvent(OutputEvent):
    """A piece of a function call's arguments; name and id are repeated each time."""

    type: Literal["function.call.delta"]
    tool_call_id: str
    name: str
    arguments: JsonText = ""
    confirmation_status: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the server waits for the call to be allowed or denied."""
        return self.confirmation_status == "pending"


KnownEvent = Annotated[
    ResponseStartedEvent
    | ResponseDoneEvent
    | ResponseErrorEvent
    | MessageOutputEvent
    | ToolExecutionStartedEvent
    | ToolExecutionDeltaEvent
    | ToolExecutionDoneEvent
    | AgentHandoffStartedEvent
    | AgentHandoffDoneEvent
    | FunctionCallEvent,
    Field(discriminator="type"),
]
Event: TypeAlias = KnownEvent | Unknown

_ERROR: Literal["conversation.response.error"] = "conversation.response.error"
_DIGITS = 6
_EVENTS = TypeAdapter[Event](KnownEvent).validator  # the adapter has methods of the same names that only call these


def read_event(data: bytes) -> Event:
    """Read the `data` of one server-sent event; what is not JSON or not known becomes `Unknown`."""
    try:
        event: Event = _EVENTS.validate_json(data)
    except ValidationError:
        return as_event(_json_or_text(data))
    return error_event(event.model_dump()) or event if isinstance(event, ResponseErrorEvent) else event


def as_event(value: Any) -> Event:
    """Read an event from a JSON value; what is not known becomes `Unknown`."""
    try:
        event: Event = validate_without_nulls(_EVENTS.validate_python, value)
    except ValidationError:
        return error_event(value) or Unknown.of(value)
    return error_event(value) or event if isinstance(event, ResponseErrorEvent) else event


def error_event(value: Any) -> ResponseErrorEvent | None:
    """Read an error in one of the forms that streams were seen to have; return `None` if it is no error.

    Besides the documented event these are `{"type": "error", "message": ...}` and `{"error": {"message": ...}}`.
    """
    if not isinstance(value, dict) or not is_error(value):
        return None
    nested = value.get("error")
    details = {**value, **(nested if isinstance(nested, dict) else {"message": nested} if nested else {})}
    status = details.get("raw_status_code") or details.get("code")
    code = int(str(status)) if str(status).isdecimal() and len(str(status)) < _DIGITS else None
    return ResponseErrorEvent(type=_ERROR, message=error_message(value), code=code)


def is_error(value: Json) -> bool:
    """Return whether an object of a stream reports an error."""
    kind = value.get("type")
    untyped = str(value.get("object")).lower() == "error" or bool(value.get("error"))
    return (isinstance(kind, str) and kind in {_ERROR, "error"}) or (kind is None and untyped)


def _json_or_text(data: bytes) -> Any:
    try:
        return read_json(data)
    except ValueError:
        return data.decode("utf-8", "replace")
