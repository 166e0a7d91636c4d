"""Whatever ends early or never: sockets, files, tasks, threads and memory are where they were."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_process import stop

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, MistralImageGenerationTool
from langchain_mistral_imagegen._conversations.continuation import CLAIMS
from langchain_mistral_imagegen._http.pools import most_connections
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.errors import MistralImagegenError
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

SLOW = {
    "draw": Behavior(delay=30),
    "stream": Behavior(pace=30),
    "download": Behavior(on="download", pace=30, file_size=300_000),
}


def connections(sandbox: Sandbox) -> int:
    """Count the connections that the server has not seen the end of."""
    return len(sandbox._server.server_state.connections)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def incoming(folder: Path) -> list[Path]:
    return list(folder.rglob(".incoming-*"))


def own_threads() -> list[threading.Thread]:
    """Leave out the pool for disks, which has 8 at most and stays, and those of the sandbox's event loop."""
    others = ("mistral-imagegen", "asyncio_", "uvloop_")
    return [thread for thread in threading.enumerate() if not thread.name.startswith(others)]


async def read(chunks) -> None:
    async for _ in chunks:
        pass


CALLS = {
    "invoke": ("draw", lambda world: world.model.ainvoke("Draw a cat.")),
    "batch": ("draw", lambda world: world.model.abatch(["Draw a cat."] * 4)),
    "stream before its first event": ("draw", lambda world: read(world.model.astream("Draw a cat."))),
    "stream": ("stream", lambda world: read(world.model.astream("Draw a cat."))),
    "tool that draws": ("draw", lambda world: world.tool.ainvoke("a cat")),
    "tool that stores": ("download", lambda world: world.tool.ainvoke("a cat")),
    "images": ("download", lambda world: world.model.aimages(world.answer)),
    "store_images": ("download", lambda world: world.model.astore_images(world.refs * 20, world.store)),
}


@pytest.fixture
async def world(sandbox, make_model, tmp_path):
    answer = await make_model().ainvoke("Draw a cat.")
    model, store = make_model(), FsspecImageStore(str(tmp_path))
    tool = MistralImageGenerationTool(model=model, image_store=store)
    return SimpleNamespace(model=model, store=store, tool=tool, answer=answer, refs=images_of(answer))


@pytest.mark.parametrize("call", CALLS)
async def test_cancelling_closes_the_socket_at_once_and_leaves_nothing(sandbox, world, tmp_path, call):
    slow, start = CALLS[call]
    sandbox.behave(SLOW[slow], times=None)
    before, tasks, threads = connections(sandbox), asyncio.all_tasks(), own_threads()
    running = asyncio.create_task(start(world))
    if slow == "draw":
        await until(lambda: sandbox.waiting)
    else:
        await until(lambda: connections(sandbox) > before and sandbox.requests[1:] and not sandbox.waiting)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: asyncio.all_tasks() == tasks)  # LangChain's batch does not wait for those that it cancels
    assert (incoming(tmp_path), own_threads()) == ([], threads)
    idle = 1 if call == "tool that stores" else 0  # the drawing's may take the download; else it stays
    await until(lambda: connections(sandbox) <= before + idle)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["restart", "write"])
async def test_cancelling_while_a_thread_is_at_the_disk_leaves_no_file(sandbox, world, tmp_path, monkeypatch, moment):
    from langchain_mistral_imagegen.stores._incoming import IncomingImage

    arrived, may_go_on, gone_on = threading.Event(), threading.Event(), threading.Event()
    do = getattr(IncomingImage, moment)

    def slow(self, *args):
        arrived.set()
        may_go_on.wait(5)
        try:
            do(self, *args)
        finally:
            gone_on.set()

    monkeypatch.setattr(IncomingImage, moment, slow)
    running = asyncio.create_task(world.model.astore_images(world.refs, world.store))
    await until(arrived.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    may_go_on.set()
    await until(gone_on.is_set)
    assert incoming(tmp_path) == []


def close(chunks) -> None:
    next(chunks)
    chunks.close()


def leave(chunks) -> None:
    for _ in chunks:
        break


@pytest.mark.parametrize("end", [close, leave])
def test_a_stream_that_is_left_closes_its_socket_at_once(sandbox, end):
    sandbox.behave(Behavior(pace=0.3), times=None)
    with ChatMistralConversations(base_url=sandbox.url, api_key="k") as model:
        end(model.stream("Draw a cat."))
        wait_until(lambda: not connections(sandbox))
        assert not CLAIMS._taken


async def aclose(chunks) -> None:
    await anext(chunks)
    await chunks.aclose()


async def aleave(chunks) -> None:
    async for _ in chunks:
        break


@pytest.mark.parametrize("end", [aclose, aleave])
async def test_an_async_stream_that_is_left_closes_its_socket_at_once(sandbox, make_model, end):
    sandbox.behave(Behavior(pace=0.3), times=None)
    model, tasks = make_model(), asyncio.all_tasks()
    await end(model.astream("Draw a cat."))
    await until(lambda: not connections(sandbox))
    await until(lambda: asyncio.all_tasks() == tasks)


# --- a thousand turns ---


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


class Turns:
    """Turns that go well, fail, are cut off and are left, one of each kind in a round."""

    def __init__(self, url: str, folder: Path) -> None:
        self.store = FsspecImageStore(str(folder))
        knobs = {"well": {}, "fails": {"status": 500}, "cut": {"cut_after": 3}}
        self.models = {name: self.model(url, behavior) for name, behavior in knobs.items()}

    def model(self, url: str, behavior: dict) -> ChatMistralConversations:
        headers = {"x-sandbox-behavior": json.dumps(behavior)}
        return ChatMistralConversations(base_url=url, api_key="k", max_retries=0, default_headers=headers)

    def round(self) -> None:
        answer = self.models["well"].invoke("Draw a cat.")
        for model in self.models.values():
            with suppress(MistralImagegenError):
                list(model.stream("Draw a dog."))
            with suppress(MistralImagegenError):
                model.images(answer)
            model.store_images(images_of(answer), self.store)
        leave(self.models["well"].stream("Draw a fish."))

    async def around(self) -> None:
        answer = await self.models["well"].ainvoke("Draw a cat.")
        for model in self.models.values():
            with suppress(MistralImagegenError):
                await read(model.astream("Draw a dog."))
            with suppress(MistralImagegenError):
                await model.aimages(answer)
            await model.astore_images(images_of(answer), self.store)
        await aleave(self.models["well"].astream("Draw a fish."))

    def close(self) -> None:
        for model in self.models.values():
            model.close()

    async def aclose(self) -> None:
        for model in self.models.values():
            await model.aclose()


def held() -> tuple[int, int, int]:
    gc.collect()
    return descriptors(), len(own_threads()), tracemalloc.get_traced_memory()[0]


TURNS_A_ROUND = 11


def assert_as_before(before: tuple[int, int, int], folder: Path) -> None:
    files, threads, memory = held()
    assert (max(files, before[0]), threads, incoming(folder)) == (before[0], before[1], [])
    assert memory - before[2] < 300_000, f"{memory - before[2]:,} bytes grown"


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.slow
def test_five_hundred_turns_leave_nothing(sandbox_process, tmp_path, traced):
    turns = Turns(sandbox_process, tmp_path)
    for _ in range(3):
        turns.round()
    before = held()
    for _ in range(500 // TURNS_A_ROUND + 1):
        turns.round()
    assert_as_before(before, tmp_path)
    kept = [model._client._connections._of_this_process() for model in turns.models.values()]
    assert {slots._value for _, slots in kept} == {most_connections()}
    turns.close()


@pytest.mark.slow
async def test_five_hundred_async_turns_leave_nothing(sandbox_process, tmp_path, traced):
    turns = Turns(sandbox_process, tmp_path)
    for _ in range(3):
        await turns.around()
    before, tasks = held(), asyncio.all_tasks()
    for _ in range(500 // TURNS_A_ROUND + 1):
        await turns.around()
    kept = [await model._async_client._connections.of_this_loop() for model in turns.models.values()]
    await until(lambda: {slots._value for _, slots, _ in kept} == {most_connections()})
    await until(lambda: asyncio.all_tasks() == tasks)
    assert_as_before(before, tmp_path)
    await turns.aclose()


@pytest.mark.slow
async def test_models_that_are_forgotten_take_their_connections_with_them(sandbox, face):
    async def forget():
        await face.call(ChatMistralConversations(base_url=sandbox.url, api_key="k"), "invoke", "Hello!")

    for _ in range(20):
        await forget()
    gc.collect()
    await until(lambda: not connections(sandbox))


# --- other processes and other loops ---


STRICT = [sys.executable, "-X", "dev", "-W", "error", "-c"]


def run(url: str, *script: str) -> str:
    """Run a program that closes nothing, and return its output."""
    done = subprocess.run([*STRICT, "".join(script), url], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.strip()


START = """
import asyncio, logging, os, sys
logging.getLogger("asyncio").setLevel("ERROR")  # imports are slow callbacks
from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore
from langchain_mistral_imagegen._messages.references import images_of
model = ChatMistralConversations(base_url=sys.argv[1], api_key="k")
store = FsspecImageStore("images")
"""
SYNC = """
def turn():
    answer = model.invoke("Draw a cat.")
    for chunk in model.stream("Draw a cat."):
        break
    return model.store_images(images_of(answer) * 2, store)[0]["status"]
"""
ASYNC = """
async def aturn():
    answer = await model.ainvoke("Draw a cat.")
    async for chunk in model.astream("Draw a cat."):
        break
    return (await model.astore_images(images_of(answer) * 2, store))[0]["status"]

def turn():
    return asyncio.run(aturn())
"""


@pytest.mark.slow
@pytest.mark.parametrize("turn", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_program_that_closes_nothing_ends_without_a_warning(sandbox, turn):
    assert run(sandbox.url, START, turn, "print(turn())\nprint(turn())") == "stored\nstored"


FORK = """
print(turn(), flush=True)
child = os.fork()
if not child:
    print(turn(), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], turn())
"""


@pytest.mark.slow
@pytest.mark.parametrize("turn", [SYNC, ASYNC], ids=["sync", "async"])
def test_after_a_fork_both_processes_go_on_with_connections_of_their_own(sandbox, turn):
    assert run(sandbox.url, START, turn, FORK) == "stored\nstored\n0 stored"


IN_A_LOOP = """
async def main():
    await aturn()
    child = os.fork()
    if not child:
        print(turn(), flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1], await aturn())
asyncio.run(main())
"""


@pytest.mark.slow
def test_a_fork_inside_an_event_loop_leaves_the_parent_s_loop_alone(sandbox):
    assert run(sandbox.url, START, ASYNC, IN_A_LOOP) == "stored\n0 stored"


def test_a_child_does_not_speak_on_its_parent_s_socket(sandbox):
    with ChatMistralConversations(base_url=sandbox.url, api_key="k") as model:
        model.invoke("Hello!")
        sandbox.behave(Behavior(delay=0.3))
        if not (child := os.fork()):
            with suppress(BaseException):
                model.invoke("Hello!")
            os._exit(0)
        wait_until(lambda: sandbox.waiting)
        assert connections(sandbox) == 2
        os.waitpid(child, 0)
        wait_until(lambda: connections(sandbox) == 1)
        assert len(sandbox.requests) == 2


def test_an_event_loop_that_ends_takes_its_connections_with_it(sandbox):
    model = ChatMistralConversations(base_url=sandbox.url, api_key="k")
    for _ in range(2):
        asyncio.run(model.ainvoke("Hello!"))
        wait_until(lambda: not connections(sandbox))


async def test_with_blocks_close_the_connections(sandbox):
    with ChatMistralConversations(base_url=sandbox.url, api_key="k") as model:
        model.invoke("Hello!")
        assert connections(sandbox) == 1
    await until(lambda: not connections(sandbox))
    async with ChatMistralConversations(base_url=sandbox.url, api_key="k") as model:
        await model.ainvoke("Hello!")
        assert connections(sandbox) == 1
    await until(lambda: not connections(sandbox))


# --- Ctrl-C ---

WAITS = {
    "invoke": ("draw", 'model.invoke("Draw a cat.")'),
    "stream": ("stream", 'list(model.stream("Draw a cat."))'),
    "downloads": ("download", "model.store_images(refs * 20, store)"),
    "downloads before their first byte": ("no byte", "model.store_images(refs * 20, store)"),
    "async downloads": ("download", "asyncio.run(model.astore_images(refs * 20, store))"),
}


@pytest.mark.slow
@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_program_at_once_and_leaves_no_file(sandbox, tmp_path, wait):
    slow, code = WAITS[wait]
    with ChatMistralConversations(base_url=sandbox.url, api_key="k") as model:
        refs = images_of(model.invoke("Draw a cat."))
    sandbox.behave(SLOW.get(slow) or Behavior(on="download", delay=30), times=None)
    program = f"{START}refs = {refs!r}\n{code}"
    with subprocess.Popen([*STRICT, program, sandbox.url], stderr=subprocess.PIPE, text=True) as process:
        wait_for = incoming if slow == "download" else lambda _: sandbox.waiting or sandbox.requests[1:]
        wait_until(lambda: wait_for(tmp_path) or process.poll() is not None)
        _, errors = stop(process)
    assert (errors.count("Traceback"), errors.splitlines()[-1]) in {(1, "KeyboardInterrupt"), (2, "KeyboardInterrupt")}
    assert incoming(tmp_path) == []
