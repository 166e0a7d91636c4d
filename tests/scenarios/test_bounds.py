"""What a server or a caller makes large stays bounded: answers, errors, log lines, pixels, and what threads share."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading

import pytest
from crowds import errors_of_threads
from hostile_server import Answer
from langchain_core.messages import AIMessage, HumanMessage
from PIL import Image

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen._messages import answers
from langchain_mistral_imagegen._protocol.requests import conversation_history
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts, RememberedUrls, SignedUrls
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    InvalidImageError,
    InvalidInputError,
    OutcomeUnknownError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.images import GeneratedImage

STARTED = {"type": "conversation.response.started", "conversation_id": "conv_1"}
DONE = {"type": "conversation.response.done"}


def chunks(count):
    return [{"type": "message.output", "id": "m", "content": [{"type": "text", "text": "a"}] * count}]


def entries(count):
    return [{"type": "agent.handoff", "id": f"h{number}"} for number in range(count)]


def empty_objects(count):
    return [{}] * count


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (chunks(2_001), "more than 2,000 blocks"),
        (entries(2_001), "more than 2,000 entries"),
        (empty_objects(2_001), "more than 2,000 blocks"),
        (empty_objects(500_001), "more than 500,000 JSON objects"),
    ],
    ids=["blocks", "entries", "unknown entries", "objects"],
)
async def test_an_answer_of_too_much_is_refused(face, hostile, victim, outputs, words):
    body = json.dumps({"conversation_id": "c", "outputs": outputs}).encode()
    hostile.answers = {"/v1/conversations": Answer([body])}
    with pytest.raises(OutcomeUnknownError, match=words):
        await face.call(victim, "invoke", "Draw a cat.")


async def test_an_answer_of_very_much_is_read(face, hostile, victim):
    outputs = [*chunks(1_500), *entries(400)]
    hostile.answers = {"/v1/conversations": Answer([json.dumps({"conversation_id": "c", "outputs": outputs}).encode()])}
    assert len((await face.call(victim, "invoke", "Draw a cat.")).content) == 1_900


async def test_braces_in_a_text_are_no_objects(face, hostile, victim):
    text = '\\"{' * 500_001
    body = {"conversation_id": "c", "outputs": [{"type": "message.output", "id": "m", "content": text}]}
    hostile.answers = {"/v1/conversations": Answer([json.dumps(body).encode()])}
    assert (await face.call(victim, "invoke", "Draw a cat.")).text == text


def stream_of(*events):
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]


def delta(number):
    return {"type": "message.output.delta", "id": "m", "output_index": 0, "content_index": number, "content": "a"}


def handoff(number):
    return {"type": "agent.handoff.done", "id": f"h{number}"}


@pytest.mark.slow
@pytest.mark.parametrize("event", [delta, handoff])
async def test_a_stream_of_too_many_blocks_ends_with_what_arrived(face, hostile, victim, event):
    events = stream_of(STARTED, *map(event, range(2_001)), DONE)
    hostile.answers = {"/v1/conversations": Answer(events)}
    with pytest.raises(StreamInterruptedError) as caught:
        await face.chunks(victim, "Draw a cat.")
    assert "2,000" in str(caught.value.__cause__)
    assert len(caught.value.partial.content) == 2_000


async def test_a_stream_of_too_many_pieces_ends_with_what_arrived(face, hostile, victim, monkeypatch):
    monkeypatch.setattr(answers, "MOST_PIECES", 100)
    hostile.answers = {"/v1/conversations": Answer(stream_of(STARTED, *[delta(0)] * 101, DONE))}
    with pytest.raises(StreamInterruptedError) as caught:
        await face.chunks(victim, "Draw a cat.")
    assert caught.value.partial.text == "a" * 100


# --- what is repeated ---


def test_an_error_repeats_the_ends_of_a_long_message():
    text = str(InvalidInputError(f"first {'x' * 1_000_000} last"))
    assert (len(text), text[:6], text[-5:]) == (3_987, "first ", " last")


def recognise(model, messages):
    """Have a model take the second of some messages for an answer of its own."""
    digest = answers.fingerprint(model._prepare(messages[:1], {})[0].fingerprint, messages[1])
    messages[1].response_metadata["fingerprint"] = digest


async def test_errors_and_log_lines_do_not_grow_with_what_the_server_sends(face, hostile, victim, caplog):
    long = "x" * 1_000_000
    facts = {"model_provider": "mistralai_conversations", "head": "e", "conversation_id": long[:40_000]}
    messages = [HumanMessage("Draw a cat."), AIMessage("No.", response_metadata=facts), HumanMessage("Do.")]
    recognise(victim, messages)
    refusal = json.dumps({"object": "error", "message": long, "type": "x", "code": long}).encode()
    past = f"/v1/conversations/{long[:40_000]}/history"
    hostile.answers = {"/v1/conversations": Answer([refusal], 400), past: Answer([refusal], 404)}
    with caplog.at_level(logging.DEBUG, "langchain_mistral_imagegen"), pytest.raises(Exception) as caught:
        await face.call(victim, "invoke", messages)
    assert len(str(caught.value)) <= 4_000
    assert any("is gone" in record.message for record in caplog.records)
    assert max(len(record.message) for record in caplog.records) < 5_000


def test_a_request_is_named_by_as_much_as_a_line_needs():
    assert len(str(conversation_history("c" * 60_000))) < 250


async def test_an_id_that_no_url_can_hold_is_an_error_of_usual_length(face, victim):
    facts = {"model_provider": "mistralai_conversations", "head": "e", "conversation_id": "c" * 100_000}
    messages = [HumanMessage("Draw a cat."), AIMessage("No.", response_metadata=facts), HumanMessage("Do.")]
    recognise(victim, messages)
    with pytest.raises(APIConnectionError) as caught:
        await face.call(victim, "invoke", messages)
    assert len(str(caught.value)) < 1_000


# --- what is decoded ---


def test_an_image_of_too_many_pixels_is_not_converted(tmp_path):
    file = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(file, "PNG")
    image = GeneratedImage.from_bytes(file.getvalue(), {"id": "i", "status": "remote"})
    assert len(image.data) < 100_000
    with pytest.raises(InvalidImageError, match="12000 x 12000 pixels"):
        image.save(tmp_path / "large", format="jpeg")


# --- what threads share ---


@pytest.mark.slow
def test_threads_share_what_a_model_remembers():
    """8 threads with 20,000 accesses each, more than fit, while the interpreter changes threads all the time."""
    urls = RememberedUrls(ImageHosts())
    host = "https://mistralaiblackforestprod.blob.core.windows.net"

    def work(thread):
        for number in range(20_000):
            image = f"e{(number + thread) % 1_500}"
            found = SignedUrls(urls).redact(f"{host}/{image}.jpg?sig=S", image)
            assert found == f"mistral-image:{image}"
            assert (urls.get(image) or host).startswith(host)

    assert errors_of_threads(work, 8) == []
    assert len(urls) <= 1_000


def test_threads_that_use_a_new_model_at_once_find_the_same_memory():
    model = ChatMistralConversations(api_key="k", base_url="http://127.0.0.1:9")
    together, seen = threading.Barrier(8), []

    def work():
        together.wait(timeout=60)
        seen.append((id(model._known_inputs), id(model._signed_urls), id(model._client)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


# --- what is left behind ---

LEFT_OPEN = """
import asyncio, sys
from langchain_mistral_imagegen import ChatMistralConversations

kept = []

async def main(url, how):
    model = ChatMistralConversations(base_url=url, api_key="k")
    stream = model.astream("Draw a cat, and describe it at length.")
    await anext(stream)
    kept.append((model, stream))
    if how == "closed late":
        await asyncio.sleep(0)
        await stream.aclose()
    if how == "cancelled":
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        task.cancel()
    if how == "forgotten":
        kept.clear()
        del stream, model

asyncio.run(main(*sys.argv[1:]))
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["left open", "closed late", "cancelled", "forgotten"])
def test_a_stream_that_is_not_read_to_its_end_makes_no_noise_at_exit(sandbox_process, how):
    program = [sys.executable, "-W", "always", "-c", LEFT_OPEN, sandbox_process, how]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
