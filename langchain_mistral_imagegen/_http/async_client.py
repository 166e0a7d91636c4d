"""`AsyncClient`: runs flows on the running event loop, with httpx, and what blocks in threads of its own."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx

from langchain_mistral_imagegen._http.body import Body, check_encoding, goes_into_sink, response, stays_open
from langchain_mistral_imagegen._http.departure import check_deadline, this_moment, tracing
from langchain_mistral_imagegen._http.pools import AsyncConnections
from langchain_mistral_imagegen._http.secrecy import WITHOUT_LOCALS, redact_http_logs, translated_errors
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.time_limit import TimeLimit, limit_of, limited
from langchain_mistral_imagegen._protocol.deadlines import Now
from langchain_mistral_imagegen._protocol.flows import Awaiting, Blocking, Effect, Failed, Flow, Pause, Together
from langchain_mistral_imagegen._protocol.requests import Request, Response, Sink
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder

T = TypeVar("T")
_NOTHING = nullcontext()
_AT_ONCE = 128 * 1024  # bytes that are written together, because each time costs a thread switch
_DISK_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class _OpenResponse(Response):
    """A response whose body is not read yet; `opened` closes it."""

    raw: httpx.Response = field(repr=False)
    limit: TimeLimit = field(repr=False)
    opened: AsyncExitStack = field(repr=False)


class AsyncClient:
    """Runs flows on the running event loop; each loop gets connections of its own, which end with it."""

    def __init__(self, settings: Settings, http_client: httpx.AsyncClient | None = None) -> None:
        redact_http_logs()
        self._settings = settings
        self._connections = AsyncConnections(
            lambda: limited(httpx.AsyncClient(**settings.transport_options())), http_client
        )

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result."""
        with WITHOUT_LOCALS:
            return await self._run(flow)

    async def _run(self, flow: Flow[T]) -> T:
        step: Callable[[], Effect] = functools.partial(next, flow)
        try:
            while True:
                effect = step()
                try:
                    result = await self._perform(effect)
                except Exception as error:  # noqa: BLE001  # the flow decides
                    step = functools.partial(flow.throw, error)
                else:
                    step = functools.partial(flow.send, result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns
        except asyncio.CancelledError:
            await _in_thread(flow.close)  # it may have a file to remove
            raise
        finally:
            flow.close()

    async def _perform(self, effect: Effect) -> Any:  # noqa: PLR0911  # one for each effect
        match effect:
            case Request():
                return await self._send(effect)
            case Failed(request, attempt, error):
                return self._settings.retry.delay(request, attempt, error)
            case Now():
                return this_moment()
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Blocking(call):
                return await _in_thread(call)
            case Awaiting(call):
                return await call()
            case Together():
                return await self._together(effect)

    async def _send(self, request: Request) -> Response:
        with translated_errors(request):
            async with AsyncExitStack() as opened:
                http = await opened.enter_async_context(self._connections.client())
                limit = opened.enter_context(limit_of(request, self._settings.deadline, http))
                built = self._settings.build(request, tracing(request, is_async=True), self._connections.given)
                check_deadline(request)
                raw = await http.send(built, stream=True, follow_redirects=False)
                opened.push_async_callback(raw.aclose)
                if stays_open(request, raw):
                    return _OpenResponse(**vars(response(request, raw)), raw=raw, limit=limit, opened=opened.pop_all())
                if request.sink and goes_into_sink(request, raw):
                    await self._drain(request, request.sink, raw, limit)
                    return response(request, raw)
                check_encoding(request, raw)
                body = Body(request)
                async for piece in raw.aiter_bytes():
                    limit.check()
                    body.add(piece)
                return response(request, raw, body.content)

    async def _drain(self, request: Request, sink: Sink, raw: httpx.Response, limit: TimeLimit) -> None:
        check_encoding(request, raw, ())
        await _in_thread(sink.restart)
        pieces: list[bytes] = []
        async for piece in raw.aiter_bytes():
            limit.check()
            pieces.append(piece)
            if sum(map(len, pieces)) >= _AT_ONCE:
                await _in_thread(functools.partial(_write_all, sink, pieces))
                request.on_bytes(raw.num_bytes_downloaded)
                pieces = []
        await _in_thread(functools.partial(_write_all, sink, pieces))
        request.on_bytes(raw.num_bytes_downloaded)

    async def _together(self, effect: Together) -> list[Any]:
        limit = asyncio.Semaphore(effect.limit)

        async def attempt(flow: Flow[Any]) -> Any:
            async with limit:
                return await self.run(flow)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_outcome(attempt(flow))) for flow in effect.flows]
        return [task.result() for task in tasks]

    async def stream(
        self,
        flow: Flow[Response],
        read: Callable[[bytes], Iterable[T]],
        opening: AbstractContextManager[Any] = _NOTHING,
    ) -> AsyncGenerator[T, None]:
        """Yield the events of the response that a flow returns, as they arrive.

        Args:
            flow: Ends with the response to a request with `stream=True`.
            read: Makes events of the data of one server-sent event.
            opening: Entered while the flow runs.
        """
        with opening:
            open_response = cast("_OpenResponse", await self.run(flow))
        raw, decoder = open_response.raw, EventStreamDecoder()
        name = f"{raw.request.method} {raw.request.url.path}"
        async with open_response.opened:
            with translated_errors(name), open_response.limit:
                check_encoding(name, raw)
                async for piece in raw.aiter_bytes():
                    open_response.limit.check()
                    for event in (event for data in decoder.feed(piece) for event in read(data)):
                        yield event
                    open_response.limit.go_on()
                for event in (event for data in decoder.flush() for event in read(data)):
                    yield event

    async def aclose(self) -> None:
        """Close the running loop's connections, unless the HTTP client was given."""
        await self._connections.aclose()


def _write_all(sink: Sink, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        sink.write(piece)


async def _outcome(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await work
    except Exception as error:  # noqa: BLE001  # it takes the place of the result
        return error


async def _in_thread(call: Callable[[], T]) -> T:
    # Not the loop's default executor: a few slow disks must not block everybody else's work.
    working = asyncio.get_running_loop().run_in_executor(_disk_threads(os.getpid()), call)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])  # what it has in hand is cleaned up next
        raise


@functools.cache
def _disk_threads(_process: int) -> ThreadPoolExecutor:  # threads do not survive a fork
    return ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="mistral-imagegen")
