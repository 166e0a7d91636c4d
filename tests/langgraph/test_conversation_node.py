"""`ConversationNode` pays once, whatever crashes: with real processes that are really killed."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from killable_graph import graph_of
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy
from places import SUPPORT, arriving, stored_images

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    ConversationNode,
    FsspecImageStore,
    ImageState,
    create_image_graph,
    images_of,
)
from langchain_mistral_imagegen._conversations.turn import prepare
from langchain_mistral_imagegen._ledger import keys
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    ImageStoreError,
    InvalidInputError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

PROGRAM = SUPPORT / "killable_graph.py"
THREAD = {"configurable": {"thread_id": "1"}}
CAT, BLUE = HumanMessage("Generate an orange cat in an office."), HumanMessage("Make it blue.")
MOMENTS = ["in the call", "after the call", "before the download", "in the download"]


def run(sandbox: Sandbox, folder: Path, durability: str, moment: str = "never") -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), sandbox.url, str(folder), durability, moment]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_once(sandbox: Sandbox, folder: Path, durability: str, moment: str) -> int:
    """Run the program until its moment has come, and return how it ended."""
    if moment == "in the call":
        sandbox.behavior = Behavior(images=3, on="any", delay=0.5)
    if moment == "in the download":
        sandbox.behavior = Behavior(images=3, on="any", file_size=1_500_000)
        sandbox.behave(Behavior(on="download", pace=0.2), times=3)
    program = run(sandbox, folder, durability, moment)
    if moment == "in the call":
        wait_until(lambda: list(folder.glob("images/_ledger/*/*.json")))
        time.sleep(0.2)
        program.kill()
        sandbox.behavior = Behavior(images=3, on="any")
    if moment == "in the download":
        wait_until(lambda: half_downloaded(folder))
        program.kill()
    program.communicate(timeout=120)
    return program.returncode


def half_downloaded(folder: Path) -> bool:
    """Return whether images are arriving: hidden files have bytes."""
    return arriving(folder / "images") > 100_000


def wait_until(condition, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def trial(folder: Path, durability: str, moment: str) -> tuple[int, int, str, int]:
    """Kill the program, run it again, and return: how it was killed, what was paid, its output, what is stored."""
    folder.mkdir()
    with Sandbox(behavior=Behavior(images=3, on="any")) as sandbox:
        killed = kill_once(sandbox, folder, durability, moment)
        output, errors = (again := run(sandbox, folder, durability)).communicate(timeout=120)
        assert again.returncode == 0, errors
        return killed, sandbox.paid, output.strip(), len(stored_images(folder))


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_three_images_wanted_three_paid_three_stored(request, tmp_path, moment, durability):
    times = 5 if request.config.getoption("--nightly") else 2
    with ThreadPoolExecutor(times) as pool:
        trials = list(pool.map(lambda n: trial(tmp_path / str(n), durability, moment), range(times)))
    assert trials == [(-signal.SIGKILL, 3, "['stored', 'stored', 'stored']", 3)] * times


class AsyncOnly(InMemorySaver):
    """A checkpointer for event loops only."""

    def get_tuple(self, config):
        raise NotImplementedError("use aget_tuple")

    async def aget_tuple(self, config):
        return super().get_tuple(config)


def drawn_twice(node, saver):
    """Return a graph whose node is asked twice for one answer, as after a crash, and what it was answered."""
    answers = []

    async def draw(state, config):
        answers.extend([await node.arun(state, config) for _ in range(2)])
        return answers[-1]

    def draw_in_a_thread(state, config):
        answers.extend([node.run(state, config) for _ in range(2)])
        return answers[-1]

    async def draw_on_the_loop(state, config):
        return draw_in_a_thread(state, config)

    def graph(how):
        builder = StateGraph(ImageState)
        builder.add_node("draw", {"async": draw, "thread": draw_in_a_thread, "loop": draw_on_the_loop}[how])
        builder.add_edge(START, "draw")
        builder.add_edge("draw", END)
        return builder.compile(checkpointer=saver)

    return graph, answers


@pytest.mark.parametrize(
    ("saver", "how", "warnings"),
    [
        ("async only", "async", 0),
        ("async only", "thread", 1),
        ("sqlite", "async", 0),
        ("sqlite", "thread", 0),
        ("sqlite", "loop", 1),
    ],
)
@pytest.mark.parametrize("durability", ["async", "exit"])
async def test_a_checkpointer_of_the_other_kind_works_or_is_warned_of_once(
    make_model, sandbox, store, caplog, saver, how, warnings, durability
):
    keys._warned.clear()
    node = ConversationNode(make_model(), image_store=store)
    async with AsyncSqliteSaver.from_conn_string(":memory:") as sqlite:
        graph, answers = drawn_twice(node, sqlite if saver == "sqlite" else AsyncOnly())
        await graph(how).ainvoke({"messages": [CAT]}, THREAD, durability=durability)
    assert len({update["messages"][0].id for update in answers}) == sandbox.paid == 1
    found = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["cannot be read from here" in record.getMessage() for record in found] == [True] * warnings


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


def builder_of(node, **options):
    builder = StateGraph(ImageState)
    builder.add_node("draw", node, **options)
    builder.add_edge(START, "draw")
    builder.add_edge("draw", END)
    return builder


@pytest.mark.slow
async def test_an_answer_that_got_lost_is_adopted_by_a_retry(face, make_model, sandbox, store):
    """The connection dies while it draws: the retry finds the image instead of paying for another."""
    node = ConversationNode(make_model(timeout=0.5, max_retries=0), image_store=store)
    policy = RetryPolicy(retry_on=ConversationNode.retry_on, initial_interval=1.5)
    graph = builder_of(node, retry_policy=policy).compile(checkpointer=InMemorySaver())
    sandbox.behave(Behavior(delay=1.0))
    state = await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    assert len(images_of(state)) == sandbox.paid == 1
    assert state["messages"][-1].text.startswith("Here is your image")


@pytest.mark.slow
async def test_a_lost_append_is_adopted_and_continued(face, make_model, sandbox, store):
    node = ConversationNode(make_model(timeout=0.5, max_retries=0), image_store=store)
    policy = RetryPolicy(retry_on=ConversationNode.retry_on, initial_interval=1.5)
    graph = builder_of(node, retry_policy=policy).compile(checkpointer=InMemorySaver())
    await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    sandbox.behave(Behavior(delay=1.0))
    state = await face.call(graph, "invoke", {"messages": [BLUE]}, THREAD)
    assert sandbox.paid == 2
    posts = [request for request in sandbox.requests if request.method == "POST"]
    conversation = state["messages"][-1].response_metadata["conversation_id"]
    assert [request.path for request in posts] == ["/v1/conversations", f"/v1/conversations/{conversation}"]
    again = await face.call(graph, "invoke", {"messages": [HumanMessage("Hello")]}, THREAD)
    assert again["messages"][-1].response_metadata["conversation_id"] == conversation
    assert len(sandbox.entries(conversation)) == 8


@pytest.mark.parametrize("is_filtered", [True, False])
async def test_its_own_answer_is_adopted_also_from_a_list_of_all(face, make_model, sandbox, store, is_filtered):
    sandbox.behave(Behavior(on="list", filters_metadata=is_filtered), times=None)
    graph = builder_of(ConversationNode(make_model(streaming=True), image_store=store)).compile(
        checkpointer=InMemorySaver()
    )
    threads = [{"configurable": {"thread_id": name}} for name in "123"]
    for thread in threads:  # all are lost in the middle
        sandbox.behave(Behavior(cut_after=3))
        with pytest.raises(StreamInterruptedError):
            await face.call(graph, "invoke", {"messages": [CAT]}, thread)
    states = [await face.call(graph, "invoke", None, thread) for thread in threads]
    used = [state["messages"][-1].response_metadata["conversation_id"] for state in states]
    assert used == list(sandbox.conversations.by_id)
    assert sandbox.paid == 3


@pytest.mark.slow
async def test_the_same_in_a_subgraph_whose_parent_retries(face, make_model, sandbox, store):
    inner = builder_of(ConversationNode(make_model(timeout=0.5, max_retries=0), image_store=store)).compile()
    policy = RetryPolicy(retry_on=ConversationNode.retry_on, initial_interval=1.5)
    graph = builder_of(inner, retry_policy=policy).compile(checkpointer=InMemorySaver())
    sandbox.behave(Behavior(delay=1.0))
    state = await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    assert len(images_of(state)) == sandbox.paid == 1


@pytest.mark.slow
async def test_an_answer_that_comes_after_the_timeout_is_waited_for(face, make_model, sandbox, store):
    graph = builder_of(ConversationNode(make_model(timeout=0.3), image_store=store)).compile(
        checkpointer=InMemorySaver()
    )
    sandbox.behave(Behavior(delay=1.5))
    state = await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    assert len(images_of(state)) == sandbox.paid == 1


@pytest.mark.slow
async def test_what_was_not_carried_out_is_asked_again(face, make_model, sandbox, store):
    node = ConversationNode(make_model(timeout=2, max_retries=0, answer_within=0.6), image_store=store)
    graph = builder_of(node).compile(checkpointer=InMemorySaver())
    sandbox.behave(Behavior(status=503))
    with pytest.raises(OutcomeUnknownError, match="status 503"):
        await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    state = await face.call(graph, "invoke", None, THREAD)
    assert len(images_of(state)) == sandbox.paid == 1


async def test_a_fork_is_paid_for_and_does_not_mix(face, make_model, sandbox, store):
    graph = builder_of(ConversationNode(make_model(), image_store=store)).compile(checkpointer=InMemorySaver())
    await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    before = graph.get_state(THREAD).config
    blue = await face.call(graph, "invoke", {"messages": [BLUE]}, THREAD)
    other = await face.call(graph, "invoke", {"messages": [BLUE]}, before)
    assert sandbox.paid == 3
    ids = {state["messages"][-1].response_metadata["conversation_id"] for state in (blue, other)}
    assert len(ids) == 2


async def test_without_a_checkpointer_it_just_asks(face, make_model, sandbox, store):
    graph = builder_of(ConversationNode(make_model(), image_store=store)).compile()
    state = await face.call(graph, "invoke", {"messages": [CAT]})
    assert len(images_of(state)) == sandbox.paid == 1
    assert not Path(store.root, "_ledger").exists()


async def test_tools_may_be_bound(face, make_model, sandbox, store):
    def add(a: int, b: int) -> int:
        """Add two numbers."""

    graph = builder_of(ConversationNode(make_model().bind_tools([add]), image_store=store)).compile(
        checkpointer=InMemorySaver()
    )
    state = await face.call(graph, "invoke", {"messages": [HumanMessage("Use add for 3 and 4.")]}, THREAD)
    assert state["messages"][-1].tool_calls


async def test_tokens_are_streamed(face, make_model, store):
    graph = builder_of(ConversationNode(make_model(), image_store=store)).compile(checkpointer=InMemorySaver())
    parts = await face.chunks(graph, {"messages": [CAT]}, config=THREAD, stream_mode="messages")
    assert len(parts) > 5


async def test_a_record_that_cannot_be_written_stops_before_anything_is_paid(face, make_model, sandbox, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    node = ConversationNode(make_model(), image_store=str(tmp_path / "a file" / "images"))
    graph = builder_of(node).compile(checkpointer=InMemorySaver())
    with pytest.raises(ImageStoreError, match=r"a file.* nothing was asked or paid"):
        await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    assert sandbox.requests == []


def test_a_model_that_keeps_nothing_is_refused(make_model, store):
    with pytest.raises(InvalidInputError, match="needs store=True"):
        ConversationNode(make_model(store=False), image_store=store)
    ConversationNode(make_model(store=False), image_store=store, reconcile="off")


def test_what_is_worth_a_retry():
    assert ConversationNode.retry_on(OutcomeUnknownError("x"))
    assert ConversationNode.retry_on(RateLimitError("x", status_code=429))
    assert not ConversationNode.retry_on(QuotaExceededError("x", status_code=429))
    assert not ConversationNode.retry_on(ValueError("x"))


def test_it_pickles(make_model, store):
    node = pickle.loads(pickle.dumps(ConversationNode(make_model(), image_store=store)))
    assert node.messages_key == "messages"


def test_the_program_runs_without_being_killed(tmp_path, sandbox):
    graph = graph_of(sandbox.url, tmp_path, "never", InMemorySaver())
    assert len(graph.invoke({"messages": [CAT]}, THREAD)["images"]) == 1


@pytest.mark.parametrize("shape", ["url", "markdown"])
async def test_an_image_that_is_only_a_url_is_stored_before_it_expires(face, make_model, sandbox, store, shape):
    builder = create_image_graph(make_model(), image_store=store)
    graph = builder.compile(checkpointer=InMemorySaver(), interrupt_after=["draw"])
    sandbox.behave(Behavior(shape=shape, images=2))
    events = await face.chunks(
        graph, {"messages": [HumanMessage("Draw two cats.")]}, config=THREAD, stream_mode="custom"
    )
    assert [event["type"].rpartition(".")[2] for event in events] == ["generating", *["generated"] * 2, *["stored"] * 2]
    state = graph.get_state(THREAD).values
    sandbox.behavior = Behavior(on="download", expired=True)
    later = await face.call(graph, "invoke", None, THREAD)
    assert later["images"] == state["images"]
    assert [ref["status"] for ref in later["images"].values()] == ["stored"] * 2


async def test_one_that_cannot_be_stored_is_marked_and_left_to_the_next_node(face, make_model, sandbox, store):
    graph = create_image_graph(make_model(), image_store=store).compile(checkpointer=InMemorySaver())
    sandbox.behave(Behavior(shape="url"))
    sandbox.behave(Behavior(on="download", status=404))
    state = await face.call(graph, "invoke", {"messages": [HumanMessage("Draw a cat.")]}, THREAD)
    (ref,) = state["images"].values()
    assert (ref["status"], ref["attempts"]) == ("stored", 2)
    assert sandbox.paid == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "refusal",
    [Behavior(quota="minute"), Behavior(status=500, body={"object": "error", "message": "failed", "code": 3000})],
    ids=["quota", "500"],
)
async def test_a_refusal_is_not_waited_for(face, make_model, sandbox, store, refusal):
    sandbox.behave(refusal)
    graph = create_image_graph(make_model(max_retries=0), image_store=store).compile(checkpointer=InMemorySaver())
    before = time.monotonic()
    state = await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)  # its policy asks again after half a second
    assert time.monotonic() - before < 20
    assert (len(state["images"]), sandbox.paid) == (1, 1)
    assert kinds(store) == ["asking", "void", "asking", "answered"]


def kinds(store):
    """Return what the records of the only chain hold."""
    records = sorted(Path(store.root, "_ledger").glob("*/*.json"), key=lambda file: int(file.stem))
    return [json.loads(record.read_text())["kind"] for record in records]


async def test_a_connection_that_was_never_made_is_not_waited_for(face, make_model, store):
    node = ConversationNode(make_model(base_url="http://127.0.0.1:9", max_retries=0), image_store=store)
    with pytest.raises(APIConnectionError):
        await face.call(builder_of(node).compile(checkpointer=InMemorySaver()), "invoke", {"messages": [CAT]}, THREAD)
    assert kinds(store) == ["asking", "void"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "mistral-medium-latest"}, r"pass ChatMistralConversations\(model='mistral-medium-latest'\)"),
        ({"model": FakeListChatModel(responses=[])}, "ConversationNode needs .* it is of type FakeListChatModel"),
        ({"model": ChatMistralConversations}, "the class itself; pass an instance"),
        ({"image_store": 42}, "image_store=42 is no place for images"),
        ({"reconcile": "never"}, "reconcile='never' is not known; use 'on_resume', 'always' or 'off'"),
    ],
)
def test_a_wrong_argument_is_refused_at_construction(make_model, wrong, words):
    with pytest.raises(InvalidInputError, match=words):
        ConversationNode(**{"model": make_model(), **wrong})


def test_all_arguments_but_the_model_are_given_by_name(make_model):
    with pytest.raises(TypeError, match=r"ConversationNode was given \(ChatMistralConversations, str\) by position"):
        ConversationNode(make_model(), "images")


async def test_metadata_that_is_bound_to_the_model_is_kept(face, make_model, sandbox, store):
    bound = make_model().bind(conversation_metadata={"customer": "acme"})
    graph = builder_of(ConversationNode(bound, image_store=store)).compile(checkpointer=InMemorySaver())
    await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    (request,) = [request for request in sandbox.requests if request.method == "POST"]
    assert request.json["metadata"]["customer"] == "acme"
    assert request.json["metadata"].keys() == {"customer", "langchain_mistral_imagegen_key"}


async def test_a_turn_is_prepared_once_and_its_images_are_looked_for_once(
    face, make_model, sandbox, store, monkeypatch
):
    """Both read what grows with a conversation, so neither is done again."""
    done: list[str] = []

    def counted(function):
        def count(*args, **kwargs):
            done.append(function.__name__)
            return function(*args, **kwargs)

        return count

    rooms = "langchain_mistral_imagegen.langgraph.conversation_node", "langchain_mistral_imagegen.chat_models._turns"
    monkeypatch.setattr(f"{rooms[0]}.images_of", counted(images_of))
    monkeypatch.setattr(f"{rooms[1]}.prepare", counted(prepare))
    graph = builder_of(ConversationNode(make_model(), image_store=store)).compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", {"messages": [CAT]}, THREAD)
    assert len(images_of(state)) == sandbox.paid == 1
    assert done == ["prepare", "images_of"]
