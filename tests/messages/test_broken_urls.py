"""A signed URL never shows its signature, however an answer is divided into blocks and pieces."""

from __future__ import annotations

import functools
import json

import pytest
from langchain_core.messages import message_chunk_to_message

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts, RememberedUrls, SignedUrls

URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a(1)/image.jpg?se=x&sp=r&%73ig=SECRET%3D"
TEXT = f"Here: ![a cat]({URL}) - with [love](https://example.com/?token=abc)."
CUTS = range(1, len(TEXT))


def context() -> AnswerContext:
    return AnswerContext(model="m", urls=SignedUrls(RememberedUrls(ImageHosts())))


def whole(using, *chunks):
    body = {"conversation_id": "c", "outputs": [{"type": "message.output", "id": "e", "content": list(chunks)}]}
    return to_message(read_response(ConversationResponse, json.dumps(body).encode()), using)


def streamed(using, events):
    stream = AnswerStream(using)
    chunks = [chunk for event in events for chunk in stream.feed(event)]
    return message_chunk_to_message(functools.reduce(lambda left, right: left + right, chunks)), chunks


def deltas(*contents):
    """Make the events of contents, each a list of pieces with a content index of its own."""
    common = {"type": "message.output.delta", "id": "e", "output_index": 0}
    yield read_event(b'{"type": "conversation.response.started", "conversation_id": "c"}')
    for index, pieces in enumerate(contents):
        for piece in pieces:
            yield read_event(json.dumps({**common, "content_index": index, "content": piece}).encode())
    yield read_event(b'{"type": "conversation.response.done"}')


def text(value):
    return {"type": "text", "text": value}


def assert_clean(message, using) -> None:
    shown = repr(message) + repr(message.content_blocks)
    assert "SECRET" not in shown
    assert "ig=" not in shown
    assert message.text == "Here: ![a cat](mistral-image:e) - with [love](https://example.com/?token=abc)."
    assert [ref["id"] for ref in images_of(message)] == ["e"]
    assert using.urls.memory == {"e": URL}


def test_a_whole_answer_with_a_url_in_two_texts():
    for cut in CUTS:
        message = whole(using := context(), text(TEXT[:cut]), text(TEXT[cut:]))
        assert_clean(message, using)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 7, len(TEXT)])
def test_a_stream_with_a_url_in_two_content_indexes(size):
    for cut in CUTS if size == len(TEXT) else CUTS[::9]:
        parts = [[part[at : at + size] for at in range(0, len(part), size)] for part in (TEXT[:cut], TEXT[cut:])]
        message, chunks = streamed(using := context(), deltas(*parts))
        assert_clean(message, using)
        assert not any("SECRET" in repr(chunk) for chunk in chunks)
        same = whole(context(), text(TEXT[:cut]), text(TEXT[cut:]))
        assert [block["text"] for block in message.content] == [block["text"] for block in same.content]


def test_a_url_in_three_texts_and_in_chunks_of_text():
    third = len(TEXT) // 3
    parts = [TEXT[:third], TEXT[third : 2 * third], TEXT[2 * third :]]
    assert_clean(whole(using := context(), *map(text, parts)), using)
    assert_clean(streamed(using := context(), deltas(*([text(part)] for part in parts)))[0], using)


def test_a_url_in_two_texts_of_a_completion():
    message = {"role": "assistant", "content": [text(TEXT[:60]), text(TEXT[60:])]}
    body = {"id": "e", "created": 1, "choices": [{"message": message}]}
    answer, _ = streamed(context(), CompletionEvents(set()).completion(json.dumps(body).encode()))
    assert "SECRET" not in repr(answer)
    assert answer.text.startswith("Here: ![a cat](mistral-image:e.0) - with")


@pytest.mark.parametrize("between", [[], [{"type": "tool_reference", "title": "t"}]])
def test_reasoning_with_a_url_in_two_texts(between):
    for cut in CUTS:
        thinking = {"type": "thinking", "thinking": [text(TEXT[:cut]), *between, text(TEXT[cut:])]}
        for message in (whole(context(), thinking), streamed(context(), deltas([thinking]))[0]):
            assert "SECRET" not in repr(message)
            assert "ig=" not in repr(message)
            assert message.content[0]["thinking"].endswith(
                "(mistral-image:e) - with [love](https://example.com/?token=abc)."
            )


def test_an_image_between_two_texts_ends_the_first():
    file = {"type": "tool_file", "tool": "image_generation", "file_id": "f"}
    message = whole(context(), text(f"See {URL}"), file, text("The end"))
    assert message.text == "See mistral-image:eThe end"
    message, _ = streamed(context(), deltas([f"See {URL}"], [file], ["The end"]))
    assert message.text == "See mistral-image:eThe end"


def test_an_entry_without_an_id_streamed_and_not():
    body = {"conversation_id": "c", "outputs": [{"type": "message.output", "content": TEXT}]}
    message = to_message(read_response(ConversationResponse, json.dumps(body).encode()), context())
    events = [{"type": "message.output.delta", "output_index": 0, "content": letter} for letter in TEXT]
    events += [{"type": "conversation.response.done"}]
    same, _ = streamed(context(), [read_event(json.dumps(event).encode()) for event in events])
    assert message.text == same.text
    assert "mistral-image:unknown" in message.text
