"""After time travel the remote conversation still is the local history, and each branch has one of its own."""

from __future__ import annotations

import pytest
from histories import last_way, local, remote
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from langchain_mistral_imagegen import ConversationNode, ImageState
from langchain_mistral_imagegen.errors import ServerError, StreamInterruptedError
from langchain_mistral_imagegen.sandbox import Behavior

CAT, BLUE, RED, HAT = "Generate an orange cat in an office.", "Make it blue.", "Make it red.", "Add a hat."


def thread(name):
    return {"configurable": {"thread_id": name}}


class Threads:
    """A graph that draws, and a look at both histories after each message."""

    def __init__(self, face, graph, sandbox):
        self._face, self._graph, self.sandbox = face, graph, sandbox

    async def send(self, text, where, name="1"):
        """Send a message at a place (or nothing, to run again what comes there), and return the place after the answer.

        The remote conversation must be the local history then.
        """
        sent = {"messages": [("user", text)]} if text else None
        state = await self._face.call(self._graph, "invoke", sent, where)
        assert remote(self.sandbox, state["messages"][-1]) == local(state["messages"])
        return await self.tip(thread(name))

    async def tip(self, where):
        return (await self._face.call(self._graph, "get_state", where)).config

    async def values(self, where):
        return (await self._face.call(self._graph, "get_state", where)).values

    async def edit(self, where, messages, **options):
        return await self._face.call(self._graph, "update_state", where, {"messages": messages}, **options)

    async def before_answer(self, turn):
        """Return the place where the answer of a turn (1, 2, ...) is still to come."""
        if self._face.is_async:
            past = [place async for place in self._graph.aget_state_history(thread("1"))]
        else:
            past = list(self._graph.get_state_history(thread("1")))
        return [place.config for place in reversed(past) if place.next == ("draw",)][turn - 1]

    async def conversation(self, where):
        """Return id and entries of the conversation that a branch is in."""
        used = (await self.values(where))["messages"][-1].response_metadata["conversation_id"]
        return used, self.sandbox.entries(used)


@pytest.fixture(params=["memory", "sqlite"])
async def saver(request, face):
    if request.param == "memory":
        yield InMemorySaver()
    elif face.is_async:
        async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
            yield saver
    else:
        with SqliteSaver.from_conn_string(":memory:") as saver:
            yield saver


@pytest.fixture
def threads(face, make_model, sandbox, saver, tmp_path):
    builder = StateGraph(ImageState)
    builder.add_node(
        "draw", ConversationNode(make_model(streaming=True, timeout=2), image_store=str(tmp_path / "images"))
    )
    builder.add_edge(START, "draw")
    builder.add_edge("draw", END)
    return Threads(face, builder.compile(checkpointer=saver), sandbox)


@pytest.fixture
async def places(threads):
    """Three turns, and the places after each."""
    return [await threads.send(text, thread("1")) for text in (CAT, BLUE, RED)]


async def test_a_fork_has_a_conversation_of_its_own_and_the_old_branch_goes_on(threads, places, sandbox):
    old, entries = await threads.conversation(places[2])
    fork = await threads.send(HAT, places[0])
    assert last_way(sandbox) == "restart"
    assert sandbox.paid == 4
    assert sandbox.entries(old) == entries
    new, entries = await threads.conversation(fork)
    await threads.send(HAT, places[2])
    assert last_way(sandbox) == "append"
    assert (await threads.conversation(thread("1")))[0] == old != new
    assert sandbox.entries(new) == entries
    await threads.send(BLUE, fork)
    assert last_way(sandbox) == "append"
    assert sandbox.paid == 6


async def test_a_question_that_was_edited_is_replayed(threads, places, sandbox):
    old, entries = await threads.conversation(places[2])
    question = (await threads.values(places[2]))["messages"][0]
    await threads.edit(thread("1"), [HumanMessage("Generate a grey dog.", id=question.id)])
    await threads.send(HAT, thread("1"))
    assert (last_way(sandbox), sandbox.paid) == ("start", 4)
    assert sandbox.entries(old) == entries
    await threads.send(BLUE, thread("1"))
    assert last_way(sandbox) == "append"


@pytest.mark.slow
@pytest.mark.parametrize("ours", [True, False], ids=["edited", "replaced"])
@pytest.mark.parametrize(("turn", "way"), [(0, "start"), (2, "restart")])
async def test_after_an_answer_that_was_edited_it_goes_on_from_the_last_one_that_was_not(
    threads, places, turn, way, ours
):
    old, entries = await threads.conversation(places[2])
    answer = (await threads.values(places[2]))["messages"][2 * turn + 1]
    edited = answer.model_copy(update={"content": "A cat."}) if ours else AIMessage("A cat.", id=answer.id)
    await threads.edit(thread("1"), [edited])
    await threads.send(HAT, thread("1"))
    assert (last_way(threads.sandbox), threads.sandbox.paid) == (way, 4)
    assert threads.sandbox.entries(old) == entries
    await threads.send(BLUE, thread("1"))
    assert last_way(threads.sandbox) == "append"


@pytest.mark.slow
@pytest.mark.parametrize(("turn", "way"), [(1, "start"), (2, "restart"), (3, "restart")])
async def test_an_answer_that_is_generated_again_is_paid_for_and_a_sibling(threads, places, sandbox, turn, way):
    old, entries = await threads.conversation(places[2])
    again = await threads.send(None, await threads.before_answer(turn))
    assert (last_way(sandbox), sandbox.paid) == (way, 4)
    assert (await threads.conversation(again))[0] != old
    await threads.send(HAT, again)
    assert last_way(sandbox) == "append"
    assert sandbox.entries(old) == entries
    await threads.send(HAT, places[2])
    assert last_way(sandbox) == "append"
    assert (await threads.conversation(thread("1")))[0] == old


async def test_threads_that_were_copied_go_their_own_ways(threads, places, sandbox):
    state = await threads.values(places[2])
    for name in "23":
        await threads.edit(thread(name), state["messages"], as_node="draw")
    for name, text, way in [("2", HAT, "append"), ("3", BLUE, "restart"), ("1", RED, "restart")]:
        await threads.send(text, thread(name), name)
        assert last_way(sandbox) == way
    used = [await threads.conversation(thread(name)) for name in "123"]
    assert len({conversation for conversation, _ in used}) == 3
    for name in "321":
        await threads.send(HAT, thread(name), name)
        assert last_way(sandbox) == "append"
    assert [(await threads.conversation(thread(name)))[0] for name in "123"] == [one for one, _ in used]
    assert sandbox.paid == 9


@pytest.mark.parametrize("text", [BLUE, HAT], ids=["same words", "other words"])
async def test_a_fork_whose_answer_got_lost_adopts_its_own_and_not_its_siblings(threads, places, sandbox, text):
    old, entries = await threads.conversation(places[2])
    sandbox.behave(Behavior(cut_after=3))
    with pytest.raises(StreamInterruptedError):
        await threads.send(text, places[0])
    await threads.send(None, thread("1"))
    assert sandbox.paid == 4
    assert (await threads.conversation(thread("1")))[0] != old
    assert sandbox.entries(old) == entries


async def test_a_fork_that_was_not_carried_out_does_not_adopt_its_siblings_answer(threads, places, sandbox):
    sandbox.behave(Behavior(status=500))
    with pytest.raises(ServerError):
        await threads.send(BLUE, places[0])
    await threads.send(None, thread("1"))
    assert (last_way(sandbox), sandbox.paid) == ("restart", 4)


async def test_where_a_restart_excludes_its_entry_a_fork_lacks_one_text_and_nothing_is_mixed(face, model, sandbox):
    """It is not known whether it does."""
    first = await face.call(model, "invoke", [HumanMessage(CAT)])
    trunk = [HumanMessage(CAT), first, HumanMessage(BLUE)]
    trunk += [await face.call(model, "invoke", trunk), HumanMessage(HAT)]
    old = trunk[3].response_metadata["conversation_id"]
    entries = sandbox.entries(old)
    sandbox.behave(Behavior(restart_inclusive=False))
    fork = [HumanMessage(CAT), first]
    for text, way in [(RED, "restart"), (HAT, "append")]:
        fork.append(HumanMessage(text))
        fork.append(await face.call(model, "invoke", fork))
        assert last_way(sandbox) == way
        assert remote(sandbox, fork[-1]) == [fact for fact in local(fork) if fact != local([first])[-1]]
    assert (sandbox.paid, sandbox.entries(old)) == (4, entries)
    trunk.append(await face.call(model, "invoke", trunk))
    assert last_way(sandbox) == "append"
    assert remote(sandbox, trunk[-1]) == local(trunk)
