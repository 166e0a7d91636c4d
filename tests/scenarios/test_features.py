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
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
    wrap_model_call,
)
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.tools import tool as as_tool
from langchain_mcp_adapters.tools import load_mcp_tools, to_fastmcp
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import NodeTimeoutError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Command, Overwrite, RetryPolicy, Send
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp import Image as MCPImage
from mcp.shared.memory import create_connected_server_and_client_session
from places import TESTS
from pydantic import BaseModel

from langchain_mistral_imagegen import (
    ConversationNode,
    ImageState,
    MistralImageGenerationTool,
    ToolFileNode,
    create_image_graph,
    images_of,
)
from langchain_mistral_imagegen.middleware import ImagesMiddleware
from langchain_mistral_imagegen.sandbox import Behavior
from langchain_mistral_imagegen.sandbox.records.images import draw_image

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
    sandbox.behave(Behavior(quota="minute", on="image"))
    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    state = await face.call(create_agent(speaker, [tool], middleware=[retry]), "invoke", CAT)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


async def test_model_retry(face, model, sandbox):
    sandbox.behave(Behavior(status=429))
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    state = await face.call(create_agent(model, middleware=[retry]), "invoke", DRAW)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


async def test_model_fallback(face, model, make_model, sandbox, tmp_path):
    sandbox.behave(Behavior(status=500))
    agent = create_agent(model, middleware=[ModelFallbackMiddleware(make_model(max_retries=0))])
    state = await face.call(agent, "invoke", DRAW)
    assert len(images_of(state["messages"])) == sandbox.paid == 1


def drawing(model, folder, **options):
    """Build a graph like `create_image_graph`, with options for the node that pays."""
    builder = StateGraph(ImageState)
    builder.add_node("draw", ConversationNode(model=model, image_store=folder), **options)
    builder.add_node("download", ToolFileNode(model=model, image_store=folder))
    builder.add_edge(START, "draw")
    builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    return builder


async def test_cache_policy(face, model, sandbox, tmp_path):
    policy = CachePolicy(key_func=lambda state: state["messages"][-1].content)
    graph = drawing(model, tmp_path, cache_policy=policy).compile(cache=InMemoryCache(), checkpointer=InMemorySaver())
    for name in "12":
        state = await face.call(graph, "invoke", DRAW, {"configurable": {"thread_id": name}})
        assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert sandbox.paid == 1


async def test_error_handler(face, model, sandbox, tmp_path):
    def apologize(_: ImageState) -> dict[str, Any]:
        return {"messages": [("ai", "No image today.")]}

    sandbox.behave(Behavior(status=403))
    graph = drawing(model, tmp_path, error_handler=apologize).compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", DRAW, THREAD)
    assert (state["messages"][-1].text, state["images"]) == ("No image today.", {})


@pytest.mark.slow
async def test_node_timeout(model, sandbox, tmp_path):
    """It ends the node and not the request, which is paid for; the resumed graph adopts its answer."""
    sandbox.behave(Behavior(delay=2))
    saver = InMemorySaver()
    with pytest.raises(NodeTimeoutError):
        await drawing(model, tmp_path, timeout=1).compile(checkpointer=saver).ainvoke(DRAW, THREAD)
    state = await drawing(model, tmp_path).compile(checkpointer=saver).ainvoke(None, THREAD)
    assert len(state["images"]) == sandbox.paid == 1


async def test_mcp_images(speaker, sandbox, tmp_path):
    """An image that an MCP server returns as base64 goes into the store; the model reads its id."""
    server = FastMCP("painter")

    @server.tool()
    def paint() -> MCPImage:
        """Paint."""
        return MCPImage(data=draw_image("a cat"), format="jpeg")

    sandbox.behave(
        Behavior(outputs=[{"type": "function.call", "tool_call_id": "call00000", "name": "paint", "arguments": "{}"}])
    )
    async with create_connected_server_and_client_session(server) as session:
        tools = await load_mcp_tools(session)
        agent = create_agent(speaker, tools, middleware=[ImagesMiddleware(image_store=tmp_path)])
        state = await agent.ainvoke({"messages": [("user", "Paint.")]})
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert "base64" not in str(state["messages"])


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


async def test_tool_strategy_without_built_in_tools(face, model, sandbox, caplog):
    agent = create_agent(model, response_format=ToolStrategy(Caption))
    await face.call(agent, "invoke", DRAW)
    state = await face.call(agent, "invoke", DRAW)
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "langchain_mistral_imagegen"]
    assert "image_generation" in warning
    assert "ProviderStrategy" in warning
    assert isinstance(state["structured_response"], Caption)
    assert [tool["type"] for tool in sandbox.requests[0].json["tools"]] == ["function"]
    assert sandbox.paid == 0


async def test_tool_strategy(face, speaker, caplog):
    agent = create_agent(speaker, response_format=ToolStrategy(Caption))
    state = await face.call(agent, "invoke", {"messages": [("user", "Give a title.")]})
    assert isinstance(state["structured_response"], Caption)
    assert "left out" not in caplog.text


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


ELSEWHERE = {
    "engines/test_agent_packages.py": {"test_deepagents", "test_supervisor", "test_swarm"},
    "engines/test_javascript_client.py": {
        "test_it_reads_v1_blocks_and_shows_the_image",
        "test_buttons_decide_over_an_image",
    },
    "scenarios/test_langgraph_server.py": {
        "test_schemas_say_that_images_can_be_read_and_not_written",
        "test_it_is_a_tool_over_mcp",
        "test_it_is_an_agent_over_a2a",
        "test_it_is_a_remote_graph",
    },
}


def test_each_row_of_the_guide_is_a_test():
    rows = re.findall(r"^\|.*\| `(test_\w+)` \|$", GUIDE.read_text(), re.MULTILINE)
    mine = {name for name in globals() if name.startswith("test_")} - {"test_each_row_of_the_guide_is_a_test"}
    assert set(rows) == mine.union(*ELSEWHERE.values())
    for file, names in ELSEWHERE.items():
        assert names <= set(re.findall(r"def (test_\w+)", (TESTS / file).read_text()))
