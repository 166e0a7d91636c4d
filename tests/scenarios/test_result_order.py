"""Histories with results in strange places are answered, over both endpoints; the `sandbox` fixture validates them."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from mistral_common.exceptions import MistralCommonException
from mistral_rules import check_messages

from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior


def call(*ids: str | None) -> AIMessage:
    return AIMessage("", tool_calls=[{"id": one, "name": "Page[int]", "args": {}} for one in ids])


def result(text: str, call_id: str) -> ToolMessage:
    return ToolMessage(text, tool_call_id=call_id)


UUID = "3f2b8c1e-8a43-4c59-a4a3-0e7d6f4c9b11"
IMAGE = {"type": "image", "base64": "AA==", "mime_type": "image/png"}
ASK, GO_ON = HumanMessage("Look at it."), HumanMessage("Go on.")
HISTORIES = {
    "plain": [ASK, call(UUID), result("1", UUID)],
    "text between": [ASK, call(UUID), GO_ON, result("1", UUID)],
    "result twice": [ASK, call(UUID), result("1", UUID), result("2", UUID), GO_ON],
    "call cut off": [SystemMessage("Summary."), result("1", UUID), GO_ON],
    "after the next call": [ASK, call("a"), call("b"), result("2", "b"), result("1", "a"), GO_ON],
    "other order": [ASK, call("a", "b"), result("2", "b"), result("1", "a")],
    "no ids": [ASK, call(None), result("1", ""), GO_ON, call(""), result("2", "")],
    "null": [ASK, call("null"), result("1", "null")],
    "image in a result": [ASK, call(UUID), ToolMessage([IMAGE], tool_call_id=UUID)],
    "text and call": [ASK, AIMessage("I look.", tool_calls=call(UUID).tool_calls), result("1", UUID), GO_ON],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("transport", ["conversations", "completions"])
async def test_a_history_is_sent_as_mistral_takes_it(make_model, sandbox, transport, history):
    assert await make_model(tools=[], transport=transport).ainvoke(history)
    assert [request.status for request in sandbox.requests] == [200]


@pytest.mark.parametrize("transport", ["conversations", "completions"])
async def test_a_call_without_a_result_is_refused_before_it_is_sent(make_model, sandbox, transport):
    with pytest.raises(InvalidInputError, match=UUID):
        await make_model(tools=[], transport=transport).ainvoke([ASK, result("1", UUID), call(UUID), GO_ON])
    assert not sandbox.requests


@pytest.mark.parametrize("transport", ["conversations", "completions"])
async def test_reasoning_is_sent_back_with_the_answer(make_model, sandbox, transport):
    sandbox.behavior = Behavior(thinking=True)
    thinking = await make_model(tools=[]).ainvoke([ASK])
    await make_model(tools=[], transport=transport, continuation="replay").ainvoke([ASK, thinking, GO_ON])
    body = sandbox.requests[-1].json
    answer = (body.get("messages") or body["inputs"])[1]
    assert [chunk["type"] for chunk in answer["content"]] == ["thinking", "text"]
    assert sandbox.requests[-1].status == 200


@pytest.mark.parametrize("transport", ["conversations", "completions"])
async def test_an_image_follows_the_results_as_a_users_turn_which_mistral_allows(make_model, sandbox, transport):
    """Nothing is invented in between: Mistral's validators pass it, in `check_messages` and for what is sent."""
    history = [ASK, call("a", "b"), ToolMessage([IMAGE], tool_call_id="a"), result("2", "b")]
    await make_model(tools=[], transport=transport).ainvoke(history)
    body = sandbox.requests[-1].json
    sent = body.get("messages") or body["inputs"]
    assert [one.get("role") or one["type"] for one in sent[-3:]] in (
        ["tool", "tool", "user"],
        ["function.result", "function.result", "user"],
    )
    assert [chunk["type"] for chunk in sent[-1]["content"]] == ["image_url"]
    calls = [{"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    asked = [{"role": "user", "content": "Look."}, {"role": "assistant", "content": "", "tool_calls": calls}]
    seen = {"role": "tool", "tool_call_id": "abcdefghi", "content": "An image."}
    check_messages([*asked, seen, {"role": "user", "content": "(the image)"}], [])
    with pytest.raises(MistralCommonException):
        check_messages([*asked, {"role": "user", "content": "(the image)"}, seen], [])
