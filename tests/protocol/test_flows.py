"""Flows, stepped with values."""

from __future__ import annotations

import json

import pytest
from stepping import decide, forbid_repetition

from langchain_mistral_imagegen._protocol.flows import Pause, download, send
from langchain_mistral_imagegen._protocol.requests import Response, conversation_history, start_conversation
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    ImageUnavailableError,
    MinuteQuotaError,
    OutcomeUnknownError,
)

START = start_conversation({"inputs": "x"})
READ = conversation_history("c")
ONE_RETRY = RetryPolicy(max_retries=1)
OK = Response(status=200, headers={}, content=b'{"conversation_id": "c", "outputs": []}')
BUSY = Response(status=503, headers={})
URL = "https://x.blob.core.windows.net/i.jpg?sig=S"


def result_of(flow, value):
    with pytest.raises(StopIteration) as stop:
        flow.send(value)
    return stop.value.value


def test_a_refused_connection_is_tried_again_after_a_pause():
    flow = send(START)
    assert next(flow) == START
    refused = APIConnectionError("refused", sent=False)
    assert decide(flow, flow.throw(refused), ONE_RETRY) == Pause(0.5)
    assert flow.send(None) == START
    assert result_of(flow, OK) is OK


@pytest.mark.parametrize(
    ("error", "level", "text"),
    [
        (APIConnectionError("refused", sent=False), "INFO", "refused; retrying in 0.5 seconds"),
        (MinuteQuotaError("used up", status_code=429), "WARNING", "used up (status 429); retrying in 60 seconds"),
    ],
)
def test_what_is_repeated_is_logged(caplog, error, level, text):
    caplog.set_level("INFO", "langchain_mistral_imagegen")
    flow = send(START)
    next(flow)
    assert isinstance(decide(flow, flow.throw(error), ONE_RETRY), Pause)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("langchain_mistral_imagegen", level)
    assert text in record.message


def test_a_lost_answer_to_a_paid_request_is_an_unknown_outcome():
    flow = send(START)
    next(flow)
    lost = APIConnectionError("reset", sent=True)
    with pytest.raises(OutcomeUnknownError) as caught:
        forbid_repetition(flow, flow.throw(lost))
    assert caught.value.__cause__ is lost


def test_a_lost_answer_to_a_free_request_is_tried_again_and_then_raised():
    flow = send(READ)
    next(flow)
    lost = APIConnectionError("reset", sent=True)
    assert decide(flow, flow.throw(lost), ONE_RETRY) == Pause(0.5)
    assert flow.send(None) == READ
    with pytest.raises(APIConnectionError, match="again"):
        decide(flow, flow.throw(APIConnectionError("again", sent=True)), ONE_RETRY)


def test_an_error_status_is_raised_for_a_paid_request_and_repeated_for_a_free_one():
    paid, free = send(START), send(READ)
    next(paid)
    next(free)
    with pytest.raises(OutcomeUnknownError, match="It was not retried, to avoid paying twice"):
        decide(paid, paid.send(BUSY), ONE_RETRY)
    assert decide(free, free.send(BUSY), ONE_RETRY) == Pause(0.5)


def test_a_file_is_downloaded_by_its_id():
    sink = object()
    flow = download({"id": "f/1", "file_id": "f/1", "status": "remote"}, sink, signed_urls={})
    request = next(flow)
    assert (request.path, request.authorized, request.sink) == ("/v1/files/f%2F1/content", True, sink)


def test_a_known_url_is_used_and_forgotten_when_it_is_refused():
    urls = {"e": URL}
    flow = download({"id": "e", "status": "remote"}, None, signed_urls=urls)
    request = next(flow)
    assert (request.path, request.authorized) == (URL, False)
    with pytest.raises(ImageUnavailableError, match="status 403"):
        forbid_repetition(flow, flow.send(Response(status=403, headers={})))
    assert urls == {}


def test_an_unknown_url_is_looked_up_in_the_history():
    ref = {"id": "e", "status": "remote", "conversation_id": "c"}
    flow = download(ref, None, signed_urls={})
    assert next(flow) == conversation_history("c")
    entry = {
        "type": "tool.execution",
        "id": "e",
        "name": "image_generation",
        "info": {"result": json.dumps({"url": URL})},
    }
    body = json.dumps({"conversation_id": "c", "entries": [entry]}).encode()
    assert flow.send(Response(status=200, headers={}, content=body)).path == URL


@pytest.mark.parametrize(
    ("ref", "answer", "reason"),
    [
        ({"id": "e", "status": "remote"}, None, "its conversation is not known"),
        ({"id": "e", "status": "remote", "conversation_id": "c"}, Response(status=404, headers={}), "not kept"),
        ({"id": "e", "status": "remote", "conversation_id": "c"}, OK, "holds no URL for it"),
    ],
)
def test_an_image_that_is_gone_has_a_reason(ref, answer, reason):
    flow = download(ref, None, signed_urls={})
    with pytest.raises(ImageUnavailableError, match=f"'e' cannot be downloaded.*{reason}"):
        next(flow)
        forbid_repetition(flow, flow.send(answer))
