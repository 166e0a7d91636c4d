"""Chat completions: a field that may be missing may also be null, and changes nothing else."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from mistralai.client.models import ChatCompletionResponse, CompletionChunk
from nulls import changed, everywhere, fields, left_out

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls

URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a.jpg?sp=r&sig=SECRET"
USAGE = {
    "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "prompt_audio_seconds": 0, "service_tier": "default",
}  # fmt: skip
CHOICE = {"index": 0, "logprobs": None, "prompt_logprobs": None}
IMAGE_CALL = {
    "id": "Ab3dE5fG7", "index": 0, "type": "function", "metadata": {"tool_type": "image"},
    "function": {"name": "generate_image", "arguments": '{"prompt": "a cat"}'},
}  # fmt: skip
OWN_CALL = {**IMAGE_CALL, "id": "Bb3dE5fG7", "index": 1, "function": {"name": "look", "arguments": '{"at": "sky"}'}}
RESULT = {"tool_call_id": "Ab3dE5fG7", "content": json.dumps({"url": URL}), "metadata": {"a": 1}}
WORDS = [{"type": "text", "text": "Here: "}, {"type": "image_url", "image_url": {"url": URL, "detail": None}}]


def delta(role: str, index: int, **given: Any) -> dict[str, Any]:
    usual = {"content": "", "tool_calls": [], "tool_call_id": None, "metadata": None}
    return {"role": role, "index": index, **usual, **given}


MESSAGES = [delta("assistant", 0, tool_calls=[IMAGE_CALL]), delta("tool", 1, **RESULT),
            delta("assistant", 2, content=WORDS, tool_calls=[OWN_CALL])]  # fmt: skip
HEAD = {"id": "cmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
SEVERAL = {
    **HEAD, "usage": USAGE,
    "choices": [{**CHOICE, "finish_reason": "stop", "messages": MESSAGES, "message": None}],
}  # fmt: skip
MESSAGE = {"role": "assistant", "content": WORDS, "tool_calls": [OWN_CALL], "prefix": False}
ONE = {
    **HEAD, "usage": USAGE,
    "choices": [{**CHOICE, "finish_reason": "stop", "messages": None, "message": MESSAGE}],
}  # fmt: skip


def chunk(run: str, piece: dict[str, Any], finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    choice = {**CHOICE, "delta": piece, "finish_reason": finish}
    return {**HEAD, "id": run, "object": "chat.completion.chunk", "usage": usage, "choices": [choice]}


def part(call: dict[str, Any], arguments: str) -> dict[str, Any]:
    return {**call, "function": {**call["function"], "arguments": arguments}}


CHUNKS = [
    chunk("cmpl-1", delta("assistant", 0)),
    chunk("cmpl-1", delta("assistant", 0, tool_calls=[part(IMAGE_CALL, '{"prompt": ')])),
    chunk("cmpl-1", delta("assistant", 0, tool_calls=[part(IMAGE_CALL, '"a cat"}')]), "tool_calls", USAGE),
    chunk("cmpl-1", delta("tool", 1, **RESULT)),
    chunk("cmpl-2", delta("assistant", 2)),
    chunk("cmpl-2", delta("assistant", 2, content="He")),
    chunk("cmpl-2", delta("assistant", 2, content="re: ")),
    chunk("cmpl-2", delta("assistant", 2, content=WORDS[1:])),
    chunk("cmpl-2", delta("assistant", 2, tool_calls=[part(OWN_CALL, '{"at": ')])),
    chunk("cmpl-2", delta("assistant", 2, tool_calls=[part(OWN_CALL, '"sky"}')]), "stop", USAGE),
]
# Without these the answer is another one: its content, which function is called, with what, and by which type a chunk
# is known. Without a choice or a message there is none.
NEEDED = frozenset(
    {"type", "text", "image_url", "url", "content", "name", "arguments", "function", "tool_calls", "usage"}
    | {"choices", "message", "messages", "delta"}
)


def read(events: Any) -> Any:
    stream = AnswerStream(AnswerContext(model="m", urls=SignedUrls()))
    for event in events:
        stream.feed(event)
    message = stream.message
    assert "SECRET" not in repr(message)
    kinds = [kind for kind, _ in itertools.groupby(block["type"] for block in message.content)]
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    usage, connectors = message.usage_metadata, message.response_metadata.get("connectors")
    return message.text, len(images_of(message)), kinds, calls, len(message.invalid_tool_calls), usage, connectors


def whole(body: Any) -> Any:
    return read(CompletionEvents({"look"}).completion(json.dumps(body).encode()))


def streamed(chunks: Any) -> Any:
    reader = CompletionEvents({"look"})
    sent = [*(json.dumps(one).encode() for one in chunks), b"[DONE]"]
    return read(event for data in sent for event in reader.chunk(data))


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(SEVERAL, NEEDED)), ids=str)
def test_a_field_of_several_messages(path: tuple[Any, ...], null: bool) -> None:
    assert whole(changed(SEVERAL, path, null=null)) == whole(SEVERAL)


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(ONE, NEEDED)), ids=str)
def test_a_field_of_one_message(path: tuple[Any, ...], null: bool) -> None:
    assert whole(changed(ONE, path, null=null)) == whole(ONE)


@pytest.mark.slow
@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(CHUNKS, NEEDED)), ids=str)
def test_a_field_of_a_chunk(path: tuple[Any, ...], null: bool) -> None:
    assert streamed(changed(CHUNKS, path, null=null)) == streamed(CHUNKS)


NAMES = sorted({path[-1] for example in (SEVERAL, CHUNKS) for path in fields(example, NEEDED)})


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"role", "tool_call_id"}])
def test_a_field_that_is_null_everywhere(name: str) -> None:
    assert whole(everywhere(SEVERAL, name)) == whole(SEVERAL)
    assert streamed(everywhere(CHUNKS, name)) == streamed(CHUNKS)


def test_the_examples_are_what_they_should_be_and_have_every_field_of_the_official_sdk() -> None:
    text, images, kinds, calls, invalid, usage, connectors = whole(SEVERAL)
    assert (text, images, calls, invalid) == ("Here: ", 1, [("look", {"at": "sky"})], 0)
    assert (kinds, connectors) == (["tool.execution", "text", "image_url"], {"image_generation": 1})
    assert streamed(CHUNKS) == (text, images, kinds, calls, invalid, usage, connectors)
    assert whole(ONE)[:5] == (text, images, kinds[1:], calls, invalid)
    of_null = {"ChatCompletionChoice.message", "ChatCompletionChoice.messages"}
    for example in (SEVERAL, ONE):
        valid = {**example, "choices": [{k: v for k, v in one.items() if v is not None} for one in example["choices"]]}
        lacks = set(left_out(ChatCompletionResponse.model_validate(valid)))
        assert lacks <= {*of_null, "ChatCompletionChoice.logprobs", "ChatCompletionChoice.prompt_logprobs"}
    for example in CHUNKS:
        valid = {name: value for name, value in example.items() if value is not None}
        assert set(left_out(CompletionChunk.model_validate(valid))) <= {"CompletionChunk.usage"}
