"""Very many: references in a state, objects in a store, turns in a history, turns of a model, and event loops.

Each test prints what it measured: `pytest --nightly -n 0 -s tests/scenarios/test_scale.py`. The bounds only notice what grows with
the square, or is kept for each of many.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_mistralai import ChatMistralAI
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, ImageDeltaState
from langchain_mistral_imagegen.garbage import collect_garbage

pytestmark = pytest.mark.nightly
THREAD = {"configurable": {"thread_id": "1"}}


def cpu(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that this process spends on something."""
    start = time.process_time()
    work()
    return time.process_time() - start


def resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


@contextmanager
def traced() -> Iterator[list[float]]:
    """Yield a list that gets the peak of the memory that Python took meanwhile, in MB."""
    peak: list[float] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1] / 1e6)
    finally:
        tracemalloc.stop()


def model_of(url: str, **settings) -> ChatMistralConversations:
    return ChatMistralConversations(base_url=url, api_key="k", max_retries=0, **settings)


# --- a state ---


def reference(number: int) -> dict[str, object]:
    key = f"{number:064x}"
    return {"id": f"f{number}", "file_id": f"f{number}", "status": "stored", "key": f"{key[-2:]}/{key}.png"}


def written(saver: SqliteSaver) -> int:
    """Count the bytes of all checkpoints and writes."""
    counts = "SELECT sum(length(checkpoint)) FROM checkpoints", "SELECT sum(length(value)) FROM writes"
    return sum(saver.conn.execute(count).fetchone()[0] for count in counts)


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_a_state_of_very_many_references(tmp_path, count):
    """One more reference costs what one more entry in a dict costs, and a checkpoint holds what changed."""
    numbers = iter(range(count + 20))

    def add(many: int):
        return lambda _: {"images": {ref["id"]: ref for ref in (reference(next(numbers)) for _ in range(many))}}

    builder = StateGraph(ImageDeltaState)
    builder.add_node("all", add(count))
    builder.add_node("one", add(1))
    builder.add_conditional_edges(START, lambda state: "one" if state.get("images") else "all", ["one", "all"])
    builder.add_edge("all", END)
    builder.add_edge("one", END)
    database = tmp_path / "checkpoints.sqlite"
    with SqliteSaver.from_conn_string(str(database)) as saver:
        graph = builder.compile(checkpointer=saver)

        def turn() -> None:
            graph.invoke({"messages": [("user", "Another.")]}, THREAD)

        first = cpu(turn)
        before = written(saver)
        turns = [cpu(turn) for _ in range(20)]
        grown = written(saver) - before
        assert len(graph.get_state(THREAD).values["images"]) == count + 20
    later = statistics.median(turns)
    print(f"\n{count:,} references: first {first:.2f} s, {later * 1e3:.1f} ms a turn, {grown / 20e3:.1f} kB a turn")
    assert later < 10
    assert grown < 20 * 1_000_000


# --- a store ---


@pytest.fixture
def memory_disk(tmp_path) -> Iterator[Path]:
    """A folder in memory, where there is one: a million files take long to make on a disk."""
    shared = Path("/dev/shm")  # noqa: S108
    if not shared.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


def test_a_store_of_a_million_objects_is_listed_lazily(memory_disk):
    count = 1_000_000
    for number in range(256):
        (memory_disk / f"{number:02x}").mkdir()
    empty = memory_disk / "empty"
    empty.touch()
    for number in range(count):
        name = f"{number % 256:02x}{number:062x}"
        # A file may have some ten thousand names; an inode for each would take a gigabyte of memory.
        if number % 10_000 == 0:
            source = memory_disk / f"{name[:2]}/{name}.png"
            source.touch()
        else:
            (memory_disk / f"{name[:2]}/{name}.png").hardlink_to(source)
    empty.unlink()
    store = FsspecImageStore(str(memory_disk))
    with traced() as peak:
        listed = cpu(lambda: sum(1 for _ in store.all_keys()))
    with traced() as first:
        next(store.all_keys())
    assert sum(1 for _ in store.all_keys()) == count
    with traced() as swept:
        took = cpu(lambda: collect_garbage(store, [reference(1)], grace=timedelta(days=7)))
    print(f"\n1,000,000 objects: listed in {listed:.1f} s with {peak[0]:.1f} MB, the first with {first[0]:.1f} MB;")
    print(f"looked through by collect_garbage in {took:.1f} s with {swept[0]:.1f} MB")
    assert max(*peak, *first, *swept) < 30


# --- a history ---


def test_a_turn_after_two_thousand_is_no_dearer_than_langchains_own(sandbox_process):
    """Both clients get the same texts; ours also recognises its conversation and looks at the server first."""
    turns = 2_000
    with model_of(sandbox_process, tools=[], continuation="append") as model:
        history: list[BaseMessage] = []
        for number in range(turns):
            history.append(HumanMessage(f"What is {number} plus one?"))
            history.append(model.invoke(history))
        history.append(HumanMessage("And the last?"))
        other = ChatMistralAI(endpoint=f"{sandbox_process}/v1", api_key="k", timeout=600)
        plain = [AIMessage(one.text) if isinstance(one, AIMessage) else one for one in history]
        prepared = min(cpu(lambda: model._prepare(history, {})[0].continues) for _ in range(5))
        ours = min(cpu(lambda: model.invoke(history)) for _ in range(5))
        theirs = min(cpu(lambda: other.invoke(plain)) for _ in range(5))
        other.client.close()
    with model_of(sandbox_process, tools=[]) as looking:
        looking._prepare(history, {})
        looked = min(cpu(lambda: looking.invoke(history)) for _ in range(3))
    print(f"\n{turns:,} turns, CPU of the last: prepared {prepared * 1e3:.1f} ms, sent {ours * 1e3:.1f} ms,")
    print(f"with the look at the server {looked * 1e3:.1f} ms; langchain-mistralai {theirs * 1e3:.1f} ms")
    assert ours < 3 * theirs


# --- a model ---


def test_twenty_thousand_turns_of_one_model(sandbox_process):
    with model_of(sandbox_process, tools=[]) as model:
        for number in range(500):
            model.invoke(f"What is {number}?")
        before = resident()

        def thousand(start: int) -> None:
            for number in range(1_000):
                model.invoke(f"What is {start + number}?")

        times = [cpu(lambda start=start: thousand(start)) for start in range(0, 20_000, 1_000)]
        grown = resident() - before
    print(f"\n20,000 turns: {times[0]:.2f} s of CPU for the first thousand, {times[-1]:.2f} s for the last;", end=" ")
    print(f"memory grew by {grown:.1f} MB")
    assert times[-1] < 2 * times[0] + 1
    assert grown < 40  # what messages became is remembered in at most 16 MB


def test_two_thousand_event_loops(sandbox_process):
    model = model_of(sandbox_process, tools=[])

    async def turn(number: int) -> str:
        return (await model.ainvoke(f"What is {number}?")).text

    for number in range(50):
        asyncio.run(turn(number))
    process = psutil.Process()
    before, files = resident(), process.num_fds()
    for number in range(2_000):
        assert asyncio.run(turn(number))
    print(f"\n2,000 event loops: memory grew by {resident() - before:.1f} MB, files by {process.num_fds() - files}")
    assert process.num_fds() <= files + 2
    assert len(model._async_client._connections._by_loop) <= 1
    assert resident() - before < 40
