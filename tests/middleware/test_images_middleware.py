"""`ImagesMiddleware`: images stay out of an agent's state, references to them come into it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import operator
import threading
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import mcp
import pytest
from langchain.agents import AgentState, create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from PIL import Image
from pydantic import AnyUrl, BaseModel, Field

from langchain_mistral_imagegen import FsspecImageStore, MistralImageGenerationTool, images_of
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.middleware import ImagesMiddleware, PortableMessagesMiddleware
from langchain_mistral_imagegen.sandbox import Behavior
from langchain_mistral_imagegen.stores._incoming import IncomingImage

THREAD = {"configurable": {"thread_id": "1"}}


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(buffer, "png", comment=colour)
    return buffer.getvalue()


RED, BLUE = png("red"), png("blue")


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def id_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def words_for(data: bytes) -> str:
    return f"[Image: image/png, 64x48 pixels (id {id_of(data)})]"


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{encoded(data)}"


def block(data: bytes) -> dict[str, Any]:
    return {"type": "image", "base64": encoded(data), "mime_type": "image/png"}


SHAPES = {
    "v1": block(RED),
    "v1 in lines": {"type": "image", "base64": base64.encodebytes(RED).decode(), "mime_type": "image/png"},
    "v1-url": {"type": "image", "url": data_url(RED)},
    "v0": {"type": "image", "source_type": "base64", "data": encoded(RED), "mime_type": "image/png"},
    "openai": {"type": "image_url", "image_url": {"url": data_url(RED)}},
    "mistral": {"type": "image_url", "image_url": data_url(RED)},
    "anthropic": {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": encoded(RED)},
    },
    "mcp": {"type": "image", "data": encoded(RED), "mimeType": "image/png"},
}


class Scripted(BaseChatModel):
    """Sends the given answers, and remembers what it was given."""

    answers: Iterator[AIMessage]
    given: list[list[BaseMessage]] = Field(default_factory=list)

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Scripted:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.given.append(messages)
        return ChatResult(generations=[ChatGeneration(message=next(self.answers))])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def calls(*names: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": name} for name in names])


def scripted(*answers: AIMessage) -> Scripted:
    return Scripted(answers=iter([*answers, AIMessage("Done.")]))


def returning(content: Any, name: str = "look", artifact: Any = None) -> BaseTool:
    def look() -> Any:
        return content, artifact

    async def alook() -> Any:
        return content, artifact

    return StructuredTool.from_function(
        look, alook, name=name, description="Look.", response_format="content_and_artifact"
    )


def plainly(result: Any) -> BaseTool:
    return StructuredTool.from_function(lambda: result, name="look", description="Look.")


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


async def run(face, agent, words: str = "What is there?", config: Any = None) -> dict[str, Any]:
    return await face.call(agent, "invoke", {"messages": [("user", words)]}, config)


def results(state: dict[str, Any]) -> list[ToolMessage]:
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


@asynccontextmanager
async def checkpointer(face, path):
    if face.is_async:
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            yield saver
    else:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            yield saver


def assert_no_bytes(folder, *images: bytes) -> None:
    written = b"".join(path.read_bytes() for path in folder.glob("checkpoints.db*"))
    assert b"What is there?" in written
    for image in images:
        for form in (image, base64.b64encode(image)):
            # A database cuts what is long into pages, so look for pieces.
            assert not any(form[at : at + 40] in written for at in range(0, 2000, 40))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_an_image_of_any_shape_goes_into_the_store_and_words_stay(face, store, shape):
    model = scripted(calls("look"))
    tools = [plainly(ToolMessage([{"type": "text", "text": "A house."}, shape], tool_call_id="look"))]
    state = await run(face, create_agent(model, tools, middleware=[ImagesMiddleware(image_store=store)]))
    (message,) = results(state)
    assert message.content == [{"type": "text", "text": "A house."}, {"type": "text", "text": words_for(RED)}]
    assert model.given[1][-1].content == message.content
    (ref,) = state["images"].values()
    assert (ref["id"], ref["status"], ref["mime_type"], ref["width"]) == (id_of(RED), "stored", "image/png", 64)
    assert store.get(ref["key"]) == RED
    assert images_of(message) == [ref]
    assert json.loads(json.dumps(ref)) == ref


async def test_data_urls_in_a_text_are_replaced_where_they_stand(face, store):
    page = f'{{"logo": "{data_url(RED)}", "photo": "{data_url(BLUE)}"}}'
    model = scripted(calls("look"))
    state = await run(face, create_agent(model, [returning(page)], middleware=[ImagesMiddleware(image_store=store)]))
    assert results(state)[0].content == f'{{"logo": "{words_for(RED)}", "photo": "{words_for(BLUE)}"}}'
    assert set(state["images"]) == {id_of(RED), id_of(BLUE)}


@pytest.mark.parametrize("result", [block(RED), {"seen": [{"type": "input_image", "image_url": data_url(RED)}]}])
async def test_a_result_that_langchain_makes_a_text_of_is_looked_into(face, store, result):
    state = await run(
        face, create_agent(scripted(calls("look")), [plainly(result)], middleware=[ImagesMiddleware(image_store=store)])
    )
    words = {"type": "text", "text": words_for(RED)}
    assert json.loads(results(state)[0].content) == (words if result == block(RED) else {"seen": [words]})
    assert set(state["images"]) == {id_of(RED)}


class ImageContent(BaseModel):
    """As in the MCP SDK, whose objects older adapters hand on as artifact."""

    type: str = "image"
    data: str
    mimeType: str = "image/png"  # noqa: N815  # MCP's name


@pytest.mark.parametrize("artifact", [[ImageContent(data=encoded(RED))], {"page": {"parts": [SHAPES["mcp"]]}}])
async def test_an_artifact_gets_the_reference_in_its_place(face, store, artifact):
    tools = [returning("A house.", artifact=artifact)]
    state = await run(
        face, create_agent(scripted(calls("look")), tools, middleware=[ImagesMiddleware(image_store=store)])
    )
    (message,), (ref,) = results(state), state["images"].values()
    assert message.content == "A house."
    assert message.artifact == ([ref] if isinstance(artifact, list) else {"page": {"parts": [ref]}})


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image", "base64": f"{encoded(RED)}!", "mime_type": "image/png"}],
        [block(b"no image")],
        "data:image/png;base64,AAAA and so on",
    ],
)
async def test_what_is_no_image_stays_as_it_is(face, store, content, caplog):
    state = await run(
        face,
        create_agent(scripted(calls("look")), [returning(content)], middleware=[ImagesMiddleware(image_store=store)]),
    )
    assert results(state)[0].content == content
    assert not state.get("images")
    assert "stay in its message" in caplog.text


@pytest.mark.parametrize(
    ("content", "artifact"),
    [
        ("words", {"images": [{"id": "1", "status": "succeeded"}, {"id": 2, "status": "stored"}, "a", None]}),
        ([{"type": "image", "url": "https://e.x/a.png"}], {"images": None}),
    ],
)
async def test_results_without_images_are_left_alone(face, store, content, artifact, caplog):
    tools = [returning(content, artifact=artifact)]
    state = await run(
        face, create_agent(scripted(calls("look")), tools, middleware=[ImagesMiddleware(image_store=store)])
    )
    (message,) = results(state)
    assert (message.content, message.artifact) == (content, artifact)
    assert not message.response_metadata
    assert not state.get("images")
    assert not caplog.text


async def test_nothing_is_lost_where_the_disk_refuses(face, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    middleware = ImagesMiddleware(image_store=str(tmp_path / "file" / "images"))
    content = [block(RED), {"type": "text", "text": data_url(BLUE)}]
    state = await run(face, create_agent(scripted(calls("look")), [returning(content)], middleware=[middleware]))
    assert results(state)[0].content == content
    assert "2 image(s) that tool 'look' returned stay in its message" in caplog.text
    assert "Mistral" not in caplog.text


async def test_an_image_that_is_too_large_leaves_nothing_in_the_store(face, store, monkeypatch, caplog):
    monkeypatch.setattr(IncomingImage.__init__, "__defaults__", (100,))
    tools = [returning([block(RED)])]
    state = await run(
        face, create_agent(scripted(calls("look")), tools, middleware=[ImagesMiddleware(image_store=store)])
    )
    assert results(state)[0].content == [block(RED)]
    assert list(store.all_keys()) == []
    assert "larger than the 100 bytes allowed" in caplog.text


async def test_parallel_tools_and_several_turns_fill_one_channel(face, store, tmp_path):
    tools = [returning([block(RED)]), returning([block(BLUE)], "listen"), returning("Nothing.", "smell")]
    model = scripted(calls("look", "listen", "smell"), AIMessage("So."), calls("look"))
    async with checkpointer(face, tmp_path / "checkpoints.db") as saver:
        agent = create_agent(
            model, tools, middleware=[ImagesMiddleware(image_store=store, show="all")], checkpointer=saver
        )
        await run(face, agent, config=THREAD)
        state = await run(face, agent, config=THREAD)
    assert [message.name for message in results(state)] == ["look", "listen", "smell", "look"]
    assert set(state["images"]) == {id_of(RED), id_of(BLUE)}
    assert_no_bytes(tmp_path, RED, BLUE)


async def test_a_command_keeps_its_own_updates(face, store):
    ref = {"id": "own", "status": "remote"}
    update = {
        "messages": [ToolMessage([block(RED)], tool_call_id="look"), HumanMessage("by the way")],
        "images": {"own": ref},
        "jump_to": None,
    }
    tools = [plainly(Command(update=update))]
    state = await run(
        face, create_agent(scripted(calls("look")), tools, middleware=[ImagesMiddleware(image_store=store)])
    )
    assert results(state)[0].content == [{"type": "text", "text": words_for(RED)}]
    assert any(message.content == "by the way" for message in state["messages"])
    assert set(state["images"]) == {"own", id_of(RED)}
    assert state["images"]["own"] == ref


async def test_several_commands_of_one_tool_are_all_looked_at(face, store):
    first = Command(update={"messages": [ToolMessage([block(RED)], tool_call_id="look")]})
    tools = [plainly([first, Command(update={"images": {"own": {"id": "own", "status": "remote"}}})])]
    state = await run(
        face, create_agent(scripted(calls("look")), tools, middleware=[ImagesMiddleware(image_store=store)])
    )
    assert set(state["images"]) == {"own", id_of(RED)}


async def test_what_the_image_tool_stored_comes_into_the_channel(face, model, store, tmp_path):
    tools = [MistralImageGenerationTool(model=model, image_store=store), returning([block(RED)])]
    answer = AIMessage(
        "",
        tool_calls=[
            {"name": "generate_image", "args": {"prompt": "a boat"}, "id": "1"},
            {"name": "generate_image", "args": {"prompt": "a cat"}, "id": "2"},
            {"name": "look", "args": {}, "id": "3"},
        ],
    )
    async with checkpointer(face, tmp_path / "checkpoints.db") as saver:
        middleware = [ImagesMiddleware(image_store=store, show="latest"), PortableMessagesMiddleware()]
        agent = create_agent(seeing := scripted(answer), tools, middleware=middleware, checkpointer=saver)
        state = await run(face, agent, config=THREAD)
    boat, cat, _ = results(state)
    assert boat.artifact["prompt"] == "a boat"
    assert set(state["images"]) == {images_of(boat)[0]["id"], images_of(cat)[0]["id"], id_of(RED)}
    assert {ref["status"] for ref in state["images"].values()} == {"stored"}
    shown = [part["base64"] for part in seeing.given[1][-1].content if part["type"] == "image"]
    images = [store.get(ref["key"]) for ref in images_of(results(state))]
    assert shown == [encoded(image) for image in images]
    assert_no_bytes(tmp_path, *images)


async def test_what_the_model_draws_is_stored(face, model, store, sandbox):
    sandbox.behave(Behavior(shape="url"))
    middleware = ImagesMiddleware(image_store=store, public_url="https://e.x/images/")
    state = await run(face, create_agent(model, middleware=[middleware]), "Draw a cat.")
    (ref,) = state["images"].values()
    assert [ref["id"]] == [one["id"] for one in images_of(state["messages"])]
    assert (ref["status"], ref["url"]) == ("stored", f"https://e.x/images/{ref['key']}")
    assert store.get(ref["key"]).startswith(b"\xff\xd8")


async def test_what_the_model_drew_is_shown_after_its_answer(face, model, store):
    drawing = ImagesMiddleware(image_store=store)
    agent = create_agent(model, middleware=[drawing], checkpointer=InMemorySaver())
    await run(face, agent, "Draw a cat.", THREAD)
    seeing = scripted()
    middleware = [ImagesMiddleware(image_store=store, show="all"), PortableMessagesMiddleware()]
    again = create_agent(seeing, middleware=middleware, checkpointer=agent.checkpointer)
    await run(face, again, "What is it?", THREAD)
    assert [place for place, _ in images_in(seeing.given[0])] == [2]


async def test_what_the_model_drew_and_cannot_be_fetched_is_marked(face, model, store, sandbox):
    sandbox.behave(Behavior(file_bytes=b"<html>"))
    agent = create_agent(model, middleware=[ImagesMiddleware(image_store=store)])
    (ref,) = (await run(face, agent, "Draw a cat."))["images"].values()
    assert (ref["status"], ref["attempts"]) == ("failed", 1)
    assert "is not an image" in ref["error"]


async def test_another_provider_needs_no_download(face, store):
    drawn = AIMessage([{"type": "tool_file", "tool": "image_generation", "file_id": "f", "file_type": "png"}])
    state = await run(face, create_agent(scripted(drawn), middleware=[ImagesMiddleware(image_store=store)]))
    assert [ref["status"] for ref in state["images"].values()] == ["remote"]


class OtherImages(AgentState):
    images: Annotated[list[str], operator.add]


async def test_a_channel_of_another_kind_is_refused_before_the_model_is_called(face, model, store, sandbox):
    agent = create_agent(model, middleware=[ImagesMiddleware(image_store=store)], state_schema=OtherImages)
    with pytest.raises(InvalidInputError, match="images_key="):
        await run(face, agent, "Draw a cat.")
    assert sandbox.requests == []
    other = ImagesMiddleware(image_store=store, images_key="drawn")
    state = await run(face, create_agent(model, middleware=[other], state_schema=OtherImages), "Draw a cat.")
    assert [ref["status"] for ref in state["drawn"].values()] == ["stored"]
    assert state["images"] == []


async def test_clients_cannot_write_references(face, store):
    agent = create_agent(scripted(), middleware=[ImagesMiddleware(image_store=store)])
    forged = {"x": {"id": "x", "status": "stored", "key": "someone/elses.jpg"}}
    state = await face.call(agent, "invoke", {"messages": [("user", "Hello.")], "images": forged})
    assert not state.get("images")
    assert "images" not in agent.get_input_jsonschema()["properties"]


async def test_objects_of_the_mcp_sdk_become_json(face, store, tmp_path):
    resource = mcp.types.TextResourceContents(uri=AnyUrl("file:///a.txt"), text="words")
    artifact = [mcp.types.EmbeddedResource(type="resource", resource=resource)]
    agent = create_agent(
        scripted(calls("look")),
        [returning("words", artifact=artifact)],
        middleware=[ImagesMiddleware(image_store=store)],
        checkpointer=InMemorySaver(),
    )
    (message,) = results(await run(face, agent, config=THREAD))
    assert message.artifact[0]["resource"]["uri"] == "file:///a.txt"
    assert json.loads(json.dumps(message.artifact)) == message.artifact


async def test_bytes_nested_in_a_result_are_stored(face, store):
    nested = {"pages": [{"scan": RED}, (BLUE,)], "other": b"no image"}
    tools = [
        returning("words", artifact=nested),
        StructuredTool.from_function(lambda: nested, name="listen", description="Listen."),
    ]
    agent = create_agent(scripted(calls("look", "listen")), tools, middleware=[ImagesMiddleware(image_store=store)])
    state = await run(face, agent)
    first, second = results(state)
    assert first.artifact["pages"][0]["scan"]["id"] == id_of(RED)
    assert first.artifact["other"] == b"no image"
    assert words_for(RED) in second.content
    assert "x89" not in second.content
    assert set(state["images"]) == {id_of(RED), id_of(BLUE)}


@pytest.mark.slow
async def test_strange_texts_are_left_alone_with_one_warning(face, store, caplog):
    texts = ["[" * 1_500, "data:image/png;base64,AAAA " * 50_000]
    deep: Any = "end"
    for _ in range(3_000):
        deep = [deep]
    tools = [returning(texts[0]), returning(texts[1], "listen"), returning("words", "smell", artifact=deep)]
    model = scripted(calls("look", "listen", "smell"))
    state = await run(face, create_agent(model, tools, middleware=[ImagesMiddleware(image_store=store)]))
    assert [message.content for message in results(state)] == [*texts, "words"]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "50000 image(s)" in caplog.text


def images_in(messages: Sequence[BaseMessage]) -> list[tuple[int, list[str]]]:
    """Return the place and the images of each message that shows some."""
    shown = [
        [part["base64"] for part in message.content if isinstance(part, dict) and part["type"] == "image"]
        for message in messages
    ]
    return [(place, some) for place, some in enumerate(shown) if some]


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        ("never", []),
        ("latest", [(8, [encoded(BLUE)])]),
        ("all", [(4, [encoded(RED)]), (9, [encoded(BLUE)])]),
    ],
)
async def test_the_model_is_shown_images_after_the_results_that_brought_them(face, store, show, expected):
    tools = [returning([block(RED)]), returning([block(BLUE)], "listen"), returning("Nothing.", "smell")]
    model = scripted(calls("look", "smell"), calls("smell"), calls("listen"), calls("smell"))
    agent = create_agent(model, tools, middleware=[ImagesMiddleware(image_store=store, show=show)])
    state = await run(face, agent)
    assert images_in(model.given[0]) == []
    assert images_in(model.given[-1]) == expected
    for place, _ in expected:
        message = model.given[-1][place]
        assert isinstance(message, HumanMessage)
        assert isinstance(model.given[-1][place - 1], ToolMessage), "after the results, not between them"
    assert images_in(state["messages"]) == []


async def test_images_are_still_shown_in_later_turns(face, store):
    model = scripted(calls("look"), AIMessage("A house."))
    agent = create_agent(
        model, [returning([block(RED)])], middleware=[ImagesMiddleware(image_store=store, show="latest")]
    )
    state = await run(face, agent)
    await face.call(agent, "invoke", {"messages": [*state["messages"], ("user", "What colour?")]})
    assert images_in(model.given[-1]) == [(3, [encoded(RED)])]
    assert model.given[-1][3].content[0] == {"type": "text", "text": words_for(RED)}


async def test_an_image_that_is_gone_is_described_and_logged(face, store, caplog):
    model = scripted(calls("look"))
    agent = create_agent(
        model, [returning([block(RED), block(BLUE)])], middleware=[ImagesMiddleware(image_store=store)]
    )
    state = await run(face, agent)
    store.delete(state["images"][id_of(RED)]["key"])
    seeing = scripted()
    agent = create_agent(seeing, middleware=[ImagesMiddleware(image_store=store, show="all")])
    await face.call(agent, "invoke", {"messages": state["messages"]})
    lost, name, image = next(message for message in seeing.given[0] if images_in([message])).content
    assert lost == {"type": "text", "text": f"{words_for(RED)} cannot be shown."}
    assert (name["text"], image) == (words_for(BLUE), block(BLUE))
    assert "described to the model" in caplog.text


async def test_a_key_that_leads_out_of_the_store_is_not_read(face, store, tmp_path, caplog):
    (tmp_path / "secret.png").write_bytes(RED)
    artifact = {"images": [{"id": "x", "status": "stored", "key": "../secret.png"}]}
    model = scripted(calls("look"))
    tools = [returning("A house.", artifact=artifact)]
    await run(face, create_agent(model, tools, middleware=[ImagesMiddleware(image_store=store, show="latest")]))
    assert images_in(model.given[-1]) == []
    assert "described to the model" in caplog.text


async def test_mistral_is_shown_what_a_function_returned(face, make_model, sandbox, store):
    agent = create_agent(
        make_model(tools=[]), [returning([block(RED)])], middleware=[ImagesMiddleware(image_store=store, show="all")]
    )
    state = await run(face, agent, "Use look.")
    assert "I see an image" in state["messages"][-1].text
    result, shown = sandbox.requests[-1].json["inputs"]
    assert (result["type"], result["result"]) == ("function.result", words_for(RED))
    assert shown["content"][1] == {"type": "image_url", "image_url": data_url(RED)}
    state = await face.call(agent, "invoke", {"messages": [*state["messages"], ("user", "Thank you.")]})
    (thanks,) = sandbox.requests[-1].json["inputs"]
    assert thanks["content"] == "Thank you.", "the same images in the same place continue the conversation"


async def test_streams_carry_no_bytes(face, store):
    agent = create_agent(
        scripted(calls("look")), [returning([block(RED)])], middleware=[ImagesMiddleware(image_store=store, show="all")]
    )
    chunks = await face.chunks(
        agent, {"messages": [("user", "Look.")]}, stream_mode=["values", "updates", "messages", "debug"]
    )
    assert words_for(RED) in str(chunks)
    assert encoded(RED)[:100] not in str(chunks)
    assert any(mode == "updates" and id_of(RED) in str(chunk) for mode, chunk in chunks)


class OffTheLoop(FsspecImageStore):
    """A store that minds where it is called."""

    def put(self, *args: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        super().put(*args)

    def get(self, *args: Any) -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        return super().get(*args)


async def test_the_event_loop_is_not_blocked(store):
    model = scripted(calls("look"))
    middleware = ImagesMiddleware(image_store=OffTheLoop(store.root), show="all")
    await create_agent(model, [returning([block(RED)])], middleware=[middleware]).ainvoke({"messages": "Look."})
    assert len(images_in(model.given[-1])) == 1


async def test_two_megabytes_of_base64_leave_a_few_hundred_bytes(face, store):
    large = io.BytesIO()
    Image.effect_noise((1300, 1200), 90).save(large, "png")
    tools = [returning([block(large.getvalue())])]
    state = await run(
        face, create_agent(scripted(calls("look")), tools, middleware=[ImagesMiddleware(image_store=store)])
    )
    assert len(large.getvalue()) > 1_000_000
    assert len(results(state)[0].model_dump_json()) < 800


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"image_store": 42}, "image_store=42 is no place for images"), ({"show": "first"}, "show='first' is not known")],
)
def test_a_wrong_argument_is_refused_at_construction(wrong, words):
    with pytest.raises(InvalidInputError, match=words):
        ImagesMiddleware(**wrong)


def test_arguments_are_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        ImagesMiddleware("images")
