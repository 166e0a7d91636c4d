"""A human decides before anything is paid."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from langchain_mistral_imagegen import ApprovalNode, ImageState, images_of

CAT = "Generate an orange cat in an office."
THREAD = {"configurable": {"thread_id": "1"}}


@pytest.fixture
def graph(model):
    builder = StateGraph(ImageState)
    builder.add_node("approve", ApprovalNode(approved="draw"), destinations=("draw", END))
    builder.add_node("draw", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_edge(START, "approve")
    builder.add_edge("draw", END)
    return builder.compile(checkpointer=InMemorySaver())


async def ask(face, graph, content=CAT):
    stopped = await face.call(graph, "invoke", {"messages": [HumanMessage(content)]}, THREAD)
    return stopped["__interrupt__"][0].value


async def resume(face, graph, answer):
    return await face.call(graph, "invoke", Command(resume=answer), THREAD)


async def test_the_request_is_json_and_nothing_is_paid(face, graph, sandbox):
    request = await ask(face, graph)
    assert json.loads(json.dumps(request)) == {"kind": "mistral.image.approval", "prompt": CAT}
    assert sandbox.requests == []


@pytest.mark.parametrize("answer", [True, {"approve": True}])
async def test_an_approved_prompt_is_drawn_once(face, graph, sandbox, answer):
    await ask(face, graph)
    done = await resume(face, graph, answer)
    assert len(images_of(done)) == sandbox.paid == 1
    assert [message.type for message in done["messages"]] == ["human", "ai"]


async def test_a_changed_prompt_replaces_the_old_one(face, graph, sandbox):
    await ask(face, graph)
    done = await resume(face, graph, {"approve": True, "prompt": "Draw a blue boat."})
    assert [message.type for message in done["messages"]] == ["human", "ai"]
    assert done["messages"][0].text == "Draw a blue boat."
    assert "a blue boat" in done["messages"][1].text


async def test_what_else_the_message_shows_stays(face, graph, sandbox):
    image = {"type": "image", "url": "https://e.x/a.jpg"}
    await ask(face, graph, [{"type": "text", "text": "Draw this."}, image])
    done = await resume(face, graph, {"approve": True, "prompt": "Draw that."})
    assert done["messages"][0].content == [{"type": "text", "text": "Draw that."}, image]


@pytest.mark.parametrize("answer", [False, {"approve": False, "reason": "too orange"}])
async def test_a_refused_prompt_is_not_drawn(face, graph, sandbox, answer):
    await ask(face, graph)
    done = await resume(face, graph, answer)
    assert sandbox.requests == []
    assert done["messages"][-1].text.startswith("No image was generated: ")
    assert "__interrupt__" not in done


@pytest.mark.parametrize("answer", ["yes", 7, {"approve": "yes"}, {"approve": True, "prompt": 7}, {"approve": True, "prompt": ""}])  # fmt: skip
async def test_an_answer_that_is_none_costs_nothing_and_can_be_repeated(face, graph, sandbox, answer):
    await ask(face, graph)
    again = await resume(face, graph, answer)
    assert "must be" in again["__interrupt__"][0].value["error"]
    assert sandbox.requests == []
    assert len(images_of(await resume(face, graph, True))) == sandbox.paid == 1


async def test_without_a_question_there_is_nothing_to_approve(face, graph):
    with pytest.raises(ValueError, match="no HumanMessage"):
        await face.call(graph, "invoke", {"messages": []}, THREAD)


def test_arguments_are_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        ApprovalNode("draw")
