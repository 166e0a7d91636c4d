"""The wired graph."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Annotated, TypedDict

import pytest
from langchain_core.messages import AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from langchain_mistral_imagegen import (
    FsspecImageStore,
    ImageRef,
    ImageState,
    MistralImageGenerationTool,
    create_image_graph,
    merge_images,
)
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior

THREAD = {"configurable": {"thread_id": "1"}}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def request(text):
    return {"messages": [("user", text)]}


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


async def test_it_draws_and_stores(face, model, sandbox, store):
    graph = create_image_graph(model, image_store=store).compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", request("Draw a boat."), THREAD)
    state = await face.call(graph, "invoke", request("Make it blue."), THREAD)
    assert [ref["status"] for ref in state["images"].values()] == ["stored", "stored"]
    assert sandbox.paid == 2


async def test_references_have_the_url_of_the_server_that_serves_the_store(face, model, sandbox, store):
    graph = create_image_graph(model, image_store=store, public_url="https://e.x/images/").compile()
    (ref,) = (await face.call(graph, "invoke", request("Draw a boat.")))["images"].values()
    assert ref["url"] == f"https://e.x/images/{ref['key']}"


@pytest.mark.slow
async def test_a_busy_server_is_asked_again(face, model, sandbox, store):
    sandbox.behave(Behavior(status=429))
    graph = create_image_graph(model, image_store=store).compile()
    assert (await face.call(graph, "invoke", request("Draw a boat.")))["images"]


async def test_functions_run_in_between(face, model, sandbox, store):
    graph = create_image_graph(model, image_store=store, tools=[add]).compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", request("Use add for 3 and 4."), THREAD)
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert state["messages"][-1].text == "The result is: 7"
    state = await face.call(graph, "invoke", request("Draw a boat."), THREAD)
    assert len(state["images"]) == sandbox.paid == 1


async def test_a_human_may_approve(face, model, sandbox, store):
    graph = create_image_graph(model, image_store=store, approve=True).compile(checkpointer=InMemorySaver())
    await face.call(graph, "invoke", request("Draw a boat."), THREAD)
    assert sandbox.paid == 0
    state = await face.call(graph, "invoke", Command(resume=True), THREAD)
    assert len(state["images"]) == sandbox.paid == 1


async def test_what_happens_is_reported_as_flat_json(face, model, sandbox, store):
    sandbox.behavior = Behavior(images=2, file_size=2_500_000, on="any")
    graph = create_image_graph(model, image_store=store).compile(checkpointer=InMemorySaver())
    events = await face.chunks(graph, request("Draw a boat."), config=THREAD, stream_mode="custom")
    kinds = [event["type"].removeprefix("mistral.image.") for event in events]
    assert kinds[:3] == ["generating", "generated", "generated"]
    assert kinds[-2:] == ["stored", "stored"]
    assert 4 <= kinds.count("download") <= 6
    assert all(isinstance(value, str | int) for event in events for value in event.values())
    assert {event["size_bytes"] for event in events[-2:]} == {2_500_000}
    received = [event["received"] for event in events if event.get("id") == events[-1]["id"] and "received" in event]
    assert received == sorted(received)


async def test_a_failure_is_reported_and_marked(face, model, sandbox, store):
    sandbox.behave(Behavior(on="download", status=404))
    graph = create_image_graph(model, image_store=store).compile(checkpointer=InMemorySaver())
    events = await face.chunks(graph, request("Draw a boat."), config=THREAD, stream_mode="custom")
    assert events[-1]["type"] == "mistral.image.failed"
    assert "ImageUnavailableError" in events[-1]["error"]


def test_it_can_be_extended(model, store):
    class Titled(ImageState):
        title: str

    builder = create_image_graph(model, image_store=store, state_schema=Titled)
    builder.add_node("title", lambda state: {"title": f"{len(state['images'])} image"})
    builder.edges.discard(("download", END))
    builder.add_edge("download", "title")
    assert builder.compile().invoke(request("Draw a boat."))["title"] == "1 image"


async def test_its_channels_may_have_other_names(face, model, sandbox, store):
    class Album(TypedDict):
        chat: Annotated[list[AnyMessage], add_messages]
        drawn: Annotated[dict[str, ImageRef], merge_images]

    keys = {"messages_key": "chat", "images_key": "drawn"}
    graph = create_image_graph(model, image_store=store, tools=[add], approve=True, state_schema=Album, **keys)
    graph = graph.compile(checkpointer=InMemorySaver())
    await face.call(graph, "invoke", {"chat": [("user", "Draw a boat.")]}, THREAD)
    await face.call(graph, "invoke", Command(resume=True), THREAD)
    await face.call(graph, "invoke", {"chat": [("user", "Use add for 3 and 4.")]}, THREAD)
    state = await face.call(graph, "invoke", Command(resume=True), THREAD)
    assert state["chat"][-1].text == "The result is: 7"
    assert [ref["status"] for ref in state["drawn"].values()] == ["stored"]


async def test_the_name_of_a_model_is_enough(face, sandbox, store, monkeypatch, make_model):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    builder = create_image_graph("mistral-large-latest", image_store=store)
    state = await face.call(builder.compile(), "invoke", {"messages": [("user", "Draw a cat.")]})
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert sandbox.requests[0].json["model"] == "mistral-large-latest"
    make_model(builder.nodes["download"].runnable.model)


@pytest.mark.parametrize(("wrong", "words"), [({"model": 42}, "of type int"), ({"image_store": 42}, "image_store=42")])
def test_a_wrong_argument_is_refused(model, wrong, words):
    with pytest.raises(InvalidInputError, match=words):
        create_image_graph(**{"model": model, **wrong})


class PydanticState(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []
    images: Annotated[dict[str, ImageRef], merge_images] = {}


@dataclass
class DataclassState:
    messages: Annotated[list[AnyMessage], add_messages] = field(default_factory=list)
    images: Annotated[dict[str, ImageRef], merge_images] = field(default_factory=dict)


@pytest.mark.parametrize("schema", [PydanticState, DataclassState, ImageState])
@pytest.mark.parametrize("options", [{}, {"approve": True}, {"tools": [add]}, {"approve": True, "tools": [add]}], ids="+".join)  # fmt: skip
async def test_states_of_all_kinds(face, model, sandbox, store, schema, options):
    builder = create_image_graph(model, image_store=store, state_schema=schema, **options)
    graph = builder.compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", request("Draw a boat."), THREAD)
    if "approve" in options:
        state = await face.call(graph, "invoke", Command(resume=True), THREAD)
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert sandbox.paid == 1


async def test_images_of_the_tool_reach_the_state(face, make_model, sandbox, store):
    tool = MistralImageGenerationTool(model=make_model(), image_store=store)
    builder = create_image_graph(make_model(tools=[]), image_store=store, tools=[tool])
    graph = builder.compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", request("Use generate_image for a red boat."), THREAD)
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert sandbox.paid == 1


async def test_clients_cannot_write_references(face, model, sandbox, store):
    graph = create_image_graph(model, image_store=store).compile(checkpointer=InMemorySaver())
    assert list(graph.get_input_jsonschema()["properties"]) == ["messages"]
    forged = {"other": {"id": "other", "status": "stored", "key": "someone/elses.jpg"}}
    state = await face.call(graph, "invoke", {**request("Draw a boat."), "images": forged}, THREAD)
    assert "other" not in state["images"]
    assert len(state["images"]) == 1


async def test_a_parent_shares_its_references(face, model, sandbox, store):
    child = create_image_graph(model, image_store=store, input_schema=ImageState).compile()
    parent = StateGraph(ImageState)
    parent.add_node("child", child)
    parent.add_edge(START, "child")
    graph = parent.compile(checkpointer=InMemorySaver())
    await face.call(graph, "invoke", request("Draw a boat."), THREAD)
    state = await face.call(graph, "invoke", request("Draw a house."), THREAD)
    assert [ref["attempts"] for ref in state["images"].values()] == [1, 1]


class OtherImages(MessagesState):
    images: Annotated[list[str], operator.add]


def test_a_channel_of_another_kind_is_refused_when_the_graph_is_built(model, store):
    with pytest.raises(InvalidInputError, match="images_key="):
        create_image_graph(model, image_store=store, state_schema=OtherImages)


async def test_a_call_that_interrupts_repeats_no_other(face, model, make_model, sandbox, store):
    """Each call is a task of its own; in one task for all, a resumed graph would run the image tool again."""

    def ask(question: str) -> str:
        """Ask a human."""
        return str(interrupt(question))

    tool = MistralImageGenerationTool(model=make_model(), image_store=store)
    calls = [("generate_image", {"prompt": "a cat"}), ("ask", {"question": "Is it good?"})]
    entries = [
        {
            "type": "function.call",
            "id": f"fc_{name}",
            "tool_call_id": f"call{place}000",
            "name": name,
            "arguments": args,
        }
        for place, (name, args) in enumerate(calls)
    ]
    sandbox.behave(Behavior(outputs=entries))
    graph = create_image_graph(model, image_store=store, tools=[tool, ask]).compile(checkpointer=InMemorySaver())
    state = await face.call(graph, "invoke", request("Draw, then ask."), THREAD)
    assert (state["__interrupt__"][0].value, sandbox.paid) == ("Is it good?", 1)
    sandbox.behave(Behavior(text="Done."))
    state = await face.call(graph, "invoke", Command(resume="yes"), THREAD)
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "tool", "ai"]
    assert sandbox.paid == 1
