"""Histories for other providers: their real payload builders take them."""

from __future__ import annotations

import base64
import copy
import json
import re
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_mistralai import ChatMistralAI
from langchain_openai import ChatOpenAI

from langchain_mistral_imagegen import GeneratedImage, images_of, to_portable_messages
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
CAPTION = "an orange cat in an office"
SENT = {"type": "image", "file_id": "9d1b2c3e-0000-4000-8000-000000000001"}
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AVN//2Q=="
)
OURS = ("tool_file", "tool.execution", "tool_reference", "agent.handoff", "server_tool", "non_standard", "hologram",
        "dream.sequence", "reasoning", "thinking", "mistral-image:", "file_id", "citation")  # fmt: skip


def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Sunny in {city}"


def openai_chat(messages: list[BaseMessage]) -> Any:
    return ChatOpenAI(model="m", api_key="k")._get_request_payload(messages)["messages"]


def openai_responses(messages: list[BaseMessage]) -> Any:
    return ChatOpenAI(model="m", api_key="k", use_responses_api=True)._get_request_payload(messages)["input"]


def google(messages: list[BaseMessage]) -> Any:
    request = ChatGoogleGenerativeAI(model="gemini-2.5-flash", api_key="k")._prepare_request(messages)
    return [content.model_dump(mode="json", exclude_none=True) for content in request["contents"]]


def mistral(messages: list[BaseMessage]) -> Any:
    return ChatMistralAI(api_key="k")._create_message_dicts(messages, None)[0]


BUILDERS = [openai_chat, openai_responses, google, mistral]


@pytest.fixture
async def history(make_model, sandbox, request) -> list[BaseMessage]:
    """Real answers in every shape, with a function call in the middle."""
    model = make_model(output_version=getattr(request, "param", "v0"))
    messages: list[BaseMessage] = [SystemMessage("Be kind."), HumanMessage(CAT)]
    messages.append(model.invoke(messages))
    for shape in ("url", "markdown", "tool_file"):
        sandbox.behave(Behavior(shape=shape, images=2, thinking=True, reference=True, unknown=True, tool_timeouts=1))
        messages.append(HumanMessage("Draw two dogs."))
        messages.append(model.invoke(messages))
    messages.append(HumanMessage("How is the weather in Paris and London?"))
    calling = model.bind_tools([weather]).invoke([messages[-1]])
    messages.append(calling)
    messages += [ToolMessage(weather(**call["args"]), tool_call_id=call["id"]) for call in calling.tool_calls]
    assert len(calling.tool_calls) == 2
    messages.append(HumanMessage([{"type": "text", "text": "And what is this?"}, SENT]))
    return messages


both_versions = pytest.mark.parametrize("history", ["v0", "v1"], indirect=True)


@both_versions
def test_a_raw_history_breaks_other_providers_or_sends_them_what_means_nothing(history):
    def fails(build) -> bool:
        try:
            payload = json.dumps(build(history))
        except Exception:  # noqa: BLE001  # each provider fails in its own way
            return True
        return any(word in payload for word in OURS)

    assert [fails(build) for build in BUILDERS] == [True] * 4


@both_versions
@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("images", ["describe", "inline", "drop"])
def test_every_provider_takes_a_portable_history(history, make_model, build, images):
    model = make_model()
    shown = [image for message in history for image in model.images(message)] if images == "inline" else images
    payload = build(to_portable_messages(history, shown))
    text = json.dumps(payload)
    assert [word for word in OURS if word in text] == []
    assert "Sunny in Paris" in text
    assert "Here is your image" in text
    assert (f"[Image: {CAPTION} (id" in text) == (images != "drop")
    assert len(re.findall("[/_]9j[/_]4AAQ", text)) == (7 if images == "inline" else 0)
    assert not any(message.id and f'"{message.id}"' in text for message in history)


@both_versions
def test_nothing_is_changed_in_place(history):
    before = copy.deepcopy(history)
    to_portable_messages(history, "drop")
    assert history == before


@both_versions
def test_an_answer_becomes_text_and_keeps_what_other_providers_understand(history):
    portable = to_portable_messages(history)
    calling, before = portable[10], history[10]
    assert (calling.id, calling.tool_calls, calling.usage_metadata) == (
        before.id,
        before.tool_calls,
        before.usage_metadata,
    )
    for answer in portable:
        if isinstance(answer, AIMessage):
            assert isinstance(answer.content, str)
            assert (answer.response_metadata, answer.additional_kwargs) == ({}, {})
    assert portable[0] is history[0]
    assert portable[1] is history[1]
    assert portable[11] is history[11]
    assert to_portable_messages(portable) == portable


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_description_names_prompt_and_id_and_sources_are_links(
    face, make_model, sandbox, output_version, streamed
):
    sandbox.behave(Behavior(images=2, reference=True, thinking=True, tool_timeouts=1))
    model = make_model(output_version=output_version)
    answer = await face.streamed(model, CAT) if streamed else await face.call(model, "invoke", CAT)
    one, two = (ref["id"] for ref in images_of(answer))
    (portable,) = to_portable_messages([answer])
    assert portable.content == (
        f"Here is your image: {CAPTION}.\n\nSource: [An example](https://example.com)\n\n"
        f"[Image: {CAPTION} (1) (id {one})]\n[Image: {CAPTION} (2) (id {two})]"
    )
    (dropped,) = to_portable_messages([answer], "drop")
    assert dropped.content == f"Here is your image: {CAPTION}.\n\nSource: [An example](https://example.com)"


def test_a_linked_image_is_described_where_it_stood(model, sandbox):
    sandbox.behave(Behavior(shape="markdown"))
    answer = model.invoke(CAT)
    (ref,) = images_of(answer)
    (portable,) = to_portable_messages([answer])
    assert portable.content == f"Here is your image: {CAPTION}.\n\n[Image: {CAPTION} (id {ref['id']})]"
    assert to_portable_messages([answer], "drop")[0].content == f"Here is your image: {CAPTION}."


def test_a_call_without_arguments_leaves_the_id(model, sandbox):
    sandbox.behave(Behavior(documentation=True))
    answer = model.invoke(CAT)
    (ref,) = images_of(answer)
    assert to_portable_messages([answer])[0].text.endswith(f"\n\n[Image (id {ref['id']})]")


def answer(*blocks: Any, **fields: Any) -> AIMessage:
    return AIMessage(list(blocks), response_metadata={"model_provider": "mistralai_conversations"}, **fields)


FILE = {"type": "tool_file", "tool": "image_generation", "file_id": "f", "file_type": "png"}
RAN = {
    "type": "tool.execution",
    "name": "image_generation",
    "tool": "image_generation",
    "id": "t",
    "arguments": '{"prompt": "a\\ncat"}',
    "info": {"result": '{"url": "mistral-image:t"}'},
    "status": "success",
}
CALL = {"name": "weather", "args": {"city": "Paris"}, "id": "aaaaaaaaa", "type": "tool_call"}
IMAGE = GeneratedImage.from_bytes(JPEG, {"id": "f", "status": "remote"})
SHOWN = {"type": "image", "base64": base64.b64encode(JPEG).decode(), "mime_type": "image/jpeg"}
NAMED = {"type": "text", "text": "[Image: a cat (id f)]"}


def contents(messages: list[BaseMessage], *args: Any) -> list[Any]:
    return [message.content for message in to_portable_messages(messages, *args)]


def test_an_image_that_is_file_and_link_is_described_once():
    link = {"type": "text", "text": "Here: ![cat](mistral-image:t) and mistral-image:other"}
    assert contents([answer(RAN, link, FILE)]) == ["Here:  and [Image (id other)]\n\n[Image: a cat (id f)]"]


def test_one_call_may_draw_several():
    described = "[Image: a cat (id f)]\n[Image: a cat (id g)]"
    assert contents([answer(RAN, FILE, {**FILE, "file_id": "g"})]) == [described]


def test_an_image_by_url_alone_is_described_once():
    assert contents([answer({"type": "image_url", "image_url": "mistral-image:m"})]) == ["[Image (id m)]"]
    inline = {"type": "image_url", "image_url": "data:image/png;base64,AAAA"}
    assert contents([answer({"type": "text", "text": "Here"}, inline)]) == ["Here"]


def test_an_answer_of_which_nothing_is_left_is_left_out():
    thought = {"type": "thinking", "thinking": "Hm"}
    assert contents([answer(thought), answer(), answer({"type": "agent.handoff", "id": "h"})]) == []
    assert contents([answer(FILE)], "drop") == []
    (calling,) = to_portable_messages([answer(thought, tool_calls=[CALL])])
    assert (calling.content, calling.tool_calls) == ("", [CALL])


def test_files_and_public_images_are_named():
    table = {"type": "tool_file", "tool": "code_interpreter", "file_id": "x", "file_name": "a.csv", "file_type": "csv"}
    letter = {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "A letter"}
    public = {"type": "image_url", "image_url": "https://example.com/a.png"}
    untitled = {"type": "tool_reference", "tool": "web_search", "url": "https://example.com"}
    nowhere = {"type": "tool_reference", "tool": "web_search", "title": "A book"}
    (text,) = contents([answer(table, letter, public, untitled, nowhere)])
    assert text.splitlines() == [
        "[File: a.csv (id x)]",
        "File: [A letter](https://example.com/a.pdf)",
        "Image: [https://example.com/a.png](https://example.com/a.png)",
        "Source: [https://example.com](https://example.com)",
        "Source: A book",
    ]
    assert contents([HumanMessage([table, {**table, "file_name": None}])], "drop") == [
        [{"type": "text", "text": "[File: a.csv (id x)]"}, {"type": "text", "text": "[File (id x)]"}]
    ]


def test_answers_of_other_providers_are_handed_on():
    claude = AIMessage(
        [{"type": "thinking", "thinking": "Hm", "signature": "s"}, {"type": "text", "text": "Hello"}],
        response_metadata={"model_provider": "anthropic"},
    )
    history = [AIMessage("Hello"), claude, ChatMessage("Hi", role="user"), HumanMessage([SHOWN]), AIMessage("")]
    for images in ("describe", [IMAGE], "drop"):
        portable = to_portable_messages(history, images)
        assert [new is old for new, old in zip(portable, history, strict=True)] == [True] * 5


@pytest.mark.parametrize("block", [FILE, RAN, {"type": "image", "file_id": "f"}])
def test_an_answer_that_lost_its_metadata_is_known_by_its_blocks(block):
    bare = AIMessage([block])
    assert contents([bare])[0].startswith("[Image")
    (translated,) = to_portable_messages([AIMessage(answer(block).content_blocks)])
    assert translated.content == contents([bare])[0]


@pytest.mark.parametrize("kind", [AIMessage, HumanMessage, SystemMessage])
def test_links_in_any_text_are_described(kind):
    text = "See ![a  cat](mistral-image:m?x=1), [it](mistral-image:n), <mistral-image:o>."
    described = "See [Image: a cat (id m)], [Image: it (id n)], [Image (id o)]."
    blocks = [{"type": "text", "text": text}]
    assert contents([kind(text), kind(blocks)]) == [described, [{"type": "text", "text": described}]]
    assert contents([kind(text), kind([text, "x"])], "drop") == ["See , , .", ["See , , .", "x"]]


def test_a_block_of_nothing_but_a_dropped_link_is_left_out():
    link, question = {"type": "text", "text": "mistral-image:m"}, {"type": "text", "text": "Well?"}
    assert contents([HumanMessage([link, question])], "drop") == [[question]]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "file_id": "f"},
        FILE,
        {"type": "image", "url": "mistral-image:f"},
        {"type": "image_url", "image_url": "mistral-image:f"},
        {"type": "image_url", "image_url": {"url": "mistral-image:f"}},
    ],
)
@pytest.mark.parametrize("kind", [HumanMessage, lambda content: ToolMessage(content, tool_call_id="aaaaaaaaa")])
def test_images_that_were_sent_are_rewritten_in_place(block, kind):
    before = {"type": "text", "text": "Look:"}
    bare = {"type": "text", "text": "[Image (id f)]"}
    assert contents([kind([before, block])]) == [[before, bare]]
    assert contents([kind([before, block])], [IMAGE]) == [[before, bare, SHOWN]]
    assert contents([kind([before, block])], []) == [[before, bare]]
    assert contents([kind([before, block])], "drop") == [[before]]
    assert contents([kind([block])], "drop") == [[bare]], "a message must not become empty"


def test_a_generated_image_that_is_sent_again_keeps_its_caption():
    portable = contents([answer(RAN, FILE), HumanMessage([{"type": "image", "file_id": "f"}])])
    assert portable == ["[Image: a cat (id f)]", [NAMED]]


def test_generated_images_are_shown_with_the_next_user_message():
    history = [HumanMessage("Draw"), answer(RAN, FILE), HumanMessage("What is it?"), HumanMessage("Well?")]
    assert contents(history, [IMAGE]) == [
        "Draw",
        "[Image: a cat (id f)]",
        [NAMED, SHOWN, {"type": "text", "text": "What is it?"}],
        "Well?",
    ]
    history[2] = HumanMessage([{"type": "text", "text": "What is it?"}], id="h")
    shown = to_portable_messages(history, [IMAGE])[2]
    assert (shown.id, shown.content) == ("h", [NAMED, SHOWN, {"type": "text", "text": "What is it?"}])


def test_nothing_comes_between_a_tool_call_and_its_result():
    calling, result = answer(RAN, FILE, tool_calls=[CALL]), ToolMessage("Sunny", tool_call_id=CALL["id"])
    described = "[Image: a cat (id f)]"
    assert contents([calling, result], [IMAGE]) == [described, "Sunny", [NAMED, SHOWN]]
    assert contents([calling], [IMAGE]) == [described]


async def test_and_comes_back(face, model, make_model, history, sandbox):
    images = [image for message in history for image in model.images(message)]
    portable = to_portable_messages(history, images)
    seen = AIMessage("A diagram, I think.", response_metadata={"model_provider": "openai"})
    back = await face.call(model, "invoke", [*portable, seen, HumanMessage("My name is Ada. Draw the cat again.")])
    assert "Here is your image" in back.text
    assert len(await face.call(model, "images", back)) == 1


def test_another_word_for_images_is_refused():
    with pytest.raises(InvalidInputError, match="images='inline' is not known; use 'describe', 'drop' or images in"):
        to_portable_messages([HumanMessage("Hi")], "inline")
