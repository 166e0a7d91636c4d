"""Agents that hand over to each other, on the server and through the client."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from langchain_mistral_imagegen import images_of

ASK = HumanMessage("Hand over to the painter: draw an orange cat.")


@pytest.fixture
def host(make_model):
    """Makes a model of an agent that may hand over to a painter, and names the painter's id."""

    def make(**settings):
        painter = make_model(make_model().ensure_agent("Painter"))
        chatty = make_model(make_model(tools=[]).ensure_agent("Host", handoffs=[painter.agent_id]))
        return make_model(chatty.model_copy(update=settings)), painter.agent_id

    return make


async def test_the_server_runs_the_whole_chain(face, host, sandbox):
    model, painter = host()
    answer = await face.call(model, "invoke", [ASK])
    streamed = await face.streamed(model, [ASK])
    for one in (answer, streamed):
        assert len(images_of(one)) == 1
        assert one.response_metadata["agent_id"] == painter
        assert one.response_metadata["finish_reason"] == "stop"
        (handoff,) = [block["value"] for block in one.content_blocks if block["type"] == "non_standard"]
        assert (handoff["previous_agent_name"], handoff["next_agent_id"]) == ("Host", painter)
    later = await face.call(model, "invoke", [ASK, answer, HumanMessage("Hello")])
    assert sandbox.requests[-1].path.endswith(answer.response_metadata["conversation_id"])
    assert later.text.startswith("Hello")


async def test_the_client_may_go_on_itself(face, host, sandbox):
    model, painter = host(handoff_execution="client")
    answer = await face.call(model, "invoke", [ASK])
    assert sandbox.requests[-1].json["handoff_execution"] == "client"
    assert answer.response_metadata["finish_reason"] == "handoff"
    assert sandbox.paid == 0
    (handoff,) = [block["value"] for block in answer.content_blocks if block["type"] == "non_standard"]
    drawn = await face.call(model, "invoke", [ASK], agent_id=handoff["next_agent_id"])
    assert drawn.response_metadata["agent_id"] == painter
    assert len(images_of(drawn)) == sandbox.paid == 1
