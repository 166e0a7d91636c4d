"""Where images are found."""

from __future__ import annotations

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_mistral_imagegen import images_of

FILE = {
    "type": "tool_file",
    "tool": "image_generation",
    "file_id": "f",
    "file_name": "image_generated_0",
    "file_type": "png",
}
RESULT = {
    "type": "tool.execution",
    "name": "image_generation",
    "tool": "image_generation",
    "id": "t",
    "info": {"result": '{"url": "mistral-image:t"}'},
    "status": "success",
}
LINK = {"type": "text", "text": "![x](mistral-image:m)"}
STORED = {"id": "f", "status": "stored", "key": "aa/f.jpg", "mime_type": "image/jpeg"}


def answer(*content, **metadata) -> AIMessage:
    return AIMessage(content=list(content), response_metadata={"conversation_id": "c", **metadata})


def ids(source) -> list[str]:
    return [ref["id"] for ref in images_of(source)]


def test_a_file_is_preferred_to_a_url_and_that_to_a_link():
    assert ids(answer(LINK, RESULT, FILE)) == ["f"]
    assert ids(answer(LINK, RESULT)) == ["t"]
    assert ids(answer(LINK)) == ["m"]
    assert ids(AIMessage("![x](mistral-image:m)")) == ["m"]


def test_a_reference_names_where_to_download_from():
    assert images_of(answer(FILE)) == [
        {"id": "f", "status": "remote", "file_id": "f", "file_name": "image_generated_0", "conversation_id": "c"}
    ]


def test_standard_blocks_are_understood_like_native_ones():
    for native in ([FILE], [RESULT], [LINK]):
        message = answer(*native, model_provider="mistralai_conversations")
        standard = answer(*message.content_blocks, output_version="v1")
        assert images_of(standard) == images_of(message)


def test_what_is_no_image_is_left_out():
    table = {"type": "tool_file", "tool": "code_interpreter", "file_id": "x", "file_type": "csv"}
    plot = {"type": "tool_file", "tool": "code_interpreter", "file_id": "p", "file_type": "png"}
    search = {**RESULT, "name": "web_search"}
    assert ids(answer(table, plot, search)) == ["p"]
    assert ids(answer({"type": "image", "url": "https://example.com/x.png"})) == []
    assert ids(HumanMessage([FILE])) == []
    assert ids(answer()) == []


def test_artifacts_of_tools_are_found():
    artifact = {"images": [STORED, {"no": "reference"}]}
    assert images_of(ToolMessage("x", tool_call_id="1", artifact=artifact)) == [STORED]
    assert images_of(ToolMessage("x", tool_call_id="1", artifact="something else")) == []


def test_a_state_s_own_references_are_joined_with_those_of_its_messages():
    state = {"messages": [answer(FILE), answer(RESULT)], "images": {"f": STORED}}
    first, second = images_of(state)
    assert (first["status"], first["key"], first["conversation_id"]) == ("stored", "aa/f.jpg", "c")
    assert (second["id"], second["status"]) == ("t", "remote")
    assert images_of({}) == []


CALL = {**RESULT, "arguments": '{"prompt": "a cat"}'}


def test_a_reference_has_the_prompt_the_model_and_the_time_of_its_answer():
    known = {"model_name": "mistral-medium-latest", "created_at": "2026-11-25T12:00:00Z"}
    about = {"model": "mistral-medium-latest", "created_at": "2026-11-25T12:00:00Z", "prompt": "a cat"}
    for content in ([CALL, FILE], [CALL]):
        message = answer(*content, model_provider="mistralai_conversations", **known)
        standard = answer(*message.content_blocks, output_version="v1", **known)
        for one in (message, standard):
            (ref,) = images_of(one)
            assert {name: ref[name] for name in about} == about


def test_prompts_belong_to_images_in_order_and_are_left_out_where_that_is_not_known():
    second = {**CALL, "id": "u", "arguments": '{"prompt": "a dog"}', "info": {"result": "mistral-image:u"}}
    files = [FILE, {**FILE, "file_id": "g"}]

    def prompts(*content):
        return [ref.get("prompt") for ref in images_of(answer(*content))]

    assert prompts(CALL, second, *files) == ["a cat", "a dog"]
    assert prompts(CALL, *files) == ["a cat", "a cat"]
    assert prompts({**CALL, "status": "error"}, {**second, "arguments": "{"}, FILE) == [None]
    assert prompts({**CALL, "status": "error"}, second, FILE) == ["a dog"]
    assert prompts(CALL, second, *files, {**FILE, "file_id": "h"}) == [None] * 3
    assert prompts({**CALL, "arguments": "[]"}, FILE) == [None]


async def test_images_of_answers_from_the_server_are_described(face, model):
    for is_streamed in (False, True):
        asked = [HumanMessage("Generate an orange cat in an office.")]
        drawn = await (face.streamed(model, asked) if is_streamed else face.call(model, "invoke", asked))
        (ref,) = images_of(drawn)
        assert (ref["prompt"], ref["model"]) == ("an orange cat in an office", "mistral-medium-latest")
        assert ref["created_at"].startswith("20")
