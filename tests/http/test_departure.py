"""A request whose deadline passes while it waits for anything is not sent, and known not to be."""

from __future__ import annotations

import dataclasses

import httpx
import pytest

from langchain_mistral_imagegen._http.departure import this_moment
from langchain_mistral_imagegen._protocol.deadlines import Deadline, Moment, TooLateError
from langchain_mistral_imagegen._protocol.flows import now
from langchain_mistral_imagegen._protocol.requests import start_conversation

ASK = start_conversation(
    {"model": "mistral-medium-latest", "inputs": "Draw a cat.", "tools": [{"type": "image_generation"}]}
)


def asking(seconds):
    begun = yield from now()
    return (yield dataclasses.replace(ASK, deadline=Deadline(begun, seconds)))


async def test_in_time_it_is_sent(face, make_model, sandbox):
    response = await face.run(make_model(), asking(60))
    assert (response.status, sandbox.paid) == (200, 1)


async def test_too_late_it_is_not_sent(face, make_model, sandbox):
    with pytest.raises(TooLateError):
        await face.run(make_model(), asking(-1))
    assert not sandbox.requests


async def test_the_check_is_the_last_thing_before_the_headers(face, make_model, sandbox, monkeypatch):
    """The clock jumps when the connection stands: only the check of the headers can notice."""
    late = []
    real = this_moment

    def clock():
        moment = real()
        return Moment(moment.running + 100, moment.elapsed) if late else moment

    monkeypatch.setattr("langchain_mistral_imagegen._http.departure.this_moment", clock)

    def connected(request):
        late.append(True)

    async def aconnected(request):
        late.append(True)

    hooks = {"request": [aconnected if face.is_async else connected]}
    kind = httpx.AsyncClient if face.is_async else httpx.Client
    name = "http_async_client" if face.is_async else "http_client"
    own = kind(event_hooks=hooks)
    with pytest.raises(TooLateError):
        await face.run(make_model(**{name: own}), asking(60))
    assert late
    assert not sandbox.requests
    await own.aclose() if face.is_async else own.close()


def test_suspension_counts():
    assert Moment(1, 100).since(Moment(0, 0)) == 100
    assert Deadline(Moment(0, 0), 5).is_over(Moment(1, 6))
    assert not Deadline(Moment(0, 0), 5).is_over(Moment(1, 1))
