"""Features of LangChain and LangGraph with our classes: each row of the table in the guide `agents.md` is a test here."""

from __future__ import annotations

import operator
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    HumanInTheLoopMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
    wrap_model_call,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.tools import tool as as_tool
from langchain_mcp_adapters.tools import to_fastmcp
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, RetryPolicy, Send
from pydantic import BaseModel

from langchain_mistral_imagegen import ImageState, MistralImageGenerationTool, create_image_graph, images_of
from langchain_mistral_imagegen.middleware import ImagesMiddleware
from langchain_mistral_imagegen.sandbox import Behavior

GUIDE = Path(__file__).parents[2] / "cookbook" / "guides" / "agents.md"
THREAD = {"configurable": {"thread_id": "1"}}
CAT = {"messages": [("user", "Use generate_image for an orange cat.")]}
DRAW = {"messages": [("user", "Draw a boat.")]}


class Caption(BaseModel):
    title: str


@as_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def tool(make_model, tmp_path):
    return MistralImageGenerationTool(model=make_model(max_retries=0), image_store=tmp_path)


@pytest.fixture
def speaker(make_model):
    return make_model(tools=[], max_retries=0)


async def test_server_tools(face, model, sandbox, tmp_path):
    agent = create_agent(model, [{"type": "web_search"}], middleware=[ImagesMiddleware(image_store=tmp_path)])
    state = await face.call(agent, "invoke", DRAW)
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]


async def test_dynamic_tools(face, speaker, tool, sandbox):
    def chosen(request):
        return request.override(tools=[one for one in request.tools if one.name == "generate_image"])

    @wrap_model_call
    def choose(request, handler):
        return handler(chosen(request))

    @wrap_model_call
    async def achoose(request, handler):
        return await handler(chosen(request))

    agent = create_agent(speaker, [tool, add], middleware=[achoose if face.is_async else choose])
    state = await face.call(agent, "invoke", CAT)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


async def test_human_in_the_loop(face, speaker, tool, sandbox):
    middleware = HumanInTheLoopMiddleware(interrupt_on={"generate_image": True})
    agent = create_agent(speaker, [tool], middleware=[middleware], checkpointer=InMemorySaver())
    stopped = await face.call(agent, "invoke", CAT, THREAD)
    assert "__interrupt__" in stopped
    assert sandbox.paid == 0
    done = await face.call(agent, "invoke", Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
    assert len(images_of(done["messages"])) == sandbox.paid == 1


async def test_tool_retry(face, speaker, make_model, tmp_path, sandbox):
    tool = MistralImageGenerationTool(
        model=make_model(max_retries=0), image_store=tmp_path, on_error={"quota": "raise"}
    )
    sandbox.behave(Behavior(quota="minute", on="picture"))
    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    state = await face.call(create_agent(speaker, [tool], middleware=[retry]), "invoke", CAT)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


async def test_model_retry(face, model, sandbox):
    sandbox.behave(Behavior(status=429))
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    state = await face.call(create_agent(model, middleware=[retry]), "invoke", DRAW)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


@pytest.mark.parametrize("trigger", [("messages", 4), ("fraction", 0.8)])
async def test_summarization(face, model, trigger):
    middleware = SummarizationMiddleware(model, trigger=trigger, keep=("messages", 2))
    agent = create_agent(model, middleware=[middleware], checkpointer=InMemorySaver())
    for _ in range(3):
        state = await face.call(agent, "invoke", {"messages": [("user", "Hello.")]}, THREAD)
    assert state["messages"][-1].type == "ai"


async def test_context_editing(face, speaker, tool, sandbox):
    edits = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=1, keep=0)])
    state = await face.call(create_agent(speaker, [tool], middleware=[edits]), "invoke", CAT)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


async def test_provider_strategy(face, speaker):
    agent = create_agent(speaker, response_format=ProviderStrategy(Caption))
    state = await face.call(agent, "invoke", {"messages": [("user", "Give a title.")]})
    assert isinstance(state["structured_response"], Caption)


async def test_tool_strategy_without_built_in_tools(face, model, sandbox):
    state = await face.call(create_agent(model, response_format=ToolStrategy(Caption)), "invoke", DRAW)
    assert isinstance(state["structured_response"], Caption)
    assert [tool["type"] for tool in sandbox.requests[0].json["tools"]] == ["function"]
    assert sandbox.paid == 0


async def test_tool_strategy(face, speaker):
    agent = create_agent(speaker, response_format=ToolStrategy(Caption))
    state = await face.call(agent, "invoke", {"messages": [("user", "Give a title.")]})
    assert isinstance(state["structured_response"], Caption)


@pytest.mark.slow
async def test_retry_policy_and_durability(face, model, sandbox, tmp_path):
    sandbox.behave(Behavior(status=429))
    graph = create_image_graph(model, image_store=tmp_path).compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", DRAW, THREAD, durability="sync")
    assert len(state["images"]) == sandbox.paid == 1


async def test_overwrite(face, model, tmp_path):
    builder = create_image_graph(model, image_store=tmp_path)
    builder.add_node("forget", lambda _: {"images": Overwrite({})})
    builder.add_edge("download", "forget")
    assert (await face.call(builder.compile(), "invoke", DRAW))["images"] == {}


async def test_send_and_subgraphs(face, model, sandbox, tmp_path):
    class Book(ImageState):
        pages: Annotated[list[str], operator.add]

    child = create_image_graph(model, image_store=tmp_path).compile()
    builder = StateGraph(Book)
    builder.add_node("page", child)
    pages = ["Draw a boat.", "Draw a house."]
    builder.add_conditional_edges(
        START, lambda _: [Send("page", {"messages": [("user", one)]}) for one in pages], ["page"]
    )
    builder.add_edge("page", END)
    state = await face.call(builder.compile(checkpointer=InMemorySaver()), "invoke", {"messages": []}, THREAD)
    assert len(state["images"]) == sandbox.paid == 2


def test_functional_api(tool, sandbox):
    @task(retry_policy=RetryPolicy())
    def draw(prompt: str) -> dict[str, Any]:
        return dict(tool.generate(prompt))

    @entrypoint(checkpointer=InMemorySaver())
    def book(prompts: list[str]) -> list[dict[str, Any]]:
        return [one.result() for one in [draw(prompt) for prompt in prompts]]

    assert len(book.invoke(["a boat", "a house"], THREAD)) == sandbox.paid == 2


async def test_mcp_from_langchain(tool, sandbox):
    offered = to_fastmcp(tool)
    assert set(offered.parameters["properties"]) >= {"prompt"}
    await offered.run({"prompt": "a boat"})
    assert sandbox.paid == 1


async def test_state_classes_of_ones_own(face, model, tmp_path, sandbox):
    class Own(AgentState):
        images: Annotated[list[str], operator.add]

    middleware = ImagesMiddleware(image_store=tmp_path, images_key="drawn")
    state = await face.call(create_agent(model, middleware=[middleware], state_schema=Own), "invoke", DRAW)
    assert len(state["drawn"]) == sandbox.paid == 1


def test_each_row_of_the_guide_is_a_test():
    rows = re.findall(r"^\|.*\| `(test_\w+)` \|$", GUIDE.read_text(), re.MULTILINE)
    mine = {name for name in globals() if name.startswith("test_")} - {"test_each_row_of_the_guide_is_a_test"}
    assert set(rows) == mine
