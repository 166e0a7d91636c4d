"""What is kept of connections, and that no request loses its own to another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from crowds import restless_threads

from langchain_mistral_imagegen._http import pools
from langchain_mistral_imagegen._http.pools import AsyncConnections, Connections
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.sync_client import Client
from langchain_mistral_imagegen._protocol.flows import send
from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen.sandbox import Sandbox

THREADS = 60


@pytest.fixture
def restless() -> Iterator[None]:
    with restless_threads():
        yield


def sockets_to(sandbox: Sandbox) -> int:
    port = int(sandbox.url.rpartition(":")[2])
    return sum(bool(one.raddr) and one.raddr.port == port for one in psutil.Process().net_connections())


@pytest.mark.slow
def test_no_thread_loses_its_connection_to_another(sandbox, restless):
    """One HTTP client for all closes connections under way here; the request then waits for its whole time-out."""
    client = Client(Settings(base_url=sandbox.url, api_key=lambda: "k", timeout=20, retry=RetryPolicy(max_retries=0)))
    request = Request(method="GET", path="/v1/agents")
    with ThreadPoolExecutor(THREADS) as threads:
        answers = threads.map(lambda _: client.run(send(request)), range(1_000))
        assert {answer.status for answer in answers} == {200}
    client.close()


def test_a_connection_is_used_again_and_given_up_when_it_is_not_needed_for_long(sandbox, monkeypatch):
    connections = Connections(httpx.Client, None)
    with connections.client() as first, connections.client() as second:
        first.get(sandbox.url)
        second.get(sandbox.url)
    with connections.client() as one:
        assert one is first, "the last that was put back"
    assert sockets_to(sandbox) == 2
    monkeypatch.setattr(pools, "_IDLE_SECONDS", 0)
    with connections.client():
        pass
    assert sockets_to(sandbox) == 0
    assert first.is_closed
    assert second.is_closed


async def test_so_is_one_of_an_event_loop(sandbox, monkeypatch):
    connections = AsyncConnections(httpx.AsyncClient, None)
    async with connections.client() as first, connections.client() as second:
        await asyncio.gather(first.get(sandbox.url), second.get(sandbox.url))
    async with connections.client() as one:
        assert one is first
    assert sockets_to(sandbox) == 2
    monkeypatch.setattr(pools, "_IDLE_SECONDS", 0)
    async with connections.client():
        pass
    assert sockets_to(sandbox) == 0


def test_closing_lets_what_is_in_use_finish(sandbox):
    connections = Connections(httpx.Client, None)
    with connections.client() as busy:
        connections.close()
        assert busy.get(sandbox.url)
        with connections.client() as new:
            assert new is not busy
    assert busy.is_closed
    assert not new.is_closed
    connections.close()
    assert new.is_closed
    assert sockets_to(sandbox) == 0


async def test_a_given_client_is_used_for_all_and_never_closed():
    async with httpx.AsyncClient() as given:
        connections = AsyncConnections(httpx.AsyncClient, given)
        async with connections.client() as one, connections.client() as other:
            assert one is other is given
        await connections.aclose()
        assert not given.is_closed
