"""Server-sent events, however they are cut and framed."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder

NORMAL = b'event: a\ndata: {"n": 1}\n\nevent: b\ndata: {"n": "\xc3\xa9"}\n\n'
EVENTS = [b'{"n": 1}', b'{"n": "\xc3\xa9"}']


def decode(*pieces: bytes) -> list[bytes]:
    decoder = EventStreamDecoder()
    return [data for piece in pieces for data in decoder.feed(piece)] + list(decoder.flush())


@pytest.mark.parametrize(
    "body",
    [
        NORMAL,
        NORMAL.replace(b"\n", b"\r\n"),
        NORMAL.replace(b"event: a\n", b"").replace(b"event: b\n", b""),
        b": ping\n\n" + NORMAL.replace(b"\n\n", b"\n\n: ping\nid: 7\nretry: 10\n\n"),
        NORMAL.removesuffix(b"\n"),
        NORMAL.removesuffix(b"\n\n"),
        NORMAL.replace(b"data: ", b"data:"),
    ],
)
def test_every_framing_and_every_cut_gives_the_same_events(body):
    assert decode(body) == EVENTS
    assert decode(*(body[n : n + 1] for n in range(len(body)))) == EVENTS
    for cut in range(len(body)):
        assert decode(body[:cut], body[cut:]) == EVENTS


def test_the_end_mark_of_chat_completions_is_data_like_any_other():
    assert decode(NORMAL + b"data: [DONE]\n\n") == [*EVENTS, b"[DONE]"]


def test_several_data_lines_are_one_event():
    assert decode(b"data: a\ndata: b\n\n") == [b"a\nb"]
