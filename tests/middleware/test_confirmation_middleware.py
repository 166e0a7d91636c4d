"""Agents whose server tools wait for confirmation: interrupted in the standard form, resumed with decisions."""

from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.middleware import ConfirmationMiddleware, ImagesMiddleware

CAREFUL = {
    "type": "image_generation",
    "tool_configuration": {"requires_confirmation": ["generate_image", "edit_image"]},
}
THREAD = {"configurable": {"thread_id": "1"}}
CAT = {"messages": [("user", "Generate an orange cat in an office.")]}


@pytest.fixture
def agent(make_model, tmp_path):
    model = make_model(tools=[CAREFUL])
    middleware = [ConfirmationMiddleware(), ImagesMiddleware(image_store=tmp_path)]
    return create_agent(model, middleware=middleware, checkpointer=InMemorySaver())


async def resume(face, agent, answer):
    return await face.call(agent, "invoke", Command(resume=answer), THREAD)


async def test_an_approved_call_runs(face, agent, sandbox):
    stopped = await face.call(agent, "invoke", CAT, THREAD)
    (asked,) = stopped["__interrupt__"]
    (action,) = asked.value["action_requests"]
    assert (action["name"], action["args"]) == ("generate_image", {"prompt": "an orange cat in an office"})
    assert asked.value["review_configs"] == [
        {"action_name": "generate_image", "allowed_decisions": ["approve", "reject"]}
    ]
    assert sandbox.paid == 0
    done = await resume(face, agent, {"decisions": [{"type": "approve"}]})
    assert "__interrupt__" not in done
    assert [ref["status"] for ref in done["images"].values()] == ["stored"]
    assert len(images_of(done["messages"])) == sandbox.paid == 1
    sent = [
        request.json["tool_confirmations"]
        for request in sandbox.requests
        if "tool_confirmations" in (request.json or {})
    ]
    assert [[one["confirmation"] for one in confirmations] for confirmations in sent] == [["allow"]]


async def test_a_rejected_call_does_not_run_and_the_thread_goes_on(face, agent, sandbox):
    await face.call(agent, "invoke", CAT, THREAD)
    done = await resume(face, agent, {"decisions": [{"type": "reject", "message": "Too expensive."}]})
    assert "not allowed" in done["messages"][-1].text
    assert sandbox.paid == 0
    later = await face.call(agent, "invoke", {"messages": [("user", "Hello.")]}, THREAD)
    assert later["messages"][-1].text.startswith("Hello")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"decisions": [{"type": "edit", "edited_action": {}}]}, "'edit'"),
        ({"decisions": [{"type": "approve", "promt": "x"}]}, "'promt'"),
        ({"decisions": ["approve"]}, "neither"),
        ({"decisions": []}, r"one decision for each of 1 call\(s\)"),
        ({"decisions": [{"type": "approve"}], "all": True}, "one decision"),
        (True, "it is True"),
    ],
)
async def test_any_other_answer_asks_again_and_pays_nothing(face, agent, sandbox, answer, error):
    await face.call(agent, "invoke", CAT, THREAD)
    again = await resume(face, agent, answer)
    (asked,) = again["__interrupt__"]
    assert asked.value["action_requests"][0]["name"] == "generate_image"
    with pytest.raises(AssertionError, match=error):
        raise AssertionError(asked.value["error"])
    assert sandbox.paid == 0
    done = await resume(face, agent, {"decisions": [{"type": "approve"}]})
    assert len(done["images"]) == sandbox.paid == 1


async def test_an_answer_without_waiting_calls_is_left_alone(face, make_model, sandbox):
    agent = create_agent(make_model(), middleware=[ConfirmationMiddleware()])
    done = await face.call(agent, "invoke", CAT)
    assert len(images_of(done["messages"])) == sandbox.paid == 1


def _call(call_id, status=None):
    waiting = {"confirmation_status": status} if status else {}
    return {"type": "function.call", "id": call_id, "tool_call_id": call_id, "name": "add", "arguments": "{}"} | waiting


@pytest.mark.parametrize("order", [1, -1])
def test_functions_of_the_same_answer_run_before_the_decisions_are_sent(order):
    outputs = [_call("c1", "pending"), _call("c2")][::order]
    response = ConversationResponse.model_validate({"conversation_id": "conv", "outputs": outputs})
    answer = to_message(response, AnswerContext(model="m", urls=SignedUrls()))
    assert answer.response_metadata["finish_reason"] == "confirmation"
    builder = StateGraph(MessagesState)
    builder.add_node("decide", lambda state: ConfirmationMiddleware().after_model(state, None))
    builder.add_edge(START, "decide")
    graph = builder.compile(checkpointer=InMemorySaver())
    graph.invoke({"messages": [answer]}, THREAD)
    done = graph.invoke(Command(resume={"decisions": [{"type": "reject"}]}), THREAD)
    decided = done["messages"][-1].content
    assert decided == [{"type": "tool_confirmation", "tool_call_id": "c1", "confirmation": "deny"}]
    assert ConfirmationMiddleware().after_model({"messages": [ToolMessage("3", tool_call_id="c2")]}, None) is None
    assert ConfirmationMiddleware().after_model({"messages": [AIMessage("Hi.")]}, None) is None
