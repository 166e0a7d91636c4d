"""Messages as a LangGraph server returns them, as dicts: each door that takes messages takes these."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from pydantic import Field

from langchain_mistral_imagegen import (
    ApprovalNode,
    ConversationNode,
    FsspecImageStore,
    ToolFileNode,
    images_of,
    merge_images,
    route_images,
)
from langchain_mistral_imagegen._image_tool.edits import earlier_image
from langchain_mistral_imagegen.middleware import ImagesMiddleware, PayOnceMiddleware, PortableMessagesMiddleware
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
THREAD = {"configurable": {"thread_id": "1"}}
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="


class DictState(TypedDict):
    """A state whose messages nothing converts."""

    messages: Annotated[list[Any], operator.add]
    images: Annotated[dict[str, Any], merge_images]


def dumped(*messages: BaseMessage) -> list[dict[str, Any]]:
    return [message.model_dump() for message in messages]


@pytest.fixture
def store(tmp_path) -> FsspecImageStore:
    return FsspecImageStore(tmp_path / "images")


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
async def test_the_model_downloads_the_images_of_a_dict(face, model, sandbox, shape):
    sandbox.behave(Behavior(shape=shape))
    answer = await face.call(model, "invoke", CAT)
    (image,) = await face.call(model, "images", answer.model_dump(mode="json"))
    assert image.ref["id"] == images_of(answer)[0]["id"]


async def test_a_conversation_goes_on_from_dicts(face, model, sandbox):
    answer = await face.call(model, "invoke", [HumanMessage(CAT)])
    history = [*dumped(HumanMessage(CAT), answer), {"role": "user", "content": "Make it blue."}]
    node = ConversationNode(model, reconcile="off")
    update = await face.call(node, "invoke", {"messages": history})
    assert images_of(update["messages"]) != []
    assert sandbox.requests[-1].path.endswith(answer.response_metadata["conversation_id"])


async def test_the_nodes_take_a_state_of_dicts(face, model, store):
    builder = StateGraph(DictState)
    builder.add_node("approve", ApprovalNode(approved="draw"), destinations=("draw", END))
    builder.add_node("draw", ConversationNode(model, image_store=store))
    builder.add_node("to_json", lambda state: {"messages": dumped(*state["messages"][-1:])})
    builder.add_node("download", ToolFileNode(model=model, image_store=store))
    builder.add_edge(START, "approve")
    builder.add_edge("draw", "to_json")
    builder.add_conditional_edges("to_json", route_images(), ["download", END])
    graph = builder.compile(checkpointer=InMemorySaver())
    asked = await face.call(graph, "invoke", {"messages": dumped(HumanMessage(CAT))}, THREAD)
    assert asked["__interrupt__"][0].value["prompt"] == CAT
    state = await face.call(graph, "invoke", Command(resume=True), THREAD)
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    only = await face.call(
        ToolFileNode(model=model, image_store=store), "invoke", {"messages": state["messages"][-1:], "images": {}}
    )
    assert only["images"].keys() == state["images"].keys()


def test_the_tool_finds_an_earlier_image_in_dicts():
    artifact = {"images": [{"id": "i", "status": "stored", "conversation_id": "conv_1"}]}
    result = {"type": "tool", "content": "An image.", "tool_call_id": "t", "artifact": artifact}
    config = {"configurable": {"__pregel_read": {"messages": [result]}.__getitem__}}
    assert earlier_image("i", config)["conversation_id"] == "conv_1"


# --- middleware ---


class AsDicts(AgentMiddleware):
    """Hands messages on as dicts, as a middleware that reads them from elsewhere may."""

    def wrap_model_call(self, request, handler):
        return handler(request.override(messages=dumped(*request.messages)))

    async def awrap_model_call(self, request, handler):
        return await handler(request.override(messages=dumped(*request.messages)))


class Recorder(FakeListChatModel):
    """Another provider's model, which remembers what it was given."""

    responses: list[str] = Field(default_factory=lambda: ["A fine image."])
    given: list[list[BaseMessage]] = Field(default_factory=list)

    def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:
        self.given.append(messages)
        return self.responses[0]


async def test_a_history_of_dicts_becomes_portable(face, model):
    answer = await face.call(model, "invoke", CAT)
    recorder = Recorder()
    agent = create_agent(recorder, middleware=[AsDicts(), PortableMessagesMiddleware(images="inline", model=model)])
    await face.call(agent, "invoke", {"messages": [HumanMessage(CAT), answer, HumanMessage("What is it?")]})
    (given,) = recorder.given
    assert isinstance(given[1].content, str)
    assert images_of(answer)[0]["id"] in given[1].content
    assert [block["type"] for block in given[2].content] == ["text", "image", "text"]


async def test_stored_images_are_shown_beside_a_history_of_dicts(face, model, store):
    agent = create_agent(model, middleware=[ImagesMiddleware(image_store=store)])
    state = await face.call(agent, "invoke", {"messages": [HumanMessage(CAT)]})
    call = AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "Ab3dE5fG7"}])
    result = ToolMessage("An image.", tool_call_id="Ab3dE5fG7", artifact={"images": list(state["images"].values())})
    seeing = Recorder()
    agent = create_agent(seeing, middleware=[AsDicts(), ImagesMiddleware(image_store=store, show="all")])
    await face.call(agent, "invoke", {"messages": [HumanMessage("Look."), call, result]})
    assert [block["type"] for block in seeing.given[0][-1].content] == ["text", "image"]


async def test_the_bytes_in_a_dict_that_a_tool_returns_are_stored(face, store):
    @tool
    def look(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
        """Look."""
        content = [{"type": "image", "base64": DOT, "mime_type": "image/png"}]
        result = {"role": "tool", "content": content, "tool_call_id": tool_call_id}
        return Command(update={"messages": [result]})

    call = AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "Ab3dE5fG7"}])
    middleware = ImagesMiddleware(image_store=store)

    class Scripted(Recorder):
        def _generate(self, messages, *args, **kwargs):
            generated = super()._generate(messages, *args, **kwargs)
            if len(messages) == 1:
                generated.generations[0].message = call
            return generated

        def bind_tools(self, *args, **kwargs):
            return self

    state = await face.call(
        create_agent(Scripted(), [look], middleware=[middleware]), "invoke", {"messages": [("user", "Look.")]}
    )
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert DOT not in repr(state)


async def test_a_history_of_dicts_is_paid_for_once(face, model, store, sandbox):
    agent = create_agent(
        model, middleware=[AsDicts(), PayOnceMiddleware(image_store=store)], checkpointer=InMemorySaver()
    )
    state = await face.call(agent, "invoke", {"messages": [("user", CAT)]}, THREAD)
    assert (len(images_of(state)), sandbox.paid) == (1, 1)
