"""Recorded conversations, replayed by both drivers; `tests/cassettes/README.md` describes where they come from."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from typing import Any

import cassette_format
import pytest
import vcr
from faces import Face
from langchain_core.messages import HumanMessage
from PIL import Image
from places import TESTS

from langchain_mistral_imagegen import ChatMistralConversations, images_of
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CASSETTES = TESTS / "cassettes"
CAT = "Generate an orange cat in an office."


async def first_image(face: Face, model: ChatMistralConversations) -> None:
    answer = await face.call(model, "invoke", CAT)
    (image,) = await face.call(model, "images", answer)
    assert image.mime_type == "image/jpeg"
    assert answer.usage_metadata["input_token_details"]["connector"] > 0


async def stream(face: Face, model: ChatMistralConversations) -> None:
    answer = await face.streamed(model, CAT)
    (image,) = await face.call(model, "images", answer)
    assert image.mime_type == "image/jpeg"
    assert answer.text


async def refinement(face: Face, model: ChatMistralConversations) -> None:
    first = await face.call(model, "invoke", CAT)
    second = await face.call(model, "invoke", [HumanMessage(CAT), first, HumanMessage("Make it night.")])
    assert images_of(first)[0]["id"] != images_of(second)[0]["id"]


async def url_only(face: Face, model: ChatMistralConversations) -> None:
    answer = await face.call(model, "invoke", CAT)
    (image,) = await face.call(model, "images", answer)
    assert "file_id" not in image.ref
    assert image.mime_type == "image/jpeg"


SCENARIOS: dict[str, Callable[[Face, ChatMistralConversations], Awaitable[None]]] = {
    "picture": first_image,
    "stream": stream,
    "refinement": refinement,
    "url_only": url_only,
}


def tape(name: str, mode: str) -> Any:
    recorder = vcr.VCR(
        match_on=("method", "path", "body"),
        before_record_request=cassette_format.clean_request,
        before_record_response=cassette_format.clean_response,
    )
    recorder.register_serializer("document", cassette_format)
    return recorder.use_cassette(str(CASSETTES / f"{name}.yaml"), serializer="document", record_mode=mode)


def tiny_image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), "orange").save(file, "JPEG", quality=50)
    return file.getvalue()


async def record(name: str, source: str) -> None:
    (CASSETTES / f"{name}.yaml").unlink(missing_ok=True)
    shape = "url" if name == "url_only" else "tool_file"
    with Sandbox(behavior=Behavior(shape=shape, file_bytes=tiny_image(), on="any")) as sandbox:
        sandboxed = {"base_url": sandbox.url, "api_key": "sandbox"}
        model = ChatMistralConversations(**(sandboxed if source == "sandbox" else {}))
        with tape(name, "once"):
            await SCENARIOS[name](Face("sync"), model)
        model.close()


@pytest.fixture
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    chosen: str | None = request.config.getoption("--record")
    if chosen == "live":
        monkeypatch.setenv("MISTRAL_API_KEY", REAL_KEY or pytest.fail("--record=live needs MISTRAL_API_KEY"))
        if REAL_SERVER:
            monkeypatch.setenv("MISTRAL_BASE_URL", REAL_SERVER)
    return chosen


REAL_KEY, REAL_SERVER = os.environ.get("MISTRAL_API_KEY"), os.environ.get("MISTRAL_BASE_URL")


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_recorded_conversation_is_understood(face, source, name):
    if source and not face.is_async:
        await record(name, source)
    base_url = cassette_format.SANDBOX_HOST if "sandbox.invalid" in (CASSETTES / f"{name}.yaml").read_text() else None
    model = ChatMistralConversations(api_key="none", base_url=base_url or "https://api.mistral.ai", max_retries=0)
    with tape(name, "none") as played:
        await SCENARIOS[name](face, model)
    model.close()
    await model.aclose()
    assert played.all_played


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cassette_holds_no_secret_and_stays_small(name):
    text = (CASSETTES / f"{name}.yaml").read_text()
    assert len(text) < 40_000
    assert "authorization" not in text.lower()
    assert "Bearer" not in text
    assert text.count("sig=") == text.count("sig=REMOVED")


async def test_a_request_that_was_not_recorded_fails(face):
    model = ChatMistralConversations(api_key="none", base_url=cassette_format.SANDBOX_HOST, max_retries=0)
    with tape("picture", "none") as played, pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException):
        await face.call(model, "invoke", "Something else.")
    assert not played.all_played
    model.close()
    await model.aclose()
