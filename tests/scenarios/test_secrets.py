"""The key, signed URLs and images stay where they belong, whatever is done and whatever fails.

Canaries are planted, everything is done with all logs at DEBUG and tracing on, and all that came out is searched: logs,
traces, output, files, and every result and error in all the ways in which it can be shown. Of an error that is also
the locals of all frames of the package and of the HTTP library, as error trackers send them; not those of LangChain
and pydantic, which hold what their caller passed in (`ChatMistralConversations(api_key=...)`).
"""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import logging
import os
import pickle
import subprocess
import sys
import traceback
import types
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from local_langsmith import local_langsmith
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    FsspecImageStore,
    MistralImageGenerationTool,
    ToolFileNode,
    api,
    create_image_graph,
)
from langchain_mistral_imagegen.errors import MissingAPIKeyError, MistralImagegenError
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox
from langchain_mistral_imagegen.sandbox.records.images import draw_image
from langchain_mistral_imagegen.tracing import ImageTracer

KEY = "canary-4f1d9b"
HEADER = "canary-of-a-gateway"
SIGNATURE = "canary-of-an-url"
HEAD = draw_image("any")[:60]  # all images of the sandbox begin alike
IMAGE = [HEAD, base64.b64encode(HEAD), repr(HEAD)[2:-1].encode()]
CAT = "Generate an orange cat in an office."
THREAD = {"configurable": {"thread_id": "1"}}


@pytest.fixture
def sandbox():
    with Sandbox(api_key=KEY) as running:
        yield running


@pytest.fixture
def langsmith(monkeypatch):
    with local_langsmith(monkeypatch) as running:
        yield running


class Spans(InMemorySpanExporter):
    """What OpenTelemetry got."""

    def exported(self) -> str:
        return "".join(span.to_json() for span in self.get_finished_spans())


@pytest.fixture
def spans(monkeypatch):
    exporter, provider = Spans(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


@pytest.fixture
def log(monkeypatch):
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(_Everything("%(name)s %(message)s"))
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger) and not logger.name.startswith("uvicorn"):  # the sandbox's
            monkeypatch.setattr(logger, "level", logging.NOTSET)
            monkeypatch.setattr(logger, "disabled", False)
            monkeypatch.setattr(logger, "propagate", True)
            logger._cache.clear()
    root.addHandler(handler)
    yield text
    root.removeHandler(handler)
    logging.Logger.manager._clear_cache()


class _Everything(logging.Formatter):
    """Shows a record and all that it carries."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {record.args!r}"


def canaries(sandbox: Sandbox) -> list[bytes]:
    signatures = [query["sig"][:16].encode() for _, query, _ in sandbox.files.blobs.values()]
    return [KEY.encode(), HEADER.encode(), SIGNATURE.encode(), *signatures, *IMAGE]


def ways_to_show(thing: Any) -> list[Any]:
    """Show a result, an error, a model or a node in all ways there are."""
    shown = [repr(thing), str(thing)]
    if isinstance(thing, BaseException):
        ours = thing.__dict__ if isinstance(thing, MistralImagegenError) else ""
        return [*shown, ours, *(part for error in chain(thing) for part in (repr(error), str(error), locals_of(error)))]
    if isinstance(thing, (BaseMessage, ChatMistralConversations)):
        shown += [thing.model_dump(), thing.model_dump_json(), dumps(thing), pickled(thing)]
        shown += [repr(copied(thing)) for copied in (copy.copy, copy.deepcopy)]
    if isinstance(thing, (dict, list)):
        shown += [dumps(thing), pickled(thing)]
    if isinstance(thing, (ToolFileNode, MistralImageGenerationTool)):
        shown.append(pickled(thing))
    return shown


def pickled(thing: Any) -> bytes:
    """Pickle, and look away from the one secret that is kept on purpose."""
    return pickle.dumps(thing).replace(HEADER.encode(), b"")


def chain(error: BaseException) -> list[BaseException]:
    linked = [cause for cause in (error.__cause__, error.__context__) if cause]
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [error, *(part for one in (*linked, *inner) for part in chain(one))]


def locals_of(error: BaseException) -> str:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if is_searched(frame)]
    output = "".join(traceback.TracebackException.from_exception(error).format())
    return output + "".join(f"{frame.f_code.co_qualname}: {frame.f_locals!r}\n" for frame in frames)


def is_searched(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in {"langchain_mistral_imagegen", "httpx", "httpcore", "h11", "anyio", "asyncio", "contextlib"}


def leaks(wanted: list[bytes], *things: Any) -> list[str]:
    """Find the canaries in what came out, and where."""
    found = []
    for thing in things:
        text = thing if isinstance(thing, bytes) else str(thing).encode("utf-8", "replace")
        for canary in wanted:
            if canary in text:
                place = text.index(canary)
                found.append(f"{canary[:16]!r} in ...{text[max(0, place - 300) : place + 60]!r}")
    return found


def files_below(folder: Path) -> list[bytes]:
    """Read all files but the images."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".jpg"]


class World:
    """What an operation needs."""

    def __init__(self, face: Any, sandbox: Sandbox, folder: Path, make_model: Any) -> None:
        self.face, self.sandbox, self.folder, self.make = face, sandbox, folder, make_model
        self.model = self.make_model()
        self.store = FsspecImageStore(str(folder / "images"))

    def make_model(self, **settings: Any) -> ChatMistralConversations:
        given = {"api_key": KEY, "default_headers": {"x-gateway": HEADER}, "max_retries": 0}
        return self.make(**{**given, "base_url": self.sandbox.url, **settings})

    async def call(self, owner: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        return await self.face.call(owner, name, *args, **kwargs)


@pytest.fixture
def world(face, sandbox, tmp_path, make_model, langsmith, log, spans):
    return World(face, sandbox, tmp_path, make_model)


async def invoking(world):
    first = await world.call(world.model, "invoke", CAT)
    return [first, await world.call(world.model, "invoke", [("user", CAT), first, ("user", "Make it blue.")])]


async def streaming(world):
    return [*await world.face.chunks(world.model, CAT), await world.face.streamed(world.model, CAT)]


async def batching(world):
    return await world.call(world.model, "batch", [CAT, "Draw a boat."])


async def downloading(world):
    return await world.call(world.model, "images", await world.call(world.model, "invoke", CAT))


async def completing(world):
    model = world.make_model(transport="completions")
    answer = await world.call(model, "invoke", CAT)
    return [answer, *await world.face.chunks(model, CAT), *await world.call(model, "images", answer)]


class Caption(BaseModel):
    title: str


async def structuring(world):
    asking = world.model.with_structured_output(Caption, include_raw=True)
    return [await world.call(asking, "invoke", "Generate an orange cat and give it a title.")]


async def using_the_tool(world):
    tool = MistralImageGenerationTool(model=world.model, image_store=world.store)
    call = {"type": "tool_call", "name": tool.name, "args": {"prompt": "an orange cat"}, "id": "1"}
    return [await world.call(tool, "invoke", call), tool]


async def running_a_graph(world):
    """With checkpoints in a file, by whose bytes it is judged."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    path, builder = str(world.folder / "checkpoints.db"), create_image_graph(world.model, image_store=world.store)
    asked = {"messages": [HumanMessage(CAT)]}
    if world.face.is_async:
        async with AsyncSqliteSaver.from_conn_string(path) as saver:
            return [await builder.compile(checkpointer=saver).ainvoke(asked, THREAD)]
    with SqliteSaver.from_conn_string(path) as saver:
        return [builder.compile(checkpointer=saver).invoke(asked, THREAD)]


async def streaming_a_graph(world):
    graph = create_image_graph(world.model, image_store=world.store).compile(checkpointer=InMemorySaver())
    modes = ["values", "updates", "custom", "messages", "debug"]
    return await world.face.chunks(graph, {"messages": [HumanMessage(CAT)]}, config=THREAD, stream_mode=modes)


async def using_the_api(world):
    """What the API returns is Mistral's own, signed URLs included, so it is only looked at."""
    agent = world.make(await world.call(world.model, "ensure_agent", "Painter"))
    answer = await world.call(agent, "invoke", CAT)
    conversation = answer.response_metadata["conversation_id"]
    flows = [
        api.list_agents(), api.get_agent(agent.agent_id), api.list_conversations(),
        api.conversation_history(conversation), api.list_files(), api.delete_conversation(conversation),
    ]  # fmt: skip
    return [answer, agent, *[Shown(await world.face.run(world.model, flow)) for flow in flows]]


async def tracing_images(world):
    """With the store at a public URL, which is none of the secrets."""
    graph = create_image_graph(world.model, image_store=world.store).compile()
    tracer = ImageTracer(public_url="https://example.com/images")
    return [await world.call(graph, "invoke", {"messages": [HumanMessage(CAT)]}, {"callbacks": [tracer]})]


class Shown(str):
    """A result of which only the looks count."""

    def __new__(cls, thing: Any) -> Self:
        return super().__new__(cls, f"{thing!r} {thing}")


async def using_the_command(world):
    env = {**os.environ, "MISTRAL_API_KEY": KEY, "MISTRAL_BASE_URL": world.sandbox.url, "LANGSMITH_TRACING": "false"}
    options = [[], ["--json"]][world.face.is_async]
    command = [sys.executable, "-m", "langchain_mistral_imagegen", *options, CAT]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    return [done]


OPERATIONS = [
    invoking, streaming, batching, downloading, completing, structuring, using_the_tool, running_a_graph,
    streaming_a_graph, tracing_images, using_the_api, using_the_command,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["tool_file", "url"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_nothing_leaks_when_all_goes_well(world, langsmith, log, spans, capfd, tmp_path, operation, shape):
    world.sandbox.behavior = Behavior(shape=shape, on="any", images=2)
    results = [*await operation(world), world.model, ToolFileNode(image_store=world.store, model=world.model)]
    traced = langsmith.traced()
    shown = [way for result in results for way in ways_to_show(result)]
    wanted = canaries(world.sandbox)
    assert world.sandbox.paid >= 2
    output = [traced, log.getvalue(), spans.exported(), *capfd.readouterr(), *files_below(tmp_path)]
    assert leaks(wanted, *shown, *output) == []
    assert leaks([b"orange", b"Here is your image"], spans.exported()) == []
    assert "gen_ai.response.id" in spans.exported() or operation is using_the_command
    assert "HTTP Request: POST" in log.getvalue() or operation is using_the_command
    assert b"orange cat" in traced or operation is using_the_command


ELSEWHERE = {"location": f"https://mistralaiblackforestprod.blob.core.windows.net/?sig={SIGNATURE}"}
UNREADABLE = {"outputs": f"https://mistralaiblackforestprod.blob.core.windows.net/?sig={SIGNATURE}"}
URL = Behavior(shape="url", images=2)

FAILURES = {
    "a key that is refused": [Behavior(on="any", status=401)],
    "too many requests": [Behavior(on="any", status=429)],
    "a quota": [Behavior(quota="day")],
    "an error of the server": [Behavior(on="any", status=500)],
    "an error that quotes a URL": [Behavior(on="any", status=400, body={"message": f"no {ELSEWHERE['location']}"})],
    "no answer in time": [Behavior(delay=0.3)],
    "a cut stream": [Behavior(shape="url", cut_after=9)],
    "an error in the stream": [Behavior(shape="url", error_after=9)],
    "an unreadable answer": [Behavior(status=200, body=UNREADABLE)],
    "an unreadable stream": [Behavior(events=f"data: {{{ELSEWHERE['location']}\n\n")],
    "a redirect": [Behavior(on="any", status=307, headers=ELSEWHERE)],
    "a download refused": [URL, Behavior(on="download", status=403)],
    "a download that fails": [URL, Behavior(on="download", status=500)],
    "a download not in time": [URL, Behavior(on="download", delay=0.3)],
    "a download cut": [URL, Behavior(on="download", cut_after=10_000)],
    "a download redirected": [URL, Behavior(on="download", status=302, headers=ELSEWHERE)],
    "a signed URL expired": [Behavior(shape="url", expired=True), Behavior(on="download", expired=True)],
    "a file cut": [Behavior(on="download", cut_after=10_000)],
    "not an image": [Behavior(file_bytes=b"<html>" + HEAD)],
}


async def storing(world):
    node = ToolFileNode(image_store=world.store, model=world.model)
    return [await world.call(node, "invoke", {"messages": [await world.call(world.model, "invoke", CAT)]})]


async def caught(work) -> list[Any]:
    """Return the error, or what was returned instead."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001
        return [error]


@pytest.mark.slow
@pytest.mark.parametrize("failure", FAILURES)
async def test_nothing_leaks_when_it_fails(world, langsmith, log, spans, capfd, tmp_path, failure):
    for behavior in FAILURES[failure]:
        world.sandbox.behave(behavior, times=None)
    world.model = world.make_model(timeout=0.1)
    operations = (downloading, streaming, using_the_tool, storing)
    results = [result for operation in operations for result in await caught(operation(world))]
    assert any(isinstance(result, Exception) or "'failed'" in str(result) for result in results)
    shown = [way for result in results for way in ways_to_show(result)]
    wanted = canaries(world.sandbox)
    output = [langsmith.traced(), log.getvalue(), spans.exported(), *capfd.readouterr(), *files_below(tmp_path)]
    assert leaks(wanted, *shown, *output) == []


async def test_nothing_leaks_when_nobody_answers_or_the_disk_refuses(world, langsmith, log, tmp_path):
    (tmp_path / "file").write_text("in the way")
    tool = MistralImageGenerationTool(model=world.model, image_store=str(tmp_path / "file" / "below"))
    world.sandbox.behavior = Behavior(shape="url")
    refused = await caught(world.call(tool, "generate", "an orange cat"))
    unheard = await caught(world.call(world.make_model(base_url="http://127.0.0.1:9"), "invoke", CAT))
    shown = [way for error in (*refused, *unheard) for way in ways_to_show(error)]
    assert [type(error).__name__ for error in (*refused, *unheard)] == ["ImageStoreError", "APIConnectionError"]
    assert leaks(canaries(world.sandbox), *shown, langsmith.traced(), log.getvalue()) == []


WRONG_SETTINGS = [
    {"api_key": 5},
    {"api_key": [KEY]},
    {"api_key": f"{KEY}\u00e9"},
    {"api_key": f"{KEY}\r\nx: y"},
    {"base_url": 5},
    {"base_url": "not a URL"},
    {"temperature": "hot"},
    {"default_headers": {"x": [HEADER]}},
    {"model_kwargs": {"temperature": 1}},
    {"model": "m", "agent_id": "a"},
]


@pytest.mark.parametrize("wrong", WRONG_SETTINGS, ids=str)
async def test_wrong_settings_do_not_show_the_key(face, sandbox, wrong):
    given = {"api_key": KEY, "default_headers": {"x-gateway": HEADER}, "base_url": sandbox.url, "max_retries": 0}
    with pytest.raises(Exception) as caught:
        await face.call(ChatMistralConversations(**{**given, **wrong}), "invoke", "Hello")
    shown = [way(error) for error in chain(caught.value) for way in (repr, str)]
    assert leaks(canaries(sandbox), *shown) == []


DATA = base64.b64encode(HEAD).decode()
WRONG_INPUT = [
    {"type": "image", "base64": DATA},
    {"type": "image", "base64": DATA, "mime_type": 5},
    {"type": "audio", "base64": DATA, "mime_type": "audio/wav"},
    {"type": "video", "url": ELSEWHERE["location"]},
    {"type": "file", "base64": DATA, "mime_type": "application/x"},
    {"type": "image_url", "image_url": [DATA]},
    {"type": "image_url", "image_url": {"address": ELSEWHERE["location"]}},
    {"type": "of the future", "data": DATA, "url": ELSEWHERE["location"]},
]


@pytest.mark.parametrize("block", WRONG_INPUT, ids=" ".join)
async def test_errors_do_not_quote_images_that_were_passed_in(face, sandbox, make_model, block):
    (result,) = await caught(asking(face, make_model(api_key=KEY), [HumanMessage([block])]))
    errors = chain(result) if isinstance(result, Exception) else []
    assert leaks(canaries(sandbox), *(way(error) for error in errors for way in (repr, str))) == []


async def asking(face, model, messages):
    return [await face.call(model, "invoke", messages)]


def test_space_around_a_key_is_not_part_of_it():
    assert ChatMistralConversations(api_key=f" {KEY}\n").mistral_api_key.get_secret_value() == KEY


def test_an_unpickled_model_takes_the_key_of_its_environment(sandbox, make_model, monkeypatch):
    data = pickle.dumps(make_model(api_key=KEY))
    with pytest.raises(MissingAPIKeyError):
        make_model(pickle.loads(data)).invoke("Hello")
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    assert make_model(pickle.loads(data)).invoke("Hello").text.startswith("Hello!")


def test_the_search_finds_what_it_is_for(sandbox):
    """Locals of the HTTP library, chained errors, escaped bytes."""
    failing = types.FunctionType(compile("key = given\n1 / 0", "", "exec"), {"__name__": "httpx", "given": KEY})
    with pytest.raises(RuntimeError) as caught:
        try:
            failing()
        except ZeroDivisionError as error:
            raise RuntimeError(HEAD) from error
    found = "".join(leaks(canaries(sandbox), *ways_to_show(caught.value)))
    assert KEY in found
    assert "JFIF" in found
