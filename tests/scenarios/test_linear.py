"""Every door takes linear time, whoever writes the text that comes in: a server, a model, a tool or a user.

The patterns are those on which searches, merges and checks have been seen to take quadratic time, there or here.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_mistral_imagegen import images_of, notebook, to_portable_messages
from langchain_mistral_imagegen._cli.file_names import slug
from langchain_mistral_imagegen._cli.gallery_page import Card, Gap, page
from langchain_mistral_imagegen._cli.prompts import BadPromptsError, read_prompts
from langchain_mistral_imagegen._conversations.turn import TurnSettings, prepare
from langchain_mistral_imagegen._messages import tool_names
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._messages.dead_links import DeadLinks, without_dead_links
from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER
from langchain_mistral_imagegen._printable import printable
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.failures import raise_for_status, stream_error
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder
from langchain_mistral_imagegen.errors import APIError, InvalidResponseError
from langchain_mistral_imagegen.middleware._inline_images import store_inline_images
from langchain_mistral_imagegen.stores import image_store

WHOLE = 1_000_000  # characters of a pattern
DELTA = 64  # characters of a delta
NEGLIGIBLE = 0.03  # seconds: of 32,000 characters; if that is quadratic, a megabyte takes half a minute
PATTERNS = {
    "letters": ("", "a"),
    "spaces": ("a", " "),
    "lines": ("", "\n"),
    "carriage returns": ("", "\r\n"),
    "link openers": ("", "["),
    "image openers": ("", "!["),
    "links without an end": ("", "[a]("),
    "an image link without an end": ("![x](mistral-image:", "b"),
    "an image link of dots": ("![x](mistral-image:b", "."),
    "image links without an end": ("", "[x](mistral-image:b "),
    "spaces in a link": ("[x](", " "),
    "image ids": ("", "mistral-image:"),
    "image ids of dots": ("", "mistral-image:. "),
    "one long URL": ("https://h.example/", "b"),
    "one long signed URL": ("https://h.example/?sig=", "b"),
    "URLs without an end": ("", "https://"),
    "signed URLs": ("", "https://h.example/x?sig=b "),
    "URLs of queries": ("https://h.example/", "?a&"),
    "escaped ampersands": ("https://h.example/", r"\u0026"),
    "brackets in a URL": ("https://h.example/", "("),
    "signatures between brackets": ("https://mistralaiblackforestprod.blob.core.windows.net/x?", "(&sig=b"),
    "hosts of blobs": ("https://h", ".blob.core.windows.net"),
    "letters of a query": ("https://h.example/?", ";a"),
    "percent-encoded letters": ("https://h.example/?", "%25%73%69"),
    "escaped slashes": ("https://h.example", r"\\/"),
    "dead links": ("", "![a](sandbox:/b "),
    "beginnings of URLs": ("", "http"),
    "backslashes": ("", "\\"),
    "escapes without digits": ("", r"\u"),
    "first surrogates": ("", r"\ud83d"),
    "mixed combining marks": ("a", "\u0301\u0323"),
    "requests": ("", "please "),
    "prefixes of functions": ("", "local_"),
    "braces": ("", "{"),
    "arrays": ("", "["),
    "keys": ("", '{"a":'),
    "strings": ("{", '"a",'),
    "malformed JSON": ('{"a": "', '\\"}'),
    "data URLs": ("", "data:image/png;base64,"),
    "data lines": ("", "data:\n"),
    "markup": ("", "</p><p>"),
    "terminal control": ("", "\x1b["),
    "emoji": ("", "\U0001f642"),
}


class Nowhere:
    """Takes the place of a notebook's output."""

    def update(self, content):
        repr(content)


def pieces(text):
    return [text[start : start + DELTA] for start in range(0, len(text), DELTA)]


def streamed(*events):
    stream = AnswerStream(AnswerContext(model="m", urls=SignedUrls()))
    started = {"type": "conversation.response.started", "conversation_id": "c"}
    done = {"type": "conversation.response.done"}
    read = (read_event(json.dumps(event).encode()) for event in (started, *events, done))
    return [chunk for event in read for chunk in stream.feed(event)]


def whole(*outputs):
    body = {"conversation_id": "c", "outputs": outputs}
    message = to_message(
        read_response(ConversationResponse, json.dumps(body).encode()), AnswerContext(model="m", urls=SignedUrls())
    )
    return message.content_blocks, images_of(message)


def single_bytes(text):
    body = text.encode()
    decoder = EventStreamDecoder()
    with suppress(InvalidResponseError):
        for start in range(len(body)):
            list(decoder.feed(body[start : start + 1]))
        list(decoder.flush())


def streamed_text(text):
    streamed(*({"type": "message.output.delta", "id": "e", "content": piece} for piece in pieces(text)))


def streamed_thinking(text):
    chunks = ({"type": "thinking", "thinking": [{"type": "text", "text": piece}]} for piece in pieces(text))
    streamed(*({"type": "message.output.delta", "id": "e", "content": chunk} for chunk in chunks))


def streamed_tool(text):
    tool = {"id": "t", "name": "image_generation"}
    deltas = [{"type": "tool.execution.delta", **tool, "arguments": piece} for piece in pieces(text)]
    streamed(*deltas, {"type": "tool.execution.done", **tool, "info": {"result": text}})


def streamed_call(text):
    call = {
        "type": "function.call.delta",
        "id": "f",
        "name": "f",
        "tool_call_id": "c",
        "confirmation_status": "pending",
    }
    streamed(*({**call, "arguments": piece} for piece in pieces(text)))


def streamed_names(text):
    call = {"type": "function.call.delta", "id": text, "name": text, "tool_call_id": text, "arguments": "{}"}
    streamed(call, {"type": "agent.handoff.started", "id": text, "previous_agent_name": text}, {"type": text})


def citations(text):
    source = {"type": "tool_reference", "tool": "web_search", "title": "t", "url": text[:DELTA]}
    chunks = [{"type": "text", "text": "a"}, *[source] * (len(text) // 64)]
    with suppress(InvalidResponseError):  # too many blocks
        whole({"type": "message.output", "id": "e", "content": chunks})


def many_blocks(text):
    chunks = [{"type": "text", "text": piece} for piece in pieces(text)]
    with suppress(InvalidResponseError):  # too many blocks
        whole({"type": "message.output", "id": "e", "content": chunks})


def answer_text(text):
    whole({"type": "message.output", "id": "e", "content": text}, {"type": "unheard", "of": text})


def answer_call(text):
    whole({"type": "function.call", "id": "f", "name": text, "tool_call_id": "c", "arguments": text})


def answer_tool(text):
    tool = {"type": "tool.execution", "id": "t", "name": "image_generation", "arguments": text}
    whole({**tool, "info": {"result": text}}, {**tool, "name": text, "info": {text: [text]}})


def answer_body(text):
    with suppress(InvalidResponseError):
        read_response(ConversationResponse, text.encode())
    read_event(text.encode())


def history(text):
    answer = AIMessage([{"type": "text", "text": text}], response_metadata={"model_provider": MODEL_PROVIDER})
    calling = AIMessage("", tool_calls=[{"name": text, "id": "1", "args": {"a": text}}])
    messages = [HumanMessage(text), answer, calling, ToolMessage(text, tool_call_id="1"), HumanMessage(pieces(text))]
    turn, _ = prepare(TurnSettings(target={"model": "m"}), messages, {})
    turn.start()


def portable(text):
    answer = AIMessage([{"type": "text", "text": text}], response_metadata={"model_provider": MODEL_PROVIDER})
    to_portable_messages([HumanMessage(text), answer, ToolMessage(text, tool_call_id="1"), AIMessage(text)])


def portable_pieces(text):
    blocks = [{"type": "text", "text": piece, "index": 0} for piece in pieces(text)]
    to_portable_messages([AIMessage(blocks, response_metadata={"model_provider": MODEL_PROVIDER})])


def dead_links(text):
    without_dead_links(text)
    links = DeadLinks()
    "".join(map(links.feed, pieces(text))) + links.flush()


def references(text):
    artifact = {"images": [{"id": text, "status": "remote"}]}
    images_of([AIMessage(text), ToolMessage(text, tool_call_id="1", artifact=artifact)])


def in_notebook(text):
    line = notebook._Line()
    line._display = lambda *_, **__: Nowhere()
    chunks = streamed(*({"type": "message.output.delta", "id": "e", "content": piece} for piece in pieces(text)))
    notebook._read(chunks, line)


def inline_images(text):
    blocks = [{"type": "text", "text": text}, {"type": "image", "url": text}]
    for content in (text, f"[{text}", blocks):
        store_inline_images(ToolMessage(content, tool_call_id="1"), image_store("memory://linear"))


def names(text):
    assert slug(text)
    assert len(tool_names.to_wire(text)) <= 64
    tool_names.from_wire(text)


def prompts(text, tmp_path):
    for name, content in {"a.txt": text, "b.txt": "same\n" * (len(text) // 50), "c.jsonl": f"{{{text}"}.items():
        (tmp_path / name).write_text(content, newline="")
        with suppress(BadPromptsError):
            read_prompts(str(tmp_path / name))


def gallery(text):
    page(text, text, [Card(text, {text: text}, text, None, None)], [Gap(text, "failed", text)])
    printable(text)


def errors(text):
    for body in (
        text,
        json.dumps({"message": text, "code": text}),
        json.dumps({"detail": [{"loc": [text], "msg": text}, text]}),
    ):
        with suppress(APIError):
            raise_for_status(Response(status=500, headers={"retry-after": text[:60_000]}, content=body.encode()))
    str(stream_error(text, 500))


DOORS = [
    single_bytes, streamed_text, streamed_thinking, streamed_tool, streamed_call, streamed_names, citations,
    many_blocks, answer_text, answer_call, answer_tool, answer_body, history, portable, portable_pieces, dead_links,
    references, in_notebook, inline_images, names, prompts, gallery, errors,
]  # fmt: skip


@pytest.fixture(autouse=True)
def untraced():
    """Measure the package and not the tool that measures coverage, which takes several times as long."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


@pytest.fixture
def read(door, tmp_path):
    """Open a door with a text of a pattern, and return the seconds of CPU that this takes: the best of some tries."""

    def seconds(pattern, size, tries):
        start, unit = PATTERNS[pattern]
        text = (start + unit * (size // len(unit)))[:size]
        times = []
        for _ in range(tries):
            before = time.process_time()
            door(text, *((tmp_path,) if door is prompts else ()))
            times.append(time.process_time() - before)
        return min(times)

    return seconds


def grows_too_fast(read, pattern, size):
    """Return whether a text that is eight times as long takes more than sixteen times as long."""
    for tries in (1, 3):  # a second look at what may have been disturbed
        long, short = read(pattern, 8 * size, tries), read(pattern, size, tries)
        if long < NEGLIGIBLE or long < 16 * short:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_time_grows_with_the_length_of_every_pattern(read):
    assert [pattern for pattern in PATTERNS if grows_too_fast(read, pattern, 4_000)] == []


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_time_grows_with_the_length_of_a_text_that_is_expensive_to_copy(read):
    assert not grows_too_fast(read, "emoji", 64_000)


@pytest.mark.nightly
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_megabyte_of_every_pattern_is_read_in_five_seconds(read):
    slow = (pattern for pattern in PATTERNS if read(pattern, WHOLE, 1) >= 5)
    assert [pattern for pattern in slow if read(pattern, WHOLE, 2) >= 5] == []
