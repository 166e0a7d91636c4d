"""OpenTelemetry spans of turns and tools, named as the semantic conventions for generative AI name them.

They are made if `opentelemetry-api` is installed, and recorded if the program has set a tracer provider. They hold the
model or agent, the outcome and the usage; never prompts, answers or images, nor the texts of errors, which may quote
them.
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen._protocol.entries import ToolExecutionEntry, Wire
from langchain_mistral_imagegen._protocol.events import ToolExecutionDoneEvent, ToolExecutionStartedEvent
from langchain_mistral_imagegen._protocol.signed_urls import image_tool_failed
from langchain_mistral_imagegen._version import __version__

if TYPE_CHECKING:
    from types import ModuleType

    from opentelemetry.trace import Span

SCOPE = "langchain_mistral_imagegen"
_OPERATION, _TOOL, _ERROR = "gen_ai.operation.name", "gen_ai.tool.name", "error.type"
_PROVIDER = {"gen_ai.provider.name": "mistral_ai"}
_REQUEST = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "random_seed": "gen_ai.request.seed",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
}
_PORTS = {"http": 80, "https": 443}


@functools.cache
def _api() -> ModuleType | None:
    try:
        from opentelemetry import trace  # noqa: PLC0415  # only if it is there, and for the first turn
    except ImportError:
        return None
    return trace


def _tracing() -> ModuleType | None:
    """Return OpenTelemetry's tracing if anything takes the spans."""
    trace = _api()
    return None if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider) else trace


class TurnSpan:
    """Records facts about an answer on the span of its turn, if there is a span."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span
        self._started: dict[str, Any] = {}

    def current(self) -> AbstractContextManager[Any]:
        """Make the span the parent of what begins in a block, such as the HTTP library's spans; it does not end it."""
        trace = _api()
        if trace is None or self._span is None:
            return nullcontext()
        scope: AbstractContextManager[Any] = trace.use_span(
            self._span, record_exception=False, set_status_on_exception=False
        )
        return scope

    def item(self, item: Wire) -> None:
        """Record an entry or event; a tool that the server ran becomes a span of its own, by the server's clock."""
        if self._span is None or not self._span.is_recording():
            return
        match item:
            case ToolExecutionStartedEvent():
                self._started[item.id] = getattr(item, "created_at", None)
            case ToolExecutionDoneEvent():
                self._tool(item, self._started.pop(item.id, None), getattr(item, "created_at", None))
            case ToolExecutionEntry():
                self._tool(item, getattr(item, "created_at", None), getattr(item, "completed_at", None))

    def _tool(self, tool: ToolExecutionEntry | ToolExecutionDoneEvent, start: Any, end: Any) -> None:
        trace, began, ended = _api(), _nanoseconds(start), _nanoseconds(end)
        if trace is None or self._span is None or began is None or ended is None or ended < began:
            return  # the duration is not known
        span = trace.get_tracer(SCOPE, __version__).start_span(
            f"execute_tool {tool.name}",
            context=trace.set_span_in_context(self._span),
            start_time=began,
            attributes={
                **_PROVIDER,
                _OPERATION: "execute_tool",
                _TOOL: tool.name,
                "gen_ai.tool.type": "extension",
                "gen_ai.tool.call.id": tool.id,
            },
        )
        if image_tool_failed(tool.tool, tool.info):
            _fail(trace, span, "_OTHER")
        span.end(ended)

    def message(self, message: AIMessage) -> None:
        """Record a message, or a chunk of one."""
        if self._span is None or not self._span.is_recording():
            return
        metadata: dict[str, Any] = message.response_metadata
        usage: Mapping[str, Any] = message.usage_metadata or {}
        facts = {
            "gen_ai.response.id": message.id,
            "gen_ai.conversation.id": metadata.get("conversation_id"),
            "gen_ai.response.model": metadata.get("model_name"),
            "gen_ai.response.finish_reasons": [metadata["finish_reason"]] if "finish_reason" in metadata else None,
            "gen_ai.usage.input_tokens": usage.get("input_tokens"),
            "gen_ai.usage.output_tokens": usage.get("output_tokens"),
        }
        calls = {f"{SCOPE}.connectors.{name}": number for name, number in metadata.get("connectors", {}).items()}
        self._span.set_attributes({name: fact for name, fact in {**facts, **calls}.items() if fact is not None})


NO_SPAN = TurnSpan()
_NO_TURN = nullcontext(NO_SPAN)


def turn_span(
    target: Mapping[str, Any], options: Mapping[str, Any], base_url: str, *, stream: bool
) -> AbstractContextManager[TurnSpan]:
    """Span a turn: `chat`, or `invoke_agent` for an agent.

    It is the current span meanwhile, except in a stream: its reader does other things between two chunks, and may close
    the stream in another task. There, `TurnSpan.current` makes it current for the parts that belong to the turn.

    Args:
        target: `model`, or `agent_id` and perhaps `agent_version`.
        options: Of the request, with `completion_args`.
        base_url: The server.
        stream: Whether the answer is streamed.
    """
    return _NO_TURN if _tracing() is None else _turn_span(target, options, base_url, stream=stream)


@contextmanager
def _turn_span(
    target: Mapping[str, Any], options: Mapping[str, Any], base_url: str, *, stream: bool
) -> Iterator[TurnSpan]:
    operation = "invoke_agent" if "agent_id" in target else "chat"
    arguments = options.get("completion_args", {})
    attributes = {
        **_PROVIDER,
        _OPERATION: operation,
        **_server(base_url),
        "gen_ai.request.model": target.get("model"),
        "gen_ai.request.stream": True if stream else None,
        "gen_ai.agent.id": target.get("agent_id"),
        "gen_ai.agent.version": str(target["agent_version"]) if "agent_version" in target else None,
        **{name: arguments.get(argument) for argument, name in _REQUEST.items()},
    }
    with _span(f"{operation} {target['model']}" if "model" in target else operation, attributes, kind="CLIENT") as span:
        turn = TurnSpan(span)
        with nullcontext() if stream else turn.current():
            yield turn


@contextmanager
def tool_span(name: str) -> Iterator[None]:
    """Span the run of a tool of this package; it is the current span meanwhile."""
    attributes = {_OPERATION: "execute_tool", _TOOL: name, "gen_ai.tool.type": "function"}
    with _span(f"execute_tool {name}", attributes, kind="INTERNAL") as span, TurnSpan(span).current():
        yield


@functools.lru_cache(maxsize=8)
def _server(base_url: str) -> dict[str, Any]:
    try:
        address = urlsplit(base_url)
        return {"server.address": address.hostname, "server.port": address.port or _PORTS.get(address.scheme)}
    except ValueError:  # the client raises the error
        return {}


@contextmanager
def _span(name: str, attributes: Mapping[str, Any], *, kind: str) -> Iterator[Span | None]:
    trace = _tracing()
    if trace is None:
        yield None
        return
    given = {name: value for name, value in attributes.items() if value is not None}
    span = trace.get_tracer(SCOPE, __version__).start_span(name, kind=trace.SpanKind[kind], attributes=given)
    try:
        yield span
    except Exception as error:
        _fail(trace, span, type(error).__qualname__)
        raise
    finally:
        span.end()


def _fail(trace: ModuleType, span: Span, kind: str) -> None:
    span.set_attribute(_ERROR, kind)
    span.set_status(trace.StatusCode.ERROR)


def _nanoseconds(when: Any) -> int | None:
    """Parse a time of the server's; without an offset it is in UTC."""
    try:
        read = datetime.fromisoformat(when)
    except (TypeError, ValueError):
        return None
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000_000) * 1000
