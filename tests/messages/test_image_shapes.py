"""An image that a tool returned is an image, in whichever shape: never base64 in a text."""

from __future__ import annotations

import base64

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen._conversations.turn import TurnSettings
from langchain_mistral_imagegen._messages.image_shapes import image_in
from langchain_mistral_imagegen._messages.inputs import join
from langchain_mistral_imagegen.middleware._inline_images import store_inline_images
from langchain_mistral_imagegen.sandbox.records.images import draw_image

DATA = base64.b64encode(draw_image("a cat")).decode()
URL = f"data:image/jpeg;base64,{DATA}"
SHAPES = {
    "standard": {"type": "image", "base64": DATA, "mime_type": "image/jpeg"},
    "v0": {"type": "image", "source_type": "base64", "data": DATA, "mime_type": "image/jpeg"},
    "mcp": {"type": "image", "data": DATA, "mimeType": "image/jpeg"},
    "mcp resource": {"type": "resource", "resource": {"uri": "file://a", "mimeType": "image/jpeg", "blob": DATA}},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": DATA}},
    "openai": {"type": "image_url", "image_url": {"url": URL}},
    "openai responses": {"type": "input_image", "image_url": URL},
    "input_image object": {"type": "input_image", "image_url": {"url": URL}},
    "google": {"type": "media", "mime_type": "image/jpeg", "data": DATA},
    "file": {"type": "file", "base64": DATA, "mime_type": "image/jpeg"},
}
CALL = AIMessage("", tool_calls=[{"name": "camera", "args": {}, "id": "abcdefghi"}])


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_sent_as_an_image(shape):
    history = [HumanMessage("Look."), CALL, ToolMessage([SHAPES[shape]], tool_call_id="abcdefghi")]
    entries = join(TurnSettings(target={"model": "m", "tools": []}).read(history)).entries
    assert DATA not in entries[2]["result"]
    (chunk,) = entries[3]["content"]
    assert chunk["type"] == "image_url"
    url = chunk["image_url"]
    assert (url["url"] if isinstance(url, dict) else url) == URL


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_stored_and_not_left_in_the_state(shape, tmp_path):
    message = ToolMessage([SHAPES[shape]], tool_call_id="abcdefghi", artifact={"found": SHAPES[shape]})
    stored = store_inline_images(message, FsspecImageStore(str(tmp_path)))
    assert DATA not in stored.model_dump_json()
    assert len(list(tmp_path.rglob("*.jpg"))) == 1


@pytest.mark.parametrize(
    "block",
    [
        {"type": "text", "text": DATA},
        {"type": "audio", "data": DATA, "mimeType": "audio/wav"},
        {"type": "file", "base64": DATA, "mime_type": "application/pdf"},
        {"type": "resource", "resource": {"text": "x"}},
        {"type": "image", "url": "https://example.com/a.jpg"},
        {"type": "image", "file_id": "f"},
    ],
)
def test_what_is_no_image_is_none(block):
    assert image_in(block) is None
