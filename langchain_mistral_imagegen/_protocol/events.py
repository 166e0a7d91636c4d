"""Server-sent events of a conversation, as frozen and tolerant types; see `entries.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from langchain_mistral_imagegen._protocol.entries import Content, JsonText, OrNone, Unknown, Usage, Wire, read_json


class ResponseStartedEvent(Wire):
    """The first event; it names the conversation."""

    type: Literal["conversation.response.started"]
    conversation_id: str


class ResponseDoneEvent(Wire):
    """The last event of a complete stream."""

    type: Literal["conversation.response.done"]
    usage: Usage = None


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


class ToolExecutionStartedEvent(OutputEvent):
    """The server starts a tool."""

    type: Literal["tool.execution.started"]
    name: str = ""
    arguments: JsonText = ""
    function: str | None = None


class ToolExecutionDeltaEvent(OutputEvent):
    """A piece of the tool's arguments."""

    type: Literal["tool.execution.delta"]
    name: str = ""
    arguments: JsonText = ""
    function: str | None = None


class ToolExecutionDoneEvent(OutputEvent):
    """The tool's result."""

    type: Literal["tool.execution.done"]
    name: str = ""
    function: str | None = None
    info: dict[str, Any] | None = None

    @property
    def is_image_tool(self) -> bool:
        """Whether the tool makes images."""
        return self.name == "image_generation"


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

_EVENTS: TypeAdapter[Event] = TypeAdapter(KnownEvent)


def read_event(data: bytes) -> Event:
    """Read the `data` of one server-sent event; what is not JSON or not known becomes `Unknown`."""
    try:
        return _EVENTS.validate_json(data)
    except ValidationError:
        return Unknown.of(_json_or_text(data))


def as_event(value: Any) -> Event:
    """Read an event from a JSON value; what is not known becomes `Unknown`."""
    try:
        return _EVENTS.validate_python(value)
    except ValidationError:
        return Unknown.of(value)


def _json_or_text(data: bytes) -> Any:
    try:
        return read_json(data)
    except ValueError:
        return data.decode("utf-8", "replace")
