"""Spans of turns and tools, as an exporter gets them: named by convention, in their place, ended, and without contents."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
from langgraph.graph import END, START, MessagesState, StateGraph
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from langchain_mistral_imagegen import ConversationNode, MistralImageGenerationTool
from langchain_mistral_imagegen.errors import MistralImagegenError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
MODEL = "mistral-medium-latest"
CALLS = "langchain_mistral_imagegen.connectors.image_generation"


class Exported:
    """A tracer of the program's own, and the spans that were exported."""

    def __init__(self, monkeypatch, **options) -> None:
        provider, self._exporter = TracerProvider(**options), InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        self.tracer = provider.get_tracer("the program")

    @property
    def all(self):
        return self._exporter.get_finished_spans()

    def named(self, name):
        return [span for span in self.all if span.name == name]

    def one(self, name):
        (span,) = self.named(name)
        return span


@pytest.fixture
def spans(monkeypatch):
    return Exported(monkeypatch)


def is_within(child, parent):
    return child.parent is not None and child.parent.span_id == parent.context.span_id


@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_a_turn_reports_model_server_and_usage(face, sandbox, make_model, spans, way):
    sandbox.behavior = Behavior(images=2)
    model = make_model(temperature=0.5, max_tokens=100, random_seed=3)
    asking = face.call(model, "invoke", CAT) if way == "invoke" else face.streamed(model, CAT)
    answer = await asking
    span = spans.one(f"chat {MODEL}")
    assert (span.kind, span.status.status_code, span.events) == (SpanKind.CLIENT, StatusCode.UNSET, ())
    assert span.instrumentation_scope.name == "langchain_mistral_imagegen"
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.seed": 3,
        **({"gen_ai.request.stream": True} if way == "stream" else {}),
        "gen_ai.response.id": answer.id,
        "gen_ai.response.model": MODEL,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.conversation.id": answer.response_metadata["conversation_id"],
        "gen_ai.usage.input_tokens": answer.usage_metadata["input_tokens"],
        "gen_ai.usage.output_tokens": answer.usage_metadata["output_tokens"],
        CALLS: 2,
        "server.address": "127.0.0.1",
        "server.port": int(sandbox.url.rpartition(":")[2]),
    }


async def test_an_agent_is_invoked(face, model, make_model, spans):
    agent = make_model(await face.call(model, "ensure_agent", "Painter"))
    answer = await face.call(agent, "invoke", CAT)
    span = spans.one("invoke_agent")
    recorded = {name: span.attributes.get(f"gen_ai.{name}") for name in ("agent.id", "request.model", "response.model")}
    assert recorded == {"agent.id": agent.agent_id, "request.model": None, "response.model": MODEL}
    assert span.attributes["gen_ai.conversation.id"] == answer.response_metadata["conversation_id"]


async def test_completions_are_chats(face, make_model, spans):
    answer = await face.call(make_model(transport="completions"), "invoke", CAT)
    span = spans.one(f"chat {MODEL}")
    assert span.attributes["gen_ai.usage.output_tokens"] == answer.usage_metadata["output_tokens"]


@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_the_callers_span_is_the_parent_and_requests_are_within_the_turn(face, sandbox, make_model, spans, way):
    current = []

    def note(_):
        current.append(trace.get_current_span().get_span_context().span_id)

    async def anote(_):
        note(_)

    clients = {
        "http_client": httpx.Client(event_hooks={"request": [note]}),
        "http_async_client": httpx.AsyncClient(event_hooks={"request": [anote]}),
    }
    model = make_model(**clients)
    with spans.tracer.start_as_current_span("mine") as mine:
        if way == "invoke":
            await face.call(model, "invoke", CAT)
        elif face.is_async:
            async for _ in model.astream(CAT):
                assert trace.get_current_span() is mine
        else:
            for _ in model.stream(CAT):
                assert trace.get_current_span() is mine
        assert trace.get_current_span() is mine
    turn = spans.one(f"chat {MODEL}")
    assert is_within(turn, spans.one("mine"))
    assert current == [turn.context.span_id]
    clients["http_client"].close()
    await clients["http_async_client"].aclose()


async def test_turns_at_once_do_not_mix(face, model, spans):
    with spans.tracer.start_as_current_span("mine"):
        answers = await face.call(model, "batch", [CAT, "Draw a boat.", "Hello"])
    turns = spans.named(f"chat {MODEL}")
    assert {turn.attributes["gen_ai.response.id"] for turn in turns} == {answer.id for answer in answers}
    assert all(is_within(turn, spans.one("mine")) for turn in turns)


async def test_a_turn_in_a_node_is_within_the_callers_span(face, model, spans, tmp_path):
    builder = StateGraph(MessagesState)
    builder.add_node("draw", ConversationNode(model, image_store=str(tmp_path)))
    builder.add_edge(START, "draw")
    builder.add_edge("draw", END)
    with spans.tracer.start_as_current_span("mine"):
        await face.call(builder.compile(), "invoke", {"messages": [("user", CAT)]})
    assert is_within(spans.one(f"chat {MODEL}"), spans.one("mine"))


async def test_the_turn_of_a_tool_is_within_the_tools_span(face, model, spans, tmp_path):
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path))
    with spans.tracer.start_as_current_span("mine"):
        await face.call(tool, "invoke", {"prompt": "a cat"})
    run = spans.one("execute_tool generate_image")
    assert is_within(spans.one(f"chat {MODEL}"), run)
    assert is_within(run, spans.one("mine"))
    assert run.kind is SpanKind.INTERNAL
    assert dict(run.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "generate_image",
        "gen_ai.tool.type": "function",
    }


@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_what_the_server_ran_has_spans_by_its_clock(face, sandbox, model, spans, way):
    sandbox.behavior = Behavior(tool_timeouts=1)
    await (face.call(model, "invoke", CAT) if way == "invoke" else face.streamed(model, CAT))
    failed, drawn = sorted(spans.named("execute_tool image_generation"), key=lambda span: span.start_time)
    turn = spans.one(f"chat {MODEL}")
    assert all(is_within(span, turn) for span in (failed, drawn))
    assert turn.start_time <= failed.start_time <= failed.end_time <= drawn.end_time <= turn.end_time
    assert (failed.status.status_code, failed.attributes["error.type"]) == (StatusCode.ERROR, "_OTHER")
    assert drawn.status.status_code is StatusCode.UNSET
    assert dict(drawn.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.tool.name": "image_generation",
        "gen_ai.tool.type": "extension",
        "gen_ai.tool.call.id": drawn.attributes["gen_ai.tool.call.id"],
    }


SEARCH = {"object": "entry", "type": "tool.execution", "id": "t", "name": "web_search", "info": {}}


@pytest.mark.parametrize(
    ("times", "nanoseconds"),
    [
        ({"created_at": "2026-11-23T09:00:00Z", "completed_at": "2026-11-23T09:00:08.5Z"}, [8_500_000_000]),
        ({"created_at": "2026-11-23T09:00:00", "completed_at": "2026-11-23T10:00:00+01:00"}, [0]),
        ({"created_at": "2026-11-23T09:00:08Z", "completed_at": "2026-11-23T09:00:00Z"}, []),
        ({"created_at": "2026-11-23T09:00:00Z", "completed_at": None}, []),
        ({"created_at": "yesterday", "completed_at": "today"}, []),
        ({"created_at": 1, "completed_at": {}}, []),
        ({"created_at": None, "completed_at": None}, []),
    ],
)
def test_without_times_of_the_servers_there_is_no_span(sandbox, model, spans, times, nanoseconds):
    sandbox.behavior = Behavior(outputs=[{**SEARCH, **times}])
    model.invoke("Hello")
    found = spans.named("execute_tool web_search")
    assert [span.end_time - span.start_time for span in found] == nanoseconds


@pytest.mark.parametrize(
    ("behavior", "error_type"),
    [
        (Behavior(status=429), "RateLimitError"),
        (Behavior(status=500), "ServerError"),
        (Behavior(quota="day"), "QuotaExceededError"),
        (Behavior(status=200, body={"outputs": 5}), "OutcomeUnknownError"),
    ],
)
async def test_an_error_is_reported_by_its_type_alone(face, sandbox, model, spans, behavior, error_type):
    sandbox.behavior = behavior
    with pytest.raises(MistralImagegenError):
        await face.call(model, "invoke", CAT)
    check_outcome(spans.one(f"chat {MODEL}"), error_type)


@pytest.mark.parametrize(
    ("behavior", "error_type"),
    [
        (Behavior(status=429), "RateLimitError"),
        (Behavior(cut_after=3), "StreamInterruptedError"),
        (Behavior(error_after=3), "StreamInterruptedError"),
    ],
)
async def test_an_error_of_a_stream_is_reported_by_its_type_alone(face, sandbox, model, spans, behavior, error_type):
    sandbox.behavior = behavior
    with pytest.raises(MistralImagegenError):
        await face.chunks(model, CAT)
    span = spans.one(f"chat {MODEL}")
    check_outcome(span, error_type)
    assert ("gen_ai.conversation.id" in span.attributes) == (behavior.status is None)


def check_outcome(span, error_type):
    assert span.attributes["error.type"] == error_type
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


def test_a_stream_that_is_left_ends_its_span(model, spans, caplog):
    with spans.tracer.start_as_current_span("mine"):
        chunks = model.stream(CAT)
        next(chunks)
        assert spans.all == ()
        chunks.close()
        assert spans.one(f"chat {MODEL}").status.status_code is StatusCode.UNSET
    assert is_within(spans.one(f"chat {MODEL}"), spans.one("mine"))
    assert caplog.records == []


async def test_an_async_stream_that_is_left_in_another_task_ends_its_span(model, spans, caplog):
    with spans.tracer.start_as_current_span("mine"):
        chunks = model.astream(CAT)
        await anext(chunks)
    assert spans.named(f"chat {MODEL}") == []
    await asyncio.create_task(chunks.aclose())
    span = spans.one(f"chat {MODEL}")
    assert is_within(span, spans.one("mine"))
    assert span.status.status_code is StatusCode.UNSET
    assert caplog.records == []  # OpenTelemetry logs contexts that are left where they were not entered


@pytest.mark.parametrize("way", ["invoke", "stream"])
async def test_cancelling_ends_the_span_and_gives_the_context_back(sandbox, model, spans, caplog, way):
    sandbox.behavior = Behavior(delay=5)
    asking = model.ainvoke(CAT) if way == "invoke" else anext(model.astream(CAT))
    with spans.tracer.start_as_current_span("mine") as mine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asking
        assert trace.get_current_span() is mine
    span = spans.one(f"chat {MODEL}")
    assert span.status.status_code is StatusCode.UNSET
    assert caplog.records == []


async def test_spans_that_are_not_sampled_cost_no_notes(face, model, monkeypatch):
    spans = Exported(monkeypatch, sampler=ALWAYS_OFF)
    assert (await face.call(model, "invoke", CAT)).text
    assert (await face.streamed(model, CAT)).text
    assert spans.all == ()


@pytest.mark.slow
def test_without_opentelemetry_nothing_is_missing(sandbox):
    code = f"""
import sys

for name in ("opentelemetry", "opentelemetry.trace"):
    sys.modules[name] = None
from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool

with ChatMistralConversations(base_url={sandbox.url!r}, api_key="k") as model:
    print(model.invoke("Draw a cat.").text)
    print("".join(chunk.text for chunk in model.stream("Draw a dog.")))
    MistralImageGenerationTool(model=model, image_store="memory://").invoke("a cat")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a cat" in done.stdout
    assert "a dog" in done.stdout
