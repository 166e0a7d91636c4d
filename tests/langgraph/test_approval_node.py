"""A human decides before anything is paid."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command

from langchain_mistral_imagegen import ApprovalNode, ImageState, create_image_graph, images_of
from langchain_mistral_imagegen.costs import Prices

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
    assert json.loads(json.dumps(request)) == request
    assert (request["kind"], request["prompt"]) == ("mistral.image.approval", CAT)
    (action,), (review,) = request["action_requests"], request["review_configs"]
    assert (action["name"], action["args"]) == ("generate_image", {"prompt": CAT})
    assert review == {"action_name": "generate_image", "allowed_decisions": ["approve", "edit", "reject"]}
    assert sandbox.requests == []


@pytest.mark.parametrize("answer", [True, {"approve": True}, {"decisions": [{"type": "approve"}]}])
async def test_an_approved_prompt_is_drawn_once(face, graph, sandbox, answer):
    await ask(face, graph)
    done = await resume(face, graph, answer)
    assert len(images_of(done)) == sandbox.paid == 1
    assert [message.type for message in done["messages"]] == ["human", "ai"]


EDITED = {"name": "generate_image", "args": {"prompt": "Draw a blue boat."}}


@pytest.mark.parametrize("answer", [{"approve": True, "prompt": "Draw a blue boat."}, {"decisions": [{"type": "edit", "edited_action": EDITED}]}])  # fmt: skip
async def test_a_changed_prompt_replaces_the_old_one(face, graph, sandbox, answer):
    await ask(face, graph)
    done = await resume(face, graph, answer)
    assert [message.type for message in done["messages"]] == ["human", "ai"]
    assert done["messages"][0].text == "Draw a blue boat."
    assert "a blue boat" in done["messages"][1].text


async def test_what_else_the_message_shows_stays(face, graph, sandbox):
    image = {"type": "image", "url": "https://e.x/a.jpg"}
    await ask(face, graph, [{"type": "text", "text": "Draw this."}, image])
    done = await resume(face, graph, {"approve": True, "prompt": "Draw that."})
    assert done["messages"][0].content == [{"type": "text", "text": "Draw that."}, image]


@pytest.mark.parametrize("answer", [False, {"approve": False, "reason": "too orange"}, {"decisions": [{"type": "reject", "message": "too orange"}]}, {"decisions": [{"type": "reject"}]}])  # fmt: skip
async def test_a_refused_prompt_is_not_drawn(face, graph, sandbox, answer):
    await ask(face, graph)
    done = await resume(face, graph, answer)
    assert sandbox.requests == []
    assert done["messages"][-1].text.startswith("No image was generated: ")
    assert "__interrupt__" not in done


@pytest.mark.parametrize("answer", ["yes", 7, {"approve": "yes"}, {"approve": True, "prompt": 7}, {"approve": True, "prompt": ""}, {"approve": True, "promt": "a dog"}, {"decisions": []}, {"decisions": [{"type": "approve"}] * 2}, {"decisions": [{"type": "respond", "message": "no"}]}, {"decisions": [{"type": "edit", "edited_action": {"name": "generate_image", "args": {"size": 7}}}]}, {"decisions": [{"type": "approve", "prompt": 7}]}])  # fmt: skip
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


async def test_details_and_a_price_help_to_decide(face, model):
    class Book(ImageState):
        page: int

    builder = StateGraph(Book)
    node = ApprovalNode(approved=END, details=["page"], prices=Prices())
    builder.add_node("approve", node.arun if face.is_async else node.run, destinations=(END,))
    builder.add_edge(START, "approve")
    graph = builder.compile(checkpointer=InMemorySaver())
    stopped = await face.call(graph, "invoke", {"messages": [HumanMessage(CAT)], "page": 7}, THREAD)
    request = stopped["__interrupt__"][0].value
    assert (request["details"], request["cost"]) == ({"page": 7}, "0.10 USD for one image")
    done = await resume(face, graph, {"decisions": [{"type": "approve"}]})
    assert "__interrupt__" not in done


async def test_a_fork_after_the_approval_draws(face, model, sandbox, tmp_path):
    graph = create_image_graph(model, image_store=tmp_path, approve=True).compile(checkpointer=InMemorySaver())
    await ask(face, graph)
    await resume(face, graph, True)
    before = next(saved for saved in graph.get_state_history(THREAD) if saved.next == ("draw",))
    boat = HumanMessage("Draw a boat.", id=before.values["messages"][-1].id)
    fork = graph.update_state(before.config, {"messages": [boat]})
    assert graph.get_state(fork).next == ("draw",)
    done = await face.call(graph, "invoke", None, fork)
    assert "a boat" in done["messages"][-1].text
    assert sandbox.paid == 2


async def test_a_refusal_ends_the_graph(face, model, sandbox, tmp_path):
    graph = create_image_graph(model, image_store=tmp_path, approve=True).compile(checkpointer=InMemorySaver())
    await ask(face, graph)
    done = await resume(face, graph, {"decisions": [{"type": "reject", "message": "too orange"}]})
    assert done["messages"][-1].text == "No image was generated: too orange."
    assert sandbox.requests == []
