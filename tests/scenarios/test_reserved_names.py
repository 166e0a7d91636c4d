"""Functions with names that Mistral refuses: sent with another, and called by their own everywhere else."""

from __future__ import annotations

import pytest
from langchain_core.messages import ToolMessage
from pydantic import BaseModel

from langchain_mistral_imagegen._messages.tool_names import RESERVED, to_wire

FORCED = {"tool_choice": "any"}


def function(name: str) -> dict:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "description": "Search.", "parameters": schema}}


def sent_names(sandbox) -> list[str]:
    return [tool["function"]["name"] for tool in sandbox.requests[-1].json["tools"] if tool["type"] == "function"]


@pytest.mark.parametrize("transport", ["conversations", "completions"])
@pytest.mark.parametrize("name", sorted(RESERVED))
async def test_a_call_has_its_own_name_streamed_or_not(face, make_model, sandbox, transport, name):
    model = make_model(tools=[], transport=transport).bind_tools([function(name)], tool_choice=name)
    for answer in (await face.call(model, "invoke", "Paris"), await face.streamed(model, "Paris")):
        assert [call["name"] for call in answer.tool_calls] == [name]
        assert sent_names(sandbox) == [to_wire(name)]


@pytest.mark.parametrize("transport", ["conversations", "completions"])
async def test_a_call_and_its_result_are_replayed_with_the_name_that_was_sent(face, make_model, sandbox, transport):
    model = make_model(tools=[], transport=transport, continuation="replay").bind_tools([function("web_search")])
    history = [("user", "Use web_search for Paris.")]
    answer = await face.call(model, "invoke", history)
    (call,) = answer.tool_calls
    await face.call(model, "invoke", [*history, answer, ToolMessage("sunny", tool_call_id=call["id"])])
    assert "local_web_search" in str(sandbox.requests[-1].json.get("inputs", sandbox.requests[-1].json.get("messages")))


async def test_a_stored_conversation_is_read_with_own_names(face, make_model, sandbox):
    model = make_model(tools=[]).bind_tools([function("generate_image")], **FORCED)
    answer = await face.call(model, "invoke", "Paris")
    read = await face.call(make_model(tools=[]), "messages", answer.response_metadata["conversation_id"])
    assert [call["name"] for call in read[-1].tool_calls] == ["generate_image"]


async def test_a_conversation_continues_after_the_result(face, make_model, sandbox):
    model = make_model(tools=[]).bind_tools([function("generate_image")])
    history = [("user", "Use generate_image for Paris.")]
    answer = await face.call(model, "invoke", history)
    result = ToolMessage("done", tool_call_id=answer.tool_calls[0]["id"])
    later = await face.call(model, "invoke", [*history, answer, result])
    assert later.response_metadata["conversation_id"] == answer.response_metadata["conversation_id"]


class Page(BaseModel):
    title: str


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
async def test_a_schema_with_a_name_that_mistral_does_not_take(face, make_model, method):
    schema = {**Page.model_json_schema(), "title": "Page[int]", "description": "A page."}
    model = make_model(tools=[]).with_structured_output(schema, method=method)
    assert await face.call(model, "invoke", "Give a boat a title.")
