r"""A lone surrogate (`\ud83d` without its second half) anywhere in an answer that was paid for leaves the rest readable."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import operator

import any_input
import pytest
from answers import ANSWERS, DONE, STARTED
from langchain_core.messages import message_chunk_to_message

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationHistory, ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.resources import File
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.sandbox import Behavior

LONE = {"first half": "\ud83d", "second half": "\ude00", "the wrong way round": "\ude00\ud83d"}
NESTED = {"first half": r"\ud83d", "second half": r"\ude00", "the wrong way round": r"\ude00\ud83d"}


def places(value):
    """Return the way to each text in a JSON value."""
    found = ((path, functools.reduce(operator.getitem, path, value)) for path in any_input.paths(value))
    return [path for path, part in found if path and isinstance(part, str)]


def with_text(value, path, change):
    value = copy.deepcopy(value)
    *parents, last = path
    owner = functools.reduce(operator.getitem, parents, value)
    owner[last] = change(owner[last])
    return json.dumps(value).encode()


def context():
    return AnswerContext(model="m", urls=SignedUrls())


def whole(data):
    return [to_message(read_response(ConversationResponse, data), context())]


def history(data):
    return [
        to_message(
            ConversationResponse(conversation_id="c", outputs=read_response(ConversationHistory, data).entries),
            context(),
        )
    ]


def streamed(events):
    stream = AnswerStream(context())
    chunks = [chunk for event in events for chunk in stream.feed(event)]
    return [message_chunk_to_message(functools.reduce(lambda left, right: left + right, chunks))]


def completion(data):
    return streamed(CompletionEvents({"add"}).completion(data))


def assert_the_rest_is_readable(read, value, lone):
    """Compare with the replacement character in each place, and see that the message can be written."""
    for path in places(value):
        (message,) = read(with_text(value, path, lambda text: text[:1] + LONE[lone] + text[1:]))
        (same,) = read(with_text(value, path, lambda text: text[:1] + "\ufffd" * len(LONE[lone]) + text[1:]))
        assert message.model_dump() == same.model_dump(), path
        assert message.model_dump_json().encode()
        images_of(message)


@pytest.mark.slow
@pytest.mark.parametrize("lone", LONE)
@pytest.mark.parametrize("name", ANSWERS)
def test_in_a_whole_answer_and_in_a_history(name, lone):
    entries = [entry for entry, _ in ANSWERS[name]]
    assert_the_rest_is_readable(whole, {**any_input.RESPONSE, "outputs": entries}, lone)
    assert_the_rest_is_readable(history, {"conversation_id": "c", "entries": entries}, lone)


@pytest.mark.slow
@pytest.mark.parametrize("lone", LONE)
@pytest.mark.parametrize("name", ANSWERS)
def test_in_an_event_of_a_stream(name, lone):
    events = [STARTED, *(event for _, events in ANSWERS[name] for event in events), DONE]
    read = [read_event(json.dumps(event).encode()) for event in events]
    kinds = {(event["type"], event.get("id"), event.get("content_index")): place for place, event in enumerate(events)}
    for place in kinds.values():  # the last of each kind
        assert_the_rest_is_readable(
            lambda data, at=place: streamed([*read[:at], read_event(data), *read[at + 1 :], read[-1]]),
            events[place],
            lone,
        )


@pytest.mark.parametrize("lone", LONE)
def test_in_chat_completions(lone):
    assert_the_rest_is_readable(completion, any_input.COMPLETION, lone)


@pytest.mark.parametrize("lone", NESTED)
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_in_json_within_json(lone, pieces):
    """Arguments of functions and of tools are JSON within a text, in which the surrogate is escaped once more."""
    arguments = f'{{"prompt": "a cat {NESTED[lone]}", "b": "kept"}}'
    call = {"type": "function.call", "id": "f", "tool_call_id": "call00001", "name": "add", "arguments": arguments}
    tool = {"type": "tool.execution", "id": "t", "name": "image_generation", "arguments": arguments, "info": {}}
    (message,) = whole(json.dumps({"conversation_id": "c", "outputs": [tool, call]}).encode())
    cuts = [len(arguments) * part // pieces for part in range(pieces + 1)]
    events = [STARTED, {"type": "tool.execution.started", "id": "t", "output_index": 0, "name": "image_generation"}]
    for kind, index, names in (
        ("tool.execution.delta", 0, {"id": "t", "name": "image_generation"}),
        ("function.call.delta", 1, {"id": "f", "tool_call_id": "call00001", "name": "add"}),
    ):
        parts = [arguments[start:end] for start, end in itertools.pairwise(cuts)]
        events += [{"type": kind, "output_index": index, **names, "arguments": part} for part in parts]
    events += [
        {"type": "tool.execution.done", "id": "t", "output_index": 0, "name": "image_generation", "info": {}},
        DONE,
    ]
    (same,) = streamed(read_event(json.dumps(event).encode()) for event in events)
    for answer in (message, same):
        (read,) = answer.tool_calls
        assert (read["args"]["b"], read["args"]["prompt"]) == ("kept", "a cat " + "\ufffd" * len(LONE[lone]))
        (ran,) = (block for block in answer.content_blocks if block["type"] == "server_tool_call")
        assert (ran["args"]["b"], ran["args"]["prompt"]) == ("kept", "a cat " + "\ufffd" * len(LONE[lone]))
        assert json.dumps(answer.content_blocks, ensure_ascii=False).encode()


@pytest.mark.parametrize("data", [b'{"a": "\xff"}', b'{"a": "\xed\xa0\xbd"}', b'{"a": "\xf0\x9f"}'])
def test_bytes_that_are_not_utf_8(data):
    body = b'{"conversation_id": "c", "outputs": [{"type": "message.output", "content": "kept"}, ' + data + b"]}"
    (message,) = whole(body)
    assert message.text == "kept"
    assert message.model_dump_json().encode()


def test_in_the_description_of_a_file():
    sent = {"id": "f", "object": "file", "bytes": 1, "created_at": 1, "filename": "a\ud83d.png", "purpose": "ocr"}
    file = read_response(File, json.dumps(sent).encode())
    assert (file.filename, file.id) == ("a\ufffd.png", "f")


async def test_through_the_model(face, make_model, sandbox):
    output = {"type": "message.output", "id": "m\ud83d", "role": "assistant", "content": "A cat \ud83d and the rest."}
    sandbox.behave(Behavior(status=200, body=json.dumps({"conversation_id": "c", "outputs": [output], "usage": {}})))
    answer = await face.call(make_model(), "invoke", "Draw a cat.")
    assert answer.text == "A cat \ufffd and the rest."
