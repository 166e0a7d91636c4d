"""Calls that wait to be allowed, answered directly and from a graph."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_mistral_imagegen import confirm, images_of, pending_calls
from langchain_mistral_imagegen.errors import InvalidInputError

CAT = HumanMessage("Generate an orange cat in an office.")
CAREFUL = {
    "type": "image_generation",
    "tool_configuration": {"requires_confirmation": ["generate_image", "edit_image"]},
}


@pytest.fixture
def careful(make_model):
    return make_model(tools=[CAREFUL])


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_nothing_is_paid_before_a_call_is_allowed(face, careful, sandbox, is_streamed):
    ask = face.streamed(careful, [CAT]) if is_streamed else face.call(careful, "invoke", [CAT])
    waiting = await ask
    (call,) = pending_calls(waiting)
    assert (call["name"], call["args"]) == ("generate_image", {"prompt": "an orange cat in an office"})
    assert waiting.tool_calls == []
    assert waiting.response_metadata["finish_reason"] == "confirmation"
    assert sandbox.paid == 0
    history = [CAT, waiting, confirm(waiting, allow=True)]
    drawn = await face.call(careful, "invoke", history)
    assert sandbox.paid == 1
    assert len(images_of(drawn)) == 1
    assert sandbox.requests[-1].json["tool_confirmations"] == [{"tool_call_id": call["id"], "confirmation": "allow"}]
    later = await face.call(careful, "invoke", [*history, drawn, HumanMessage("Hello")])
    assert later.text.startswith("Hello")


async def test_a_denied_call_does_not_run(face, careful, sandbox):
    waiting = await face.call(careful, "invoke", [CAT])
    answer = await face.call(
        careful, "invoke", [CAT, waiting, confirm(waiting, allow={pending_calls(waiting)[0]["id"]: False})]
    )
    assert "not allowed" in answer.text
    assert sandbox.paid == 0


async def test_the_past_of_a_confirmed_call_is_replayed(face, careful, sandbox, make_model):
    waiting = await face.call(careful, "invoke", [CAT])
    history = [CAT, waiting, confirm(waiting, allow=True)]
    history += [await face.call(careful, "invoke", history), HumanMessage("Make it blue.")]
    other = make_model(model="mistral-small-latest")
    assert "blue" in (await face.call(other, "invoke", history)).text
    kinds = [entry["type"] for entry in sandbox.requests[-1].json["inputs"]]
    assert kinds == ["message.input", "function.call", "function.result", "message.output", "message.input"]


async def test_a_call_that_was_answered_already_is_not_answered_twice(face, careful, sandbox):
    waiting = await face.call(careful, "invoke", [CAT])
    history = [CAT, waiting, confirm(waiting, allow=True)]
    await face.call(careful, "invoke", history)
    with pytest.raises(InvalidInputError, match="no longer waiting for confirmation"):
        await face.call(careful, "invoke", history)
    assert sandbox.paid == 1


async def test_something_else_than_yes_or_no_is_refused(face, careful, sandbox):
    waiting = await face.call(careful, "invoke", [CAT])
    with pytest.raises(InvalidInputError, match=r"generate_image.*`confirm`"):
        await face.call(careful, "invoke", [CAT, waiting, HumanMessage("Well?")])
    assert len(sandbox.requests) == 1


def test_each_call_needs_a_word():
    block = {"type": "function.call", "id": "c", "name": "add", "arguments": "{}", "confirmation_status": "pending"}
    waiting = AIMessage(
        [block], response_metadata={"model_provider": "mistralai_conversations", "finish_reason": "confirmation"}
    )
    with pytest.raises(InvalidInputError, match=r"has none for \['c'\]"):
        confirm(waiting, allow={"d": True})
    with pytest.raises(InvalidInputError, match="No call of this message is waiting"):
        confirm(AIMessage("x"), allow=True)


@pytest.mark.parametrize(("decision", "paid"), [(True, 1), (False, 0)])
async def test_a_human_decides_in_a_graph(face, careful, sandbox, decision, paid):
    def ask(state):
        return {"messages": [careful.invoke(state["messages"])]}

    def decide(state):
        answer = state["messages"][-1]
        return {"messages": [confirm(answer, allow=interrupt(pending_calls(answer)))]}

    def route(state):
        return "decide" if pending_calls(state["messages"][-1]) else "__end__"

    builder = StateGraph(MessagesState)
    builder.add_node(ask).add_node(decide).add_edge(START, "ask").add_edge("decide", "ask")
    builder.add_conditional_edges("ask", route)
    graph = builder.compile(checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    stopped = await face.call(graph, "invoke", {"messages": [CAT]}, thread)
    assert stopped["__interrupt__"][0].value[0]["name"] == "generate_image"
    assert sandbox.paid == 0
    done = await face.call(graph, "invoke", Command(resume=decision), thread)
    assert sandbox.paid == paid
    assert len(images_of(done)) == paid
