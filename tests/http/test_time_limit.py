"""A request ends after its deadline, however often a byte arrives."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hostile_server import Answer, hostile_server

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen._protocol.flows import send
from langchain_mistral_imagegen._protocol.requests import Request, download_file
from langchain_mistral_imagegen.errors import APITimeoutError, StreamInterruptedError

LIST = Request(method="GET", path="/v1/conversations")
IMAGE = b"GIF89a"


class Bytes:
    """Takes the bytes of a download."""

    def restart(self):
        self.content = b""

    def write(self, piece):
        self.content += piece


@pytest.fixture
def endless():
    """Serve bodies that get a byte now and then, until the test is over."""
    over = threading.Event()

    def pieces(first):
        yield first
        while not over.wait(0.02):
            yield b"\n"

    with hostile_server() as server:
        for path in ("/v1/conversations", "/v1/files/f1/content"):
            server.answers[path] = Answer(pieces(IMAGE if "files" in path else b": begun"))
        yield server
        over.set()


def model_of(server, **settings):
    return ChatMistralConversations(base_url=server.url, api_key="k", max_retries=0, deadline=0.2, **settings)


@pytest.mark.parametrize("request_", [LIST, download_file("f1", Bytes())], ids=["into memory", "into a sink"])
def test_a_response_must_be_complete_in_time(endless, request_):
    with model_of(endless) as model, pytest.raises(APITimeoutError, match=r"not complete after 0\.2 seconds"):
        model.client.run(send(request_))


@pytest.mark.parametrize("request_", [LIST, download_file("f1", Bytes())], ids=["into memory", "into a sink"])
async def test_a_response_must_be_complete_in_time_on_an_event_loop(endless, request_):
    async with model_of(endless) as model:
        with pytest.raises(APITimeoutError, match=r"not complete after 0\.2 seconds"):
            await model.async_client.run(send(request_))


def test_a_request_has_less_time_where_its_record_says_so(endless):
    with model_of(endless) as model, pytest.raises(APITimeoutError, match=r"not complete after 0\.1 seconds"):
        model.client.run(send(replace(LIST, lasts=0.1)))


@pytest.fixture
def trickling_headers():
    """Serve headers that never end, until the test is over."""
    over = threading.Event()

    class Lines(dict):
        def items(self):
            while not over.wait(0.02):
                yield "x-more", "and more"

    with hostile_server() as server:
        server.answers["/v1/conversations"] = Answer([b"{}"], headers=Lines())
        yield server
        over.set()


def test_headers_must_be_complete_in_time(trickling_headers):
    with model_of(trickling_headers) as model, pytest.raises(APITimeoutError, match=r"not complete after 0\.2 seconds"):
        model.client.run(send(LIST))


async def test_headers_must_be_complete_in_time_on_an_event_loop(trickling_headers):
    async with model_of(trickling_headers) as model:
        with pytest.raises(APITimeoutError, match=r"not complete after 0\.2 seconds"):
            await model.async_client.run(send(LIST))


def test_a_stream_must_end_in_time(endless):
    with model_of(endless) as model, pytest.raises(StreamInterruptedError) as caught:
        list(model.stream("Draw a cat."))
    assert isinstance(caught.value.__cause__, APITimeoutError)


async def test_a_stream_must_end_in_time_on_an_event_loop(endless):
    async with model_of(endless) as model:
        with pytest.raises(StreamInterruptedError) as caught:
            [chunk async for chunk in model.astream("Draw a cat.")]
    assert isinstance(caught.value.__cause__, APITimeoutError)


@pytest.mark.slow
def test_the_time_of_a_streams_reader_does_not_count(sandbox):
    with ChatMistralConversations(base_url=sandbox.url, api_key="k", deadline=0.5) as model:
        chunks = model.stream("Say hello.")
        first = next(chunks)
        threading.Event().wait(0.6)
        assert [first, *chunks][-1].chunk_position == "last"
