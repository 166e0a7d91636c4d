"""What is shown to the model: images and documents of the user, of functions, and those it drew itself."""

from __future__ import annotations

import base64

import pytest
from langchain_core.messages import HumanMessage, ToolMessage

from langchain_mistral_imagegen import FsspecImageStore, GeneratedImage, images_of
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidRequestError

CAT = HumanMessage("Generate an orange cat in an office.")
ASK = {"type": "text", "text": "What is this?"}
PDF = base64.b64encode(b"%PDF-1.4").decode()


def last_content(sandbox):
    return sandbox.requests[-1].json["inputs"][-1]["content"]


@pytest.mark.parametrize(
    ("block", "sent"),
    [
        ({"type": "image", "url": "https://e.x/a.jpg"}, "https://e.x/a.jpg"),
        ({"type": "image", "base64": "AA==", "mime_type": "image/png"}, "data:image/png;base64,AA=="),
        ({"type": "image_url", "image_url": {"url": "https://e.x/a.jpg"}}, "https://e.x/a.jpg"),
        ({"type": "image", "source_type": "url", "url": "https://e.x/a.jpg"}, "https://e.x/a.jpg"),
    ],
    ids=["url", "base64", "openai", "v0"],
)
async def test_an_image_is_shown(face, model, sandbox, block, sent):
    answer = await face.call(model, "invoke", [HumanMessage([ASK, block])])
    assert "I see an image" in answer.text
    assert last_content(sandbox) == [ASK, {"type": "image_url", "image_url": sent}]


async def test_a_document_is_shown(face, model, sandbox):
    block = {"type": "file", "base64": PDF, "mime_type": "application/pdf", "filename": "paper.pdf"}
    await face.call(model, "invoke", [HumanMessage([ASK, block])])
    url = f"data:application/pdf;base64,{PDF}"
    assert last_content(sandbox)[1] == {"type": "document_url", "document_url": url, "document_name": "paper.pdf"}


async def test_an_image_that_mistral_keeps_is_named(face, model, sandbox, make_model):
    drawn = await face.call(model, "invoke", [CAT])
    (image,) = [block for block in drawn.content_blocks if block["type"] == "image"]
    await face.call(make_model(), "invoke", [HumanMessage([ASK, image])])
    file_id = images_of(drawn)[0]["file_id"]
    assert last_content(sandbox)[1] == {"type": "tool_file", "tool": "image_generation", "file_id": file_id}


async def test_a_stored_image_is_handed_back_for_another_turn(face, model, sandbox, tmp_path):
    drawn = await face.call(model, "invoke", [CAT])
    store = FsspecImageStore(str(tmp_path))
    (ref,) = await face.call(model, "store_images", images_of(drawn), store)
    image = GeneratedImage.from_bytes(store.get(ref["key"]), ref)
    question = HumanMessage([ASK, image.content_block()])
    answer = await face.call(model, "invoke", [CAT, drawn, question])
    assert "I see an image" in answer.text
    shown = last_content(sandbox)[1]["image_url"]
    assert shown == f"data:image/jpeg;base64,{base64.b64encode(image.data).decode()}"
    (downloaded,) = await face.call(model, "images", drawn)
    assert downloaded.data == image.data


async def test_an_image_that_a_function_returns_is_shown_after_its_result(face, model, sandbox):
    def look(place: str) -> str:
        """Look at a place."""

    bound = model.bind_tools([look])
    question = HumanMessage("Use look for Paris.")
    answer = await face.call(bound, "invoke", [question])
    image = {"type": "image", "base64": "AA==", "mime_type": "image/png"}
    result = ToolMessage([{"type": "text", "text": "a tower"}, image], tool_call_id=answer.tool_calls[0]["id"])
    await face.call(bound, "invoke", [question, answer, result])
    first, second = sandbox.requests[-1].json["inputs"]
    assert (first["type"], first["result"]) == ("function.result", "a tower")
    assert second["content"] == [{"type": "image_url", "image_url": "data:image/png;base64,AA=="}]


async def test_what_cannot_be_shown_is_refused_before_anything_is_sent(face, model, sandbox):
    audio = {"type": "audio", "base64": "AA==", "mime_type": "audio/wav"}
    with pytest.raises(InvalidInputError, match=r"type 'audio'.*text, image or file"):
        await face.call(model, "invoke", [HumanMessage([ASK, audio])])
    lost = {"type": "image", "url": "mistral-image:tool_exec_1"}
    with pytest.raises(InvalidInputError, match=r"'mistral-image:tool_exec_1'.*content_block"):
        await face.call(model, "invoke", [HumanMessage([ASK, lost])])
    assert sandbox.requests == []


async def test_a_model_that_cannot_see_is_an_error_with_a_remedy(face, make_model):
    blind = make_model(model="codestral-latest", tools=[])
    with pytest.raises(InvalidRequestError, match=r"Choose a vision model.*code 3051"):
        await face.call(blind, "invoke", [HumanMessage([ASK, {"type": "image", "url": "https://e.x/a.jpg"}])])
