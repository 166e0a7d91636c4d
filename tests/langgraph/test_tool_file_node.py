"""`ToolFileNode` in graphs."""

from __future__ import annotations

import base64
import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import RetryPolicy

from langchain_mistral_imagegen import (
    ConversationNode,
    FsspecImageStore,
    ImageDeltaState,
    ImageRef,
    ImageState,
    MistralImageGenerationTool,
    ToolFileNode,
    create_image_graph,
    merge_images,
    route_images,
)
from langchain_mistral_imagegen.errors import ImageUnavailableError, InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."


def graph_of(model, node, state: Any = ImageState, key: str = "messages", checkpointer: Any = None):
    def draw(state: Any) -> dict[str, Any]:
        return {key: [model.invoke(state[key])]}

    builder = StateGraph(state)
    builder.add_node("draw", draw)
    builder.add_node("download", node)
    builder.add_edge(START, "draw")
    builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    return builder.compile(checkpointer=checkpointer)


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


def asking(prompt: str, key: str = "messages") -> dict[str, Any]:
    return {key: [HumanMessage(prompt)]}


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
async def test_images_end_up_in_the_store_and_references_in_the_state(face, model, sandbox, store, shape):
    sandbox.behave(Behavior(shape=shape, images=3))
    state = await face.call(graph_of(model, ToolFileNode(image_store=store, model=model)), "invoke", asking(CAT))
    assert len(state["images"]) == 3
    for image_id, ref in state["images"].items():
        assert (ref["id"], ref["status"], ref["mime_type"]) == (image_id, "stored", "image/jpeg")
        assert (ref["width"], ref["height"], ref["attempts"]) == (1024, 768, 1)
        assert len(store.get(ref["key"])) == ref["size_bytes"]
    assert sandbox.paid == 3


@pytest.mark.parametrize("public_url", ["/images", "https://e.x/images/"])
async def test_references_have_the_url_of_the_server_that_serves_the_store(face, model, store, public_url):
    node = ToolFileNode(image_store=store, model=model, public_url=public_url)
    state = await face.call(graph_of(model, node), "invoke", asking(CAT))
    assert [ref["url"] for ref in state["images"].values()] == [
        f"{public_url.rstrip('/')}/{ref['key']}" for ref in state["images"].values()
    ]
    assert len(state["images"]) == 1


async def test_text_without_images_changes_nothing(face, model, store):
    state = await face.call(graph_of(model, ToolFileNode(image_store=store, model=model)), "invoke", asking("Hello"))
    assert state["images"] == {}


async def test_a_second_turn_downloads_only_what_is_new(face, model, sandbox, store):
    graph = graph_of(model, ToolFileNode(image_store=store, model=model), checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    await face.call(graph, "invoke", asking(CAT), config)
    state = await face.call(graph, "invoke", asking("Make it blue."), config)
    downloads = [request for request in sandbox.requests if request.path.endswith("/content")]
    assert len(state["images"]) == len(downloads) == 2


def test_state_survives_sqlite(model, store, tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        graph = graph_of(model, ToolFileNode(image_store=store, model=model), checkpointer=saver)
        config = {"configurable": {"thread_id": "1"}}
        state = graph.invoke(asking(CAT), config)
        assert graph.get_state(config).values["images"] == state["images"]
        assert b"JFIF" not in (tmp_path / "checkpoints.db").read_bytes()


async def test_keys_can_be_renamed(face, model, store):
    class Album(TypedDict):
        chat: Annotated[list[AnyMessage], add_messages]
        images: Annotated[dict[str, ImageRef], merge_images]

    node = ToolFileNode(image_store=store, model=model, messages_key="chat", images_key="images")
    state = await face.call(graph_of(model, node, Album, "chat"), "invoke", asking(CAT, "chat"))
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]


async def test_a_failed_image_is_marked_and_fetched_by_the_next_run(face, model, sandbox, store):
    sandbox.behave(Behavior(images=2))
    sandbox.behave(Behavior(on="download", status=404))
    node = ToolFileNode(image_store=store, model=model, max_concurrency=1)
    state = await face.call(graph_of(model, node), "invoke", asking(CAT))
    failed, stored = sorted(state["images"].values(), key=lambda ref: ref["status"])
    assert (failed["status"], stored["status"]) == ("failed", "stored")
    assert failed["error"].startswith("ImageUnavailableError")
    update = await face.call(node, "invoke", state)
    assert set(update["images"]) == {failed["id"]}
    again = merge_images(state["images"], update["images"])[failed["id"]]
    assert (again["status"], again["attempts"], "error" in again) == ("stored", 2, False)
    assert sandbox.paid == 2


@pytest.mark.parametrize("shape", ["tool_file", "url"])
async def test_an_image_that_expired_is_marked_and_what_is_stored_stays(face, model, sandbox, store, shape):
    node = ToolFileNode(image_store=store, model=model)
    state = await face.call(graph_of(model, node), "invoke", asking(CAT))
    (old,) = state["images"]
    sandbox.behave(Behavior(images=2, shape=shape))
    state["messages"].append(await face.call(model, "invoke", "Draw two dogs."))
    sandbox.expire_files()
    for attempt in (1, 2):
        update = await face.call(node, "invoke", state)
        assert len(update["images"]) == 2
        for image_id, ref in update["images"].items():
            assert (ref["status"], ref["attempts"]) == ("failed", attempt)
            assert ref["error"].startswith(f"ImageUnavailableError: Image {image_id!r} cannot be downloaded")
        state["images"] = merge_images(state["images"], update["images"])
    assert (state["images"][old]["status"], sandbox.paid) == ("stored", 3)
    assert len(store.get(state["images"][old]["key"])) == state["images"][old]["size_bytes"]


async def test_an_error_can_be_raised_once_the_others_are_stored(face, model, sandbox, store, tmp_path):
    sandbox.behave(Behavior(images=3))
    sandbox.behave(Behavior(on="download", status=404))
    node = ToolFileNode(image_store=store, model=model, on_error="raise", max_concurrency=1)
    with pytest.raises(ImageUnavailableError):
        await face.call(graph_of(model, node), "invoke", asking(CAT))
    assert len(list((tmp_path / "images").rglob("*.jpg"))) == 2


async def test_images_that_a_tool_put_into_messages_are_known(face, model, sandbox, store):
    tool = MistralImageGenerationTool(model=model, image_store=store)
    artifact = tool.generate("a cat")
    (ref,) = artifact["images"]
    message = ToolMessage("drawn", tool_call_id="c", artifact=artifact)
    remote = {"schema_version": 1, "images": [{**artifact["images"][0], "id": "new", "status": "remote"}]}
    pending = ToolMessage("drawn", tool_call_id="d", artifact=remote)
    node = ToolFileNode(image_store=store, model=model)
    requests = len(sandbox.requests)
    assert await face.call(node, "invoke", {"messages": [message]}) == {"images": {ref["id"]: ref}}
    assert await face.call(node, "invoke", {"messages": [message], "images": {ref["id"]: ref}}) == {"images": {}}
    assert len(sandbox.requests) == requests
    update = await face.call(node, "invoke", {"messages": [pending]})
    assert update["images"]["new"]["status"] == "stored"


async def test_a_file_that_is_no_image_is_marked_and_not_stored(face, model, sandbox, store, tmp_path):
    sandbox.behave(Behavior(file_bytes=b"<html>not an image</html>"))
    state = await face.call(graph_of(model, ToolFileNode(image_store=store, model=model)), "invoke", asking(CAT))
    (ref,) = state["images"].values()
    assert (ref["status"], "is not an image" in ref["error"]) == ("failed", True)
    assert [path for path in (tmp_path / "images").rglob("*") if path.is_file()] == []


async def test_an_image_may_not_be_larger_than_allowed(face, model, sandbox, store):
    sandbox.behave(Behavior(file_size=300_000))
    node = ToolFileNode(image_store=store, model=model, max_bytes=200_000)
    state = await face.call(graph_of(model, node), "invoke", asking(CAT))
    (ref,) = state["images"].values()
    assert "larger than the 200,000 bytes allowed" in ref["error"]


async def test_many_images_are_stored_concurrently_and_in_full(face, model, sandbox, store):
    sandbox.behave(Behavior(images=40))
    state = await face.call(graph_of(model, ToolFileNode(image_store=store, model=model)), "invoke", asking(CAT))
    assert {ref["status"] for ref in state["images"].values()} == {"stored"}
    assert len({ref["sha256"] for ref in state["images"].values()}) == 40


async def test_a_node_can_be_pickled_after_use(face, model, store, make_model):
    node = ToolFileNode(image_store=store, model=model)
    message = model.invoke(CAT)
    await face.call(node, "invoke", {"messages": [message]})
    twin = pickle.loads(pickle.dumps(node))
    make_model(twin.model)
    update = await face.call(twin, "invoke", {"messages": [message]})
    assert len(update["images"]) == 1


def test_run_is_the_plain_function(model, store):
    update = ToolFileNode(image_store=store, model=model).run({"messages": [model.invoke(CAT)]})
    assert len(update["images"]) == 1


def test_the_default_model_comes_from_the_environment(model, sandbox, store, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    node = ToolFileNode(image_store=store)
    update = node.run({"messages": [model.invoke(CAT), AIMessage("foreign")]})
    node._downloader.close()
    assert len(update["images"]) == 1


async def test_an_image_for_each_task_gives_the_same(face, model, sandbox, store):
    def builder_of(path):
        builder = StateGraph(ImageState)
        builder.add_node("draw", lambda state: {"messages": [model.invoke(state["messages"])]})
        builder.add_node("download", ToolFileNode(image_store=store, model=model))
        builder.add_edge(START, "draw")
        builder.add_conditional_edges("draw", path, ["download", END])
        builder.add_edge("download", END)
        return builder.compile()

    sandbox.behavior = Behavior(images=3)
    alone, fanned = [
        await face.call(builder_of(path), "invoke", asking(CAT)) for path in (lambda _: "download", route_images())
    ]

    def facts(state):
        return [(ref["sha256"], ref["status"], ref["attempts"]) for ref in state["images"].values()]

    assert facts(fanned) == facts(alone)
    assert len(facts(fanned)) == 3
    nothing = await face.call(builder_of(route_images(otherwise="download")), "invoke", asking("Hello"))
    assert nothing["images"] == {}


@pytest.mark.slow
async def test_of_several_tasks_the_one_that_fails_is_repeated(face, model, sandbox, store):
    node = ToolFileNode(image_store=store, model=model, on_error="raise")
    builder = StateGraph(ImageState)
    builder.add_node("download", node, retry_policy=RetryPolicy(initial_interval=0, retry_on=ImageUnavailableError))
    builder.add_conditional_edges(START, route_images(), ["download", END])
    sandbox.behave(Behavior(images=3))
    answer = model.invoke(CAT)
    sandbox.behave(Behavior(on="download", status=404))
    state = await face.call(builder.compile(), "invoke", {"messages": [HumanMessage(CAT), answer]})
    assert [ref["status"] for ref in state["images"].values()] == ["stored"] * 3
    assert len([request for request in sandbox.requests if request.path.endswith("/content")]) == 4


async def test_a_reference_may_bring_its_image_along(face, model, store):
    state = await face.call(
        graph_of(model, ToolFileNode(image_store=store, model=model, inline=True)), "invoke", asking(CAT)
    )
    (ref,) = state["images"].values()
    assert base64.b64decode(ref["base64"]) == store.get(ref["key"])
    plain = await face.call(graph_of(model, ToolFileNode(image_store=store, model=model)), "invoke", asking(CAT))
    assert "base64" not in next(iter(plain["images"].values()))


class Plain(MessagesState):
    images: dict[str, ImageRef]


class Overwritten(TypedDict):
    messages: list[AnyMessage]
    images: Annotated[dict[str, ImageRef], merge_images]


@pytest.mark.parametrize("schema", [MessagesState, Plain])
async def test_a_state_without_the_channel_is_refused(face, model, store, schema):
    node = ToolFileNode(image_store=store, model=model)
    with pytest.raises(
        InvalidInputError, match="no channel 'images' with a reducer, so updates of ToolFileNode would be lost"
    ):
        node.add_to(StateGraph(schema), "download")
    with pytest.raises(InvalidInputError, match="no channel 'images'"):
        create_image_graph(model, image_store=store, state_schema=schema)
    with pytest.raises(InvalidInputError, match="no channel 'images'"):
        await face.call(graph_of(model, node, schema), "invoke", asking(CAT))


def test_messages_without_a_reducer_are_refused(model, store):
    with pytest.raises(InvalidInputError, match="no channel 'messages' with a reducer, so updates of ConversationNode"):
        ConversationNode(model, image_store=store).add_to(StateGraph(Overwritten), "draw")


def test_a_node_adds_itself_with_options(model, store):
    builder = StateGraph(ImageState)
    ToolFileNode(image_store=store, model=model).add_to(builder, "download", metadata={"step": "last"})
    assert builder.nodes["download"].metadata == {"step": "last"}


async def test_the_state_may_keep_only_what_has_changed(face, model, sandbox, store):
    saver, thread = InMemorySaver(), {"configurable": {"thread_id": "1"}}
    older = create_image_graph(model, image_store=store).compile(checkpointer=saver)
    await face.call(older, "invoke", asking(CAT), thread)
    graph = create_image_graph(model, image_store=store, state_schema=ImageDeltaState).compile(checkpointer=saver)
    for prompt in ("Make it blue.", "Make it green."):
        state = await face.call(graph, "invoke", asking(prompt), thread)
    assert [ref["status"] for ref in state["images"].values()] == ["stored"] * 3
    assert graph.get_state(thread).values["images"] == state["images"]
    assert sandbox.paid == 3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image_store": 42}, "image_store=42 is no place for images: give a path"),
        (
            {"model": "mistral-medium-latest"},
            r"ToolFileNode needs .* it is 'mistral-medium-latest'; pass ChatMistralConv",
        ),
        (
            {"model": FakeListChatModel(responses=[])},
            "it is of type FakeListChatModel; pass a ChatMistralConversations",
        ),
        ({"on_error": "ignore"}, "on_error='ignore' is not known; use 'mark' or 'raise'"),
    ],
)
def test_a_wrong_argument_is_refused_at_construction(wrong, words):
    with pytest.raises(InvalidInputError, match=words):
        ToolFileNode(**wrong)


def test_arguments_are_given_by_name(model):
    words = (
        r"ToolFileNode was given \(ChatMistralConversations, str\) by position; pass image_store=..., model=... by name"
    )
    with pytest.raises(TypeError, match=words):
        ToolFileNode(model, "images")


def test_a_copy_and_a_pickle_are_equal_and_nothing_of_it_can_be_set(store):
    node = ToolFileNode(image_store=store, max_bytes=5)
    assert pickle.loads(pickle.dumps(node)) == copy.deepcopy(node) == replace(node) == node
    with pytest.raises(FrozenInstanceError):
        node.max_bytes = 6


async def test_a_reference_may_have_a_url_for_front_ends(face, model, store):
    node = ToolFileNode(image_store=store, model=model, public_url="https://e.x/images/")
    update = await face.call(node, "invoke", {"messages": [model.invoke("Draw a boat.")]})
    (ref,) = update["images"].values()
    assert ref["url"] == f"https://e.x/images/{ref['key']}"


async def test_a_node_before_anything_that_makes_images_is_refused_before_paying(face, model, sandbox, tmp_path):
    builder = StateGraph(ImageState)
    builder.add_node("download", ToolFileNode(image_store=tmp_path, model=model))
    builder.add_node("draw", ConversationNode(model, image_store=tmp_path))
    builder.add_edge(START, "download")
    builder.add_edge("download", "draw")
    graph = builder.compile()
    with pytest.raises(InvalidInputError, match="after the node that generates images"):
        await face.call(graph, "invoke", {"messages": [("user", "Draw a boat.")]})
    assert sandbox.requests == []
    answer = await face.call(model, "invoke", "Draw a boat.")
    done = await face.call(graph, "invoke", {"messages": [("user", "Draw a boat."), answer, ("user", "Hello.")]})
    assert [ref["status"] for ref in done["images"].values()] == ["stored"]
