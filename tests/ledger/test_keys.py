"""Keys against the installed LangGraph: the same work has one key, new work another, and private names are there."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send

from langchain_mistral_imagegen._ledger import keys
from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.keys import Task, task_key
from langchain_mistral_imagegen._ledger.records import See
from langchain_mistral_imagegen._protocol.flows import Blocking, Pause
from langchain_mistral_imagegen.stores._ledger_files import FolderFiles

THREAD: Any = {"configurable": {"thread_id": "1"}}


def add(left, right):
    return left + right


class State(TypedDict):
    log: Annotated[list, add]


def drive(flow):
    """Run a flow of what blocks and pauses."""
    result, method = None, flow.send
    while True:
        try:
            effect = method(result)
        except StopIteration as end:
            return end.value
        match effect:
            case Blocking(call):
                result = call()
            case Pause(seconds):
                result = time.sleep(seconds)


class Draw:
    """A node that notes its key, and fails as often as the test demands."""

    def __init__(self, folder, failures=0):
        self.ledger = Ledger(FolderFiles(folder))
        self.failures = failures
        self.keys = []
        self.tasks = []

    def __call__(self, state, config):
        self.tasks.append(Task.of(config))
        self.keys.append(drive(task_key(self.tasks[-1], self.ledger, "a cat")))
        if self.failures:
            self.failures -= 1
            raise ConnectionError
        return {"log": [1]}


def graph(node, saver=None, **options):
    builder = StateGraph(State)
    builder.add_node("draw", node, **options)
    builder.add_edge(START, "draw")
    builder.add_edge("draw", END)
    return builder.compile(checkpointer=saver)


def run(running, given, config=None, **options):
    with contextlib.suppress(ConnectionError):
        running.invoke(given, config or THREAD, **options)


INPUT = {"log": [0]}


@pytest.fixture
def draw(tmp_path):
    return Draw(tmp_path)


def test_langgraph_still_has_the_names_that_are_read(draw, caplog):
    run(graph(draw, InMemorySaver()), INPUT, durability="sync")
    (seen,) = draw.tasks
    assert isinstance(seen.checkpointer, InMemorySaver)
    assert len(seen.checkpoints[""]) == 36
    assert drive(seen.is_durable(""))
    assert not caplog.records
    run(graph(draw, InMemorySaver()), INPUT, durability="exit")
    assert draw.tasks[-1].is_exit


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_retried_or_resumed_node_has_the_same_key(draw, durability):
    draw.failures = 3
    running = graph(
        draw, InMemorySaver(), retry_policy=RetryPolicy(initial_interval=0.01, max_attempts=2, retry_on=OSError)
    )
    for given in (INPUT, None):
        run(running, given, durability=durability)
    assert (len(draw.keys), len(set(draw.keys))) == (4, 1)


def test_a_killed_run_without_checkpoints_has_the_same_key_when_it_is_run_again(draw):
    """Under `exit` nothing of a killed run is kept: a saver that forgets stands for the kill."""
    run(graph(draw, InMemorySaver()), INPUT, durability="exit")
    run(graph(draw, InMemorySaver()), INPUT, durability="exit")
    assert len(set(draw.keys)) == 1


class NoCheckpoints:
    def get_tuple(self, config):
        return None


def test_of_two_processes_that_resume_a_run_without_checkpoints_the_slower_one_takes_the_others_key(tmp_path):
    task = Task(thread="1", segments=("draw:1",), checkpoints={"": "c"}, checkpointer=NoCheckpoints(), is_exit=True)
    ledger = Ledger(FolderFiles(tmp_path))
    flow = task_key(task, ledger, "a cat")
    head = next(flow).call()
    assert ledger.create(task.key("a cat"), 0, See(key="theirs"))
    with pytest.raises(StopIteration) as end:
        effect = flow.send(head)
        while True:
            effect = flow.send(effect.call())
    assert end.value.value == "theirs"


def test_new_input_and_a_fork_and_a_replay_have_other_keys(draw):
    running = graph(draw, InMemorySaver())
    run(running, INPUT)
    run(running, INPUT)
    before = next(saved for saved in running.get_state_history(THREAD) if saved.next == ("draw",))
    run(running, None, before.config)
    run(running, None, running.update_state(before.config, {"log": [2]}))
    run(running, INPUT, {"configurable": {"thread_id": "2"}})
    assert (len(draw.keys), len(set(draw.keys))) == (5, 5)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointer", [None, True])
def test_a_subgraph_that_its_parent_retries_has_the_same_key(draw, checkpointer):
    draw.failures = 2
    inner = graph(draw, checkpointer)
    running = graph(
        inner, InMemorySaver(), retry_policy=RetryPolicy(initial_interval=0.01, max_attempts=2, retry_on=OSError)
    )
    for given in (INPUT, None):
        run(running, given)
    assert (len(draw.keys), len(set(draw.keys))) == (3, 1)


def test_each_send_and_each_call_of_a_task_has_its_own_key(draw):
    builder = StateGraph(State)
    builder.add_node("draw", draw)
    builder.add_conditional_edges(START, lambda state: [Send("draw", INPUT), Send("draw", INPUT)], ["draw"])
    run(builder.compile(checkpointer=InMemorySaver()), INPUT)
    assert len(set(draw.keys)) == 2
    one = draw.tasks[0]
    assert len({Task.of(None) or one.key(), *(Task(**{**vars(one), "call": call}).key() for call in "ab")}) == 3


def test_two_equal_functions_of_an_entrypoint_have_two_keys_and_keep_them(draw):
    failures = [1]

    @task
    def drawn(prompt, config=None):
        from langgraph.config import get_config

        return draw(prompt, get_config())

    @entrypoint(checkpointer=InMemorySaver())
    def work(prompt):
        results = [drawn(prompt).result(), drawn(prompt).result()]
        if failures:
            failures.pop()
            raise ConnectionError
        return results

    run(work, "a cat")
    first = list(draw.keys)
    assert len(set(first)) == 2
    run(work, "a cat")
    assert not set(first) & set(draw.keys[2:])


def test_without_a_thread_there_is_no_task():
    assert Task.of(None) is None
    assert Task.of({"configurable": {"checkpoint_ns": "draw:1"}}) is None


class Slow(InMemorySaver):
    def put(self, *args):
        time.sleep(0.1)
        return super().put(*args)


def test_a_checkpoint_that_is_being_written_is_waited_for(tmp_path):
    seen = []

    class Watched(Draw):
        def __call__(self, state, config):
            seen.append(drive(Task.of(config).is_durable("")))
            super().__call__(state, config)
            seen.append(drive(self.tasks[-1].is_durable("")))
            return {"log": [1]}

    run(graph(Watched(tmp_path), Slow()), INPUT, durability="async")
    assert seen == [False, True]


def test_a_langgraph_without_those_names_is_reported_once(draw, caplog):
    keys._warned.clear()
    for _ in range(2):
        drive(task_key(Task(thread="1", segments=("draw:1",)), draw.ledger))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert 'durability="sync"' in caplog.text
    assert threading.active_count() < 50
