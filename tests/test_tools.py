"""The tool: by itself, and in an agent whose model is scripted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import aclosing, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolRetryMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.stores import InMemoryByteStore
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import ValidationError

from langchain_mistral_imagegen import (
    ByteStoreImageStore,
    ChatMistralConversations,
    FsspecImageStore,
    GeneratedImage,
    MistralImageGenerationTool,
    ToolFileNode,
    images_of,
)
from langchain_mistral_imagegen.errors import (
    AuthenticationError,
    ImageStoreError,
    InvalidInputError,
    NoImageError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior

THREAD = {"configurable": {"thread_id": "1"}}


class ScriptedModel(GenericFakeChatModel):
    """Sends the given answers, and takes any tools."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> ScriptedModel:
        return self


def scripted(*prompts: str) -> ScriptedModel:
    calls = [
        {"name": "generate_image", "args": {"prompt": prompt}, "id": f"call{number}"}
        for number, prompt in enumerate(prompts)
    ]
    return ScriptedModel(messages=iter([AIMessage("", tool_calls=calls), AIMessage("Done.")]))


@pytest.fixture
def tool(model, tmp_path):
    return MistralImageGenerationTool(model=model, image_store=str(tmp_path / "images"))


async def run(face, agent):
    return await face.call(agent, "invoke", {"messages": [("user", "A cat, please.")]})


def tool_messages(state) -> list[ToolMessage]:
    return [message for message in state["messages"] if isinstance(message, ToolMessage)]


async def test_an_agent_reads_text_and_the_program_an_artifact(face, tool, sandbox):
    state = await run(face, create_agent(scripted("an orange cat"), [tool]))
    (message,) = tool_messages(state)
    (ref,) = message.artifact["images"]
    assert "an orange cat" in message.content
    assert "1024x768 pixels" in message.content
    assert ref["id"] in message.content
    assert json.loads(json.dumps(message.artifact)) == message.artifact
    assert message.artifact["connectors"] == {"image_generation": 1}
    assert tool.store.get(ref["key"]).startswith(b"\xff\xd8\xff")
    assert images_of(message) == [ref]
    assert sandbox.paid == 1


async def test_no_bytes_and_no_signature_are_in_the_messages(face, tool, sandbox):
    sandbox.behave(Behavior(shape="url"))
    state = await run(face, create_agent(scripted("an orange cat"), [tool]))
    shown = "".join(message.model_dump_json() for message in state["messages"])
    assert len(shown) < 5000
    assert "sig=" not in shown
    assert images_of(tool_messages(state))[0]["status"] == "stored"


async def test_several_calls_at_once_are_several_images(face, tool, sandbox):
    state = await run(face, create_agent(scripted("a red house", "a blue boat"), [tool]))
    assert len({ref["sha256"] for ref in images_of(tool_messages(state))}) == 2
    assert sandbox.paid == 2


async def test_the_calling_model_reads_why_there_is_no_image(face, tool, sandbox):
    sandbox.behave(Behavior(shape="text", text="I cannot draw that."))
    (message,) = tool_messages(await run(face, create_agent(scripted("something"), [tool])))
    assert message.status == "error"
    assert "No image was generated" in message.content
    assert "I cannot draw that." in message.content


async def test_the_reason_of_a_failed_attempt_is_reported(face, tool, sandbox):
    failed = {
        "type": "tool.execution",
        "name": "image_generation",
        "id": "t",
        "info": {"result": "Tool call timed out."},
    }
    sandbox.behave(Behavior(outputs=[failed]))
    with pytest.raises(NoImageError, match=r"The image tool reported: Tool call timed out\."):
        await face.call(tool, "generate", "a cat")


async def test_a_quota_is_an_error_that_retry_middleware_understands(face, model, tmp_path, sandbox):
    tool = MistralImageGenerationTool(model=model, image_store=tmp_path, on_error={"quota": "raise"})
    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    sandbox.behave(Behavior(quota="minute"))
    state = await run(face, create_agent(scripted("a cat"), [tool], middleware=[retry]))
    assert tool_messages(state)[0].artifact["images"]
    assert sandbox.paid == 1


async def test_errors_keep_their_type(face, model, tmp_path, sandbox):
    tool = MistralImageGenerationTool(model=model, image_store=tmp_path, on_error="raise")
    sandbox.behave(Behavior(quota="day"))
    with pytest.raises(QuotaExceededError) as caught:
        await run(face, create_agent(scripted("a cat"), [tool]))
    assert isinstance(caught.value, RateLimitError)
    assert not caught.value.is_retryable


async def test_generate_gives_the_artifact_directly(face, tool, sandbox):
    sandbox.behave(Behavior(images=2))
    artifact = await face.call(tool, "generate", "a cat")
    assert [ref["status"] for ref in artifact["images"]] == ["stored", "stored"]
    assert artifact["prompt"] == "a cat"
    assert artifact["usage"]["total_tokens"] > 0
    assert artifact["conversation_id"] in sandbox.conversations.by_id


async def test_a_style_is_added_to_the_prompt_openly(face, model, sandbox):
    tool = MistralImageGenerationTool(model=model, style="watercolour")
    await face.call(tool, "generate", "a cat")
    (sent,) = sandbox.requests[0].json["inputs"]
    assert sent["content"] == "Generate this image: a cat\n\nStyle: watercolour"


async def test_the_default_store_is_a_folder_that_the_environment_can_name(face, model, monkeypatch, tmp_path):
    await face.call(MistralImageGenerationTool(model=model), "generate", "a cat")
    monkeypatch.setenv("MISTRAL_IMAGEGEN_STORE", str(tmp_path / "elsewhere"))
    await face.call(MistralImageGenerationTool(model=model), "generate", "a cat")
    found = sorted(path.parents[1].name for path in Path().rglob("*.jpg"))
    assert found == ["elsewhere", "generated_images"]


async def test_an_image_that_cannot_be_stored_is_not_paid_again_by_retry_middleware(face, model, sandbox, tmp_path):
    (tmp_path / "file").write_text("in the way")
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path / "file" / "below"))
    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    (message,) = tool_messages(await run(face, create_agent(scripted("a cat"), [tool], middleware=[retry])))
    assert "generated, but not stored (ImageStoreError" in message.content
    assert sandbox.paid == 1
    update = await face.call(
        ToolFileNode(image_store=str(tmp_path / "good"), model=model), "invoke", {"messages": [message]}
    )
    assert [ref["status"] for ref in update["images"].values()] == ["stored"]


async def test_a_gateway_is_not_asked_again_by_retry_middleware(face, tool, sandbox):
    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0, jitter=False, on_failure="error")
    sandbox.behave(Behavior(status=502))
    with pytest.raises(OutcomeUnknownError):
        await run(face, create_agent(scripted("a cat"), [tool], middleware=[retry]))
    assert len(sandbox.requests) == 1


async def test_an_image_that_cannot_be_stored_is_an_error_that_names_it(face, model, tmp_path):
    (tmp_path / "file").write_text("in the way")
    tool = MistralImageGenerationTool(model=model, image_store=FsspecImageStore(str(tmp_path / "file" / "below")))
    with pytest.raises(ImageStoreError, match=r"Image '[0-9a-f-]{36}' cannot be stored"):
        await face.call(tool, "generate", "a cat")


def test_the_calling_model_sees_a_count_only_if_it_may_use_it(tool, model):
    assert list(tool.tool_call_schema.model_json_schema()["properties"]) == ["prompt", "shape", "edit"]
    several = MistralImageGenerationTool(model=model, max_count=4)
    assert several.tool_call_schema.model_json_schema()["properties"]["count"]["maximum"] == 4


class Calls(ScriptedModel):
    """Calls the tool with the arguments that a function finds in the messages so far."""

    def _should_stream(self, **_):
        return False

    def _generate(self, messages, *args, **kwargs):
        answer = next(self.messages)
        if callable(answer):
            answer = AIMessage(
                "", tool_calls=[{"name": "generate_image", "id": f"call{len(messages)}", "args": answer(messages)}]
            )
        return ChatResult(generations=[ChatGeneration(message=answer)])


def calling(*arguments) -> Calls:
    functions = [(lambda _, given=one: given) if isinstance(one, dict) else one for one in arguments]
    return Calls(messages=iter([*functions, AIMessage("Done.")]))


def last_id(messages) -> str:
    return images_of(messages)[-1]["id"]


async def test_an_edit_goes_on_in_the_conversation_of_its_image(face, tool, sandbox):
    model = calling({"prompt": "a boat"}, lambda messages: {"prompt": "make it blue", "edit": last_id(messages)})
    state = await run(face, create_agent(model, [tool]))
    first, second = [message.artifact for message in tool_messages(state)]
    assert second["conversation_id"] == first["conversation_id"]
    assert sandbox.paid == 2


async def test_an_older_image_is_edited_in_a_branch(face, tool, sandbox):
    first = await face.call(tool, "generate", "a boat")
    (boat,) = first["images"]
    blue = await face.call(tool, "generate", "make it blue", edit=boat)
    red = await face.call(tool, "generate", "make it red", edit=boat)
    assert blue["conversation_id"] == first["conversation_id"]
    assert red["conversation_id"] != first["conversation_id"]


async def test_an_unknown_id_is_answered_with_the_known_ones(face, tool, sandbox):
    model = calling({"prompt": "a boat"}, {"prompt": "make it blue", "edit": "picture 1"})
    first, second = tool_messages(await run(face, create_agent(model, [tool])))
    assert second.status == "error"
    assert f"the known ids are {first.artifact['images'][0]['id']}" in second.content
    assert sandbox.paid == 1


async def test_an_image_from_elsewhere_is_shown(face, tool, model, sandbox, tmp_path):
    artifact = await face.call(tool, "generate", "a boat")
    data = tool.store.get(artifact["images"][0]["key"])
    (tmp_path / "boat.jpg").write_bytes(data)
    for edit in (data, tmp_path / "boat.jpg", GeneratedImage.from_bytes(data, artifact["images"][0])):
        await face.call(tool, "generate", "make it blue", edit=edit)
        (shown,) = [one.json for one in sandbox.requests if one.json][-1]["inputs"]
        assert [block["type"] for block in shown["content"]] == ["text", "image_url"]
    with pytest.raises(InvalidInputError, match="is no file"):
        await face.call(tool, "generate", "make it blue", edit="no/such.jpg")


async def test_several_at_once_and_a_partial_success(face, tool, sandbox):
    sandbox.behave(Behavior(shape="text", text="I cannot draw that."))
    artifact = await face.call(tool, "generate", "a cat", n=3)
    assert len(artifact["images"]) == sandbox.paid == 2
    assert artifact["connectors"] == {"image_generation": 2}
    (error,) = artifact["errors"]
    assert "I cannot draw that." in error
    with pytest.raises(InvalidInputError, match="n=0 is not possible"):
        await face.call(tool, "generate", "a cat", n=0)


async def test_several_under_one_key_are_each_paid_for_once(face, tool, sandbox):
    first = await face.call(tool, "generate", "a cat", n=2, key="sku")
    again = await face.call(tool, "generate", "a cat", n=2, key="sku")
    assert {ref["id"] for ref in again["images"]} == {ref["id"] for ref in first["images"]}
    assert len(first["images"]) == sandbox.paid == 2


async def test_the_calling_model_may_ask_for_several(face, model, tmp_path, sandbox):
    tool = MistralImageGenerationTool(model=model, image_store=tmp_path, max_count=3)
    state = await run(face, create_agent(calling({"prompt": "a cat", "count": 3}), [tool]))
    assert len(tool_messages(state)[0].artifact["images"]) == sandbox.paid == 3


async def test_a_shape_is_asked_for_in_words(face, tool, sandbox):
    await face.call(tool, "generate", "a cat", shape="landscape")
    assert "landscape format" in sandbox.requests[0].json["inputs"][0]["content"]
    with pytest.raises(InvalidInputError, match="shape='round' is not known"):
        await face.call(tool, "generate", "a cat", shape="round")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"styel": "oil"}, "'style' is not chosen by call"),
        ({"model": "x"}, "'model' is not chosen by call"),
        ({"shap": "square"}, "did you mean 'shape'"),
        ({"shape": "round"}, "'square'"),
        ({"prompt": "  "}, "the prompt is blank"),
    ],
)
async def test_arguments_that_do_not_exist_cost_nothing(face, tool, sandbox, wrong, words):
    state = await run(face, create_agent(calling({"prompt": "a cat", **wrong}), [tool]))
    (message,) = tool_messages(state)
    assert (message.status, sandbox.requests) == ("error", [])
    assert words in message.content
    with pytest.raises(ValidationError, match=words):
        await face.call(tool, "invoke", {"prompt": "a cat", **wrong})


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        (Behavior(quota="day"), "do not try again today"),
        (Behavior(quota="minute"), "Try again in"),
        (Behavior(status=403), "change the prompt"),
    ],
)
async def test_the_calling_model_reads_what_it_can_react_to(face, tool, sandbox, behavior, words):
    sandbox.behave(behavior)
    agent = create_agent(scripted("a cat"), [tool], checkpointer=InMemorySaver())
    state = await face.call(agent, "invoke", {"messages": [("user", "A cat.")]}, THREAD)
    (message,) = tool_messages(state)
    assert message.status == "error"
    assert words in message.content
    assert state["messages"][-1].text == "Done."


async def test_a_wrong_key_is_raised(face, tool, sandbox):
    sandbox.behave(Behavior(status=401))
    with pytest.raises(AuthenticationError):
        await run(face, create_agent(scripted("a cat"), [tool]))


async def test_the_image_models_tokens_are_not_the_agents(face, make_model, tmp_path):
    tool = MistralImageGenerationTool(model=make_model(streaming=True), image_store=tmp_path)
    agent = create_agent(calling({"prompt": "an orange cat"}), [tool])
    chunks = await face.chunks(agent, {"messages": [("user", "A cat.")]}, stream_mode="messages")
    assert "".join(chunk.text for chunk, _ in chunks if chunk.type != "tool") == "Done."


async def test_what_happens_is_reported_with_call_and_prompt(face, tool):
    agent = create_agent(scripted("an orange cat"), [tool])
    events = await face.chunks(agent, {"messages": [("user", "A cat.")]}, stream_mode="custom")
    kinds = [event["type"].removeprefix("mistral.image.") for event in events]
    assert kinds == ["generating", "generated", "stored"]
    assert {(event["tool_call_id"], event["prompt"]) for event in events} == {("call0", "an orange cat")}


async def test_the_calling_model_reads_no_path_of_the_server(face, model, tmp_path):
    for public_url in (None, "https://e.x/images"):
        tool = MistralImageGenerationTool(model=model, image_store=tmp_path, public_url=public_url)
        (message,) = tool_messages(await run(face, create_agent(scripted("a cat"), [tool])))
        assert str(tmp_path) not in message.content
        (ref,) = message.artifact["images"]
        assert ref["key"] in message.content if public_url else ref["key"] not in message.content
        assert message.artifact["text"] in message.content
        assert (ref["prompt"], ref["model"]) == ("a cat", message.artifact["model"])
        assert datetime.fromisoformat(ref["created_at"]).tzinfo


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": GenericFakeChatModel(messages=iter([]))}, "of type GenericFakeChatModel; pass a ChatMistralConv"),
        ({"model": ChatMistralConversations}, "the class itself; pass an instance"),
        ({"image_store": 42}, "image_store=42 is no place for images: give a path"),
        ({"image_store": {"key": "sk-canary"}}, "image_store=<dict> is no place for images"),
    ],
)
def test_a_wrong_argument_is_refused_at_construction(model, wrong, words):
    with pytest.raises(ValidationError, match=words) as caught:
        MistralImageGenerationTool(**{"model": model, **wrong})
    assert "canary" not in str(caught.value)


async def test_the_name_of_a_model_is_enough(face, sandbox, monkeypatch, make_model):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    tool = MistralImageGenerationTool(model="mistral-large-latest")
    make_model(tool.model)
    await face.call(tool, "generate", "a cat")
    assert sandbox.requests[0].json["model"] == "mistral-large-latest"
    assert "image generation tool" in sandbox.requests[0].json["instructions"]


async def test_a_key_is_paid_for_once_in_a_store(face, tool, make_model, sandbox):
    first = await face.call(tool, "generate", "a cat", key="sku-4711")
    again = MistralImageGenerationTool(model=make_model(), image_store=tool.image_store)
    second = await face.call(again, "generate", "a cat", key="sku-4711")
    assert second == first
    assert first["created_at"] in [entry["created_at"] for entry in sandbox.entries(first["conversation_id"])]
    assert sandbox.paid == 1
    await face.call(tool, "generate", "a cat", key="sku-4712")
    await face.call(tool, "generate", "a cat")
    assert sandbox.paid == 3
    with pytest.raises(InvalidInputError, match="another prompt"):
        await face.call(tool, "generate", "a dog", key="sku-4711")
    with pytest.raises(InvalidInputError, match="names nothing"):
        await face.call(tool, "generate", "a dog", key=" ")


async def test_a_key_needs_a_store_that_can_keep_its_promise(face, model, sandbox):
    tool = MistralImageGenerationTool(model=model, image_store=ByteStoreImageStore(InMemoryByteStore()))
    with pytest.raises(InvalidInputError, match="cannot hold a ledger"):
        await face.call(tool, "generate", "a cat", key="sku-4711")
    assert not sandbox.requests


async def test_a_call_that_is_run_again_pays_once(face, tool, sandbox):
    """The process dies after the image and before the checkpoint: middleware that raises stands for it."""

    class Dying(AgentMiddleware):
        alive = False

        def wrap_tool_call(self, request, handler):
            return self._once(handler(request))

        async def awrap_tool_call(self, request, handler):
            return self._once(await handler(request))

        def _once(self, result):
            if not self.alive:
                self.alive = True
                raise KeyboardInterrupt
            return result

    agent = create_agent(scripted("a cat"), [tool], middleware=[Dying()], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    with pytest.raises(KeyboardInterrupt):
        agent.invoke({"messages": [("user", "A cat, please.")]}, thread)
    state = await face.call(agent, "invoke", None, thread)
    (message,) = tool_messages(state)
    assert (message.artifact["images"][0]["status"], sandbox.paid) == ("stored", 1)


async def close_at(face, agent, event, is_ready) -> None:
    """Read a stream of events up to one, and close it when the sandbox is ready."""
    given = {"messages": [("user", "A cat, please.")]}, THREAD
    if face.is_async:
        async with aclosing(agent.astream(*given, stream_mode="custom")) as stream:
            while (await anext(stream))["type"] != event:
                pass
            while not is_ready():
                await asyncio.sleep(0.01)
        return
    with closing(agent.stream(*given, stream_mode="custom")) as stream:
        while next(stream)["type"] != event:
            pass
        while not is_ready():
            time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("event", ["generating", "generated", "stored"])
async def test_an_agent_whose_stream_is_closed_early_pays_once(face, tool, sandbox, event):
    """The first event comes before the answer: the stream is closed while the server draws."""
    sandbox.behave(Behavior(delay=0.5), times=None)
    agent = create_agent(scripted("a cat"), [tool], checkpointer=InMemorySaver())
    await close_at(face, agent, f"mistral.image.{event}", lambda: sandbox.waiting or sandbox.requests)
    (message,) = tool_messages(await face.call(agent, "invoke", None, THREAD))
    assert (message.artifact["images"][0]["status"], sandbox.paid) == ("stored", 1)


@pytest.mark.slow
async def test_an_agent_that_is_run_again_after_a_cut_answer_pays_once(face, make_model, sandbox, tmp_path):
    sandbox.behave(Behavior(cut_after=3))
    tool = MistralImageGenerationTool(model=make_model(streaming=True, max_retries=0), image_store=tmp_path / "images")
    agent = create_agent(scripted("a cat"), [tool], checkpointer=InMemorySaver())
    with pytest.raises(StreamInterruptedError):
        await face.chunks(agent, {"messages": [("user", "A cat.")]}, config=THREAD, stream_mode="custom")
    (message,) = tool_messages(await face.call(agent, "invoke", None, THREAD))
    assert (message.artifact["images"][0]["status"], sandbox.paid) == ("stored", 1)


async def test_two_equal_calls_of_one_answer_are_two_images(face, tool, sandbox):
    agent = create_agent(scripted("a cat", "a cat"), [tool], checkpointer=InMemorySaver())
    await face.call(agent, "invoke", {"messages": [("user", "Two cats.")]}, {"configurable": {"thread_id": "1"}})
    assert sandbox.paid == 2
