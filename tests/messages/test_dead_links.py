"""Markdown links that lead nowhere go out of a text when the image is known from elsewhere; all other links stay."""

from __future__ import annotations

import functools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import message_chunk_to_message

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._messages.dead_links import DeadLinks, without_dead_links
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts, RememberedUrls, SignedUrls

URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a/image.jpg?se=x&sig=SECRET"
FILE = {"type": "tool_file", "tool": "image_generation", "file_id": "f1", "file_type": "png"}
DEAD = {
    "![]()": "",
    "![a cat]()": "",
    "![]( )": "",
    "![](<>)": "",
    "![](#)": "",
    "![a cat](sandbox:/mnt/data/cat.png)": "",
    "![a cat](attachment://image)": "",
    "![a cat](image_generated_0)": "",
    "![a cat](image_generated_0.png)": "",
    "[the image]()": "the image",
    "[](<>)": "",
    "[![]()](https://example.com/x)": "[](https://example.com/x)",
}
ORDINARY = [
    "![a cat](https://example.com/cat.png)",
    "[docs](https://example.com/?token=abc)",
    "![a cat](mistral-image:tool_0)",
    "[a section](#)",
    "[a section](#top)",
    "![logo](logo.png)",
    "[page](/docs/page)",
    "`![]()` makes an image",
    r"\![]() is no image, \[a]() no link",
    "f[0]() and f(x)[1] ()",
    "a list: [1, 2], [[3]](x), ![",
    "Wow! [really",
]


@pytest.mark.parametrize("link", DEAD)
def test_links_that_lead_nowhere_go(link):
    assert without_dead_links(f"Here it is:\n{link}\nEnjoy!") == f"Here it is:\n{DEAD[link]}\nEnjoy!"


@pytest.mark.parametrize("text", ORDINARY[:-3])
def test_all_other_links_stay(text):
    assert without_dead_links(text) == text


@example("`![]()` makes an image", [2])
@example(r"\![]() is no image", [2])
@example(r"\[a]() is no link", [3])
@given(
    st.lists(st.sampled_from([*DEAD, *ORDINARY, "!", "[", "](", ")", "`", "a", "\n"]), max_size=6).map("".join),
    st.lists(st.integers(0, 120), max_size=8).map(sorted),
)
def test_a_text_in_pieces_loses_the_same_links(text, cuts):
    links = DeadLinks()
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    assert "".join(map(links.feed, pieces)) + links.flush() == without_dead_links(text)


def execution(result):
    info = {} if result is None else {"result": result}
    tool = {"id": "t", "name": "image_generation"}
    entry = {"type": "tool.execution", **tool, "arguments": "{}", "info": info}
    done = {"type": "tool.execution.done", **tool, "output_index": 0, "info": info}
    return entry, [{"type": "tool.execution.started", **tool, "output_index": 0, "arguments": "{}"}, done]


def message(*chunks):
    where = {"type": "message.output.delta", "id": "m", "output_index": 1}
    events = []
    for index, chunk in enumerate(chunks):
        pieces = chunk["text"] if chunk["type"] == "text" else [chunk]
        events += [{**where, "content_index": index, "content": piece} for piece in pieces]
    return {"type": "message.output", "id": "m", "content": list(chunks)}, events


def both(*outputs):
    """Return the same answer, whole and streamed."""
    body = {"conversation_id": "c", "outputs": [entry for entry, _ in outputs]}
    yield to_message(read_response(ConversationResponse, json.dumps(body).encode()), context())
    started, done = {"type": "conversation.response.started", "conversation_id": "c"}, "conversation.response.done"
    events = [started, *(event for _, events in outputs for event in events), {"type": done}]
    yield merged(read_event(json.dumps(event).encode()) for event in events)


def context():
    return AnswerContext(model="m", urls=SignedUrls(RememberedUrls(ImageHosts())))


def merged(events):
    stream = AnswerStream(context())
    chunks = [chunk for event in events for chunk in stream.feed(event)]
    return message_chunk_to_message(functools.reduce(lambda left, right: left + right, chunks))


def text(value):
    return {"type": "text", "text": value}


@pytest.mark.parametrize("link", DEAD)
@pytest.mark.parametrize(
    "before",
    [[execution(json.dumps({"url": URL}))], [execution(None)], [message(FILE)]],
    ids=["a URL in the result", "no result", "a file"],
)
def test_in_an_answer_whose_image_is_known(before, link):
    whole, streamed = both(*before, message(text(f"Here! {link}\nSee [docs](https://e.x/?token=a).")))
    assert whole.text == f"Here! {DEAD[link]}\nSee [docs](https://e.x/?token=a)."
    assert whole.content_blocks == streamed.content_blocks
    assert [ref["id"] for ref in images_of(whole)] == [ref["id"] for ref in images_of(streamed)]


@pytest.mark.parametrize("before", [[], [execution("Tool call timed out. Please try again.")]], ids=["none", "failed"])
def test_in_an_answer_without_an_image_they_stay(before):
    for answer in both(*before, message(text("Write ![]() for an image."))):
        assert answer.text == "Write ![]() for an image."


def test_a_beginning_of_a_link_is_passed_on_before_what_follows_it():
    answers = both(execution(None), message(text("Look!"), FILE, text("And [this")))
    for answer in answers:
        assert answer.text == "Look!And [this"


def test_over_chat_completions():
    call = {"id": "Ab3dE5fG7", "index": 0, "function": {"name": "generate_image", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "index": 0, "content": "", "tool_calls": [call]},
        {"role": "tool", "index": 1, "tool_call_id": "Ab3dE5fG7", "content": json.dumps({"url": URL})},
        {"role": "assistant", "index": 2, "content": "Here: ![a cat]() and [docs](https://example.com)."},
    ]
    common = {"id": "c", "created": 1, "model": "m"}
    whole = json.dumps({**common, "choices": [{"index": 0, "messages": messages}]}).encode()
    reader, pieces = CompletionEvents(set()), list(messages[2]["content"])
    deltas = [*messages[:2], *({"role": "assistant", "index": 2, "content": piece} for piece in pieces)]
    chunks = [json.dumps({**common, "choices": [{"index": 0, "delta": delta}]}).encode() for delta in deltas]
    events = [event for chunk in [*chunks, b"[DONE]"] for event in reader.chunk(chunk)]
    for answer in (merged(CompletionEvents(set()).completion(whole)), merged(events)):
        assert answer.text == "Here:  and [docs](https://example.com)."
        assert len(images_of(answer)) == 1
