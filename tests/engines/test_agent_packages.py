"""Packages that build on LangChain's agents, with our model and tool: rows of the table in the guide `agents.md`."""

from __future__ import annotations

import json
import warnings

import pytest
from langchain.agents import create_agent

from langchain_mistral_imagegen import MistralImageGenerationTool, images_of
from langchain_mistral_imagegen.sandbox import Behavior

pytestmark = pytest.mark.engines
WISH = {"messages": [("user", "Use generate_image for an orange cat.")]}
FEW_STEPS = {"recursion_limit": 60}  # instead of ten thousand, should an agent never end


@pytest.fixture
def speaker(make_model):
    return make_model(tools=[], max_retries=0)


@pytest.fixture
def tool(make_model, tmp_path):
    return MistralImageGenerationTool(model=make_model(max_retries=0), image_store=tmp_path / "images")


def call(name, **arguments):
    """Answer with a call of a function, whatever is asked."""
    entry = {"type": "function.call", "tool_call_id": "call00000", "name": name, "arguments": json.dumps(arguments)}
    return Behavior(on="text", outputs=[entry])


async def test_deepagents(face, speaker, tool, sandbox):
    deepagents = pytest.importorskip("deepagents")
    state = await face.call(deepagents.create_deep_agent(model=speaker, tools=[tool]), "invoke", WISH, FEW_STEPS)
    assert ([ref["status"] for ref in images_of(state["messages"])], sandbox.paid) == (["stored"], 1)


async def test_supervisor(face, speaker, tool, sandbox):
    package = pytest.importorskip("langgraph_supervisor")
    painter = create_agent(speaker, [tool], name="painter")
    with warnings.catch_warnings():  # 0.0.31 uses what LangGraph 1.0 has deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        team = package.create_supervisor([painter], model=speaker, output_mode="full_history").compile()
    sandbox.behave(call("transfer_to_painter"))
    sandbox.behave(call("generate_image", prompt="an orange cat"))
    state = await face.call(team, "invoke", WISH, FEW_STEPS)
    assert ([ref["status"] for ref in images_of(state["messages"])], sandbox.paid) == (["stored"], 1)


async def test_swarm(face, speaker, tool, sandbox):
    package = pytest.importorskip("langgraph_swarm")
    host = create_agent(speaker, [package.create_handoff_tool(agent_name="painter")], name="host")
    painter = create_agent(speaker, [tool], name="painter")
    swarm = package.create_swarm([host, painter], default_active_agent="host").compile()
    sandbox.behave(call("transfer_to_painter"))
    sandbox.behave(call("generate_image", prompt="an orange cat"))
    state = await face.call(swarm, "invoke", WISH, FEW_STEPS)
    assert ([ref["status"] for ref in images_of(state["messages"])], sandbox.paid) == (["stored"], 1)
