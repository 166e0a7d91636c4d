"""Both clients: effects are performed, and errors are ours."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hostile_server import Answer, hostile_server

from langchain_mistral_imagegen._http.async_client import AsyncClient
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.sync_client import Client
from langchain_mistral_imagegen._protocol.flows import Blocking, Pause, Together, send
from langchain_mistral_imagegen._protocol.requests import Request, conversation_history
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen.errors import APIConnectionError, NotFoundError
from langchain_mistral_imagegen.sandbox import Behavior

LIST = Request(method="GET", path="/v1/conversations")
NO_RETRY = RetryPolicy(max_retries=0)


class Driver:
    """Runs flows with either client."""

    def __init__(self, kind: str, settings: Settings) -> None:
        self.client = AsyncClient(settings) if kind == "async" else Client(settings)

    async def run(self, flow):
        result = self.client.run(flow)
        return await result if isinstance(self.client, AsyncClient) else result

    async def close(self) -> None:
        await self.client.aclose() if isinstance(self.client, AsyncClient) else self.client.close()


def settings(url: str, **options) -> Settings:
    return Settings(base_url=url, api_key=lambda: "canary", retry=NO_RETRY, **options)


@pytest.fixture(params=["sync", "async"])
async def driver(request, sandbox):
    made = Driver(request.param, settings(sandbox.url))
    yield made
    await made.close()


async def test_a_flow_is_sent_what_came_of_its_effects(driver):
    def flow():
        response = yield LIST
        yield Pause(0)
        thread = yield Blocking(threading.current_thread)
        return response.content, thread

    content, thread = await driver.run(flow())
    assert content == b"[]"
    assert (thread is threading.main_thread()) == isinstance(driver.client, Client)


async def test_flows_run_together_up_to_a_limit_and_results_keep_their_order(driver):
    running, most = [], []

    def one(number):
        running.append(number)
        most.append(len(running))
        yield Pause(0.02)
        running.remove(number)
        if number == 3:
            raise ValueError(number)
        return number

    def flow():
        return (yield Together([one(number) for number in range(10)], 4))

    results = await driver.run(flow())
    assert [str(result) for result in results] == [str(number) for number in range(10)]
    assert isinstance(results[3], ValueError)
    assert 2 <= max(most) <= 4


@pytest.mark.parametrize("others", [0, 2])
def test_an_interruption_of_one_flow_ends_all(sandbox, others):
    def interrupted():
        yield Blocking(lambda: None)
        raise KeyboardInterrupt

    def waiting():
        yield Pause(0)

    flows = [interrupted(), *(waiting() for _ in range(others))]

    def flow():
        return (yield Together(flows, 1))

    with pytest.raises(KeyboardInterrupt):
        Client(settings(sandbox.url)).run(flow())
    assert [one.gi_frame for one in flows] == [None] * len(flows)


async def test_a_flow_may_catch_what_went_wrong_and_is_closed_in_the_end(driver):
    closed = []

    def flow():
        try:
            try:
                yield Blocking(lambda: 1 / 0)
            except ZeroDivisionError:
                yield from send(conversation_history("nothing"))
        finally:
            closed.append(True)

    with pytest.raises(NotFoundError):
        await driver.run(flow())
    assert closed == [True]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_refused_connection_was_certainly_not_sent(kind):
    driver = Driver(kind, settings("http://127.0.0.1:9"))
    with pytest.raises(APIConnectionError, match=r"cannot connect to 127.0.0.1:9: ") as caught:
        await driver.run(send(LIST))
    assert not caught.value.sent
    await driver.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_refused_connection_names_the_server_without_its_password(kind):
    driver = Driver(kind, settings("http://me:secret@127.0.0.1:9"))
    with pytest.raises(APIConnectionError, match=r"cannot connect to 127.0.0.1:9: ") as caught:
        await driver.run(send(LIST))
    assert "secret" not in str(caught.value)
    await driver.close()


@pytest.mark.parametrize("url", ["localhost:8080", "http://[::1", "ftp://x"])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_base_url_that_is_none_is_a_connection_error(kind, url):
    driver = Driver(kind, settings(url))
    with pytest.raises(APIConnectionError) as caught:
        await driver.run(send(LIST))
    assert not caught.value.sent
    await driver.close()


def test_the_async_client_serves_several_event_loops(sandbox):
    client = AsyncClient(settings(sandbox.url))

    async def ask():
        response = await client.run(send(LIST))
        await client.aclose()
        return response.status

    assert [asyncio.run(ask()), asyncio.run(ask())] == [200, 200]


async def test_a_cancelled_flow_is_closed(sandbox):
    client, closed = AsyncClient(settings(sandbox.url)), asyncio.Event()
    sandbox.behave(Behavior(on="list", delay=30))

    def flow():
        try:
            yield LIST
        finally:
            closed.set()

    task = asyncio.create_task(client.run(flow()))
    while not sandbox.waiting:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    await client.aclose()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_own_clients_keep_no_cookies(kind):
    with hostile_server() as server:
        server.answers["/v1/conversations"] = Answer([b"[]"], headers={"set-cookie": "a=b", "content-length": "2"})
        driver = Driver(kind, settings(server.url))
        for _ in range(2):
            await driver.run(send(LIST))
        await driver.close()
    assert len(server.headers) == 2
    assert not any("cookie" in sent for sent in server.headers)
