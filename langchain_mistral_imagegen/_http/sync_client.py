"""`Client`: runs flows in the calling thread, with httpx."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx

from langchain_mistral_imagegen._http.body import Body, check_encoding, goes_into_sink, response, stays_open
from langchain_mistral_imagegen._http.departure import check_deadline, this_moment, tracing
from langchain_mistral_imagegen._http.pools import Connections
from langchain_mistral_imagegen._http.secrecy import WITHOUT_LOCALS, redact_http_logs, translated_errors
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.time_limit import TimeLimit, limit_of, limited
from langchain_mistral_imagegen._protocol.deadlines import Now
from langchain_mistral_imagegen._protocol.flows import Awaiting, Blocking, Effect, Failed, Flow, Pause, Together
from langchain_mistral_imagegen._protocol.requests import Request, Response, Sink
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder

T = TypeVar("T")
_NOTHING = nullcontext()


@dataclass(frozen=True, kw_only=True)
class _OpenResponse(Response):
    """A response whose body is not read yet; `opened` closes it."""

    raw: httpx.Response = field(repr=False)
    limit: TimeLimit = field(repr=False)
    opened: ExitStack = field(repr=False)


class _Stopped(BaseException):
    """Ends a flow whose thread was stopped; no `except Exception` of the flow takes it for a failure."""


class Client:
    """Runs flows in the calling thread; after a fork, each process has connections of its own."""

    def __init__(self, settings: Settings, http_client: httpx.Client | None = None) -> None:
        redact_http_logs()
        self._connections = Connections(lambda: limited(httpx.Client(**settings.transport_options())), http_client)
        self._driver = _Driver(settings, self._connections)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result."""
        return self._driver.run(flow)

    def stream(
        self,
        flow: Flow[Response],
        read: Callable[[bytes], Iterable[T]],
        opening: AbstractContextManager[Any] = _NOTHING,
    ) -> Generator[T, None, None]:
        """Yield the events of the response that a flow returns, as they arrive.

        Args:
            flow: Ends with the response to a request with `stream=True`.
            read: Makes events of the data of one server-sent event.
            opening: Entered while the flow runs.
        """
        with opening:
            open_response = cast("_OpenResponse", self.run(flow))
        raw, decoder = open_response.raw, EventStreamDecoder()
        name = f"{raw.request.method} {raw.request.url.path}"
        with closing(open_response.opened), translated_errors(name), open_response.limit:
            check_encoding(name, raw)
            for piece in raw.iter_bytes():
                open_response.limit.check()
                for data in decoder.feed(piece):
                    yield from read(data)
                open_response.limit.go_on()
            for data in decoder.flush():
                yield from read(data)

    def close(self) -> None:
        """Close the connections, unless the HTTP client was given; the next request opens new ones."""
        self._connections.close()


@dataclass(frozen=True)
class _Driver:
    """Runs flows in one thread, until it is stopped.

    Attributes:
        settings: How to reach the server.
        connections: Shared by all threads.
        stop: Set when the results are no longer needed.
    """

    settings: Settings
    connections: Connections
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, flow: Flow[T]) -> T:
        with WITHOUT_LOCALS:
            return self._run(flow)

    def attempt(self, flow: Flow[Any]) -> Any:
        """Run a flow and return its result, or its error in the place of one."""
        try:
            return self.run(flow)
        except BaseException as error:  # noqa: BLE001  # the thread that waits raises it
            return error

    def _run(self, flow: Flow[T]) -> T:
        step: Callable[[], Effect] = functools.partial(next, flow)
        try:
            while True:
                effect = step()
                try:
                    result = self._perform(effect)
                except Exception as error:  # noqa: BLE001  # the flow decides
                    step = functools.partial(flow.throw, error)
                else:
                    step = functools.partial(flow.send, result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns
        finally:
            flow.close()

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Request():
                return self._send(effect)
            case Failed(request, attempt, error):
                return self.settings.retry.delay(request, attempt, error)
            case Now():
                return this_moment()
            case Pause(seconds):
                return time.sleep(seconds)
            case Blocking(call):
                return call()
            case Awaiting():
                raise NotImplementedError("There is no event loop in this thread")
            case Together(flows, limit):
                return self._together(flows, limit)

    def _send(self, request: Request) -> Response:
        with translated_errors(request), ExitStack() as opened:
            http = opened.enter_context(self.connections.client())
            limit = opened.enter_context(limit_of(request, self.settings.deadline, http))
            built = self.settings.build(request, tracing(request, is_async=False), self.connections.given)
            check_deadline(request)
            raw = http.send(built, stream=True, follow_redirects=False)
            opened.callback(raw.close)
            if stays_open(request, raw):
                return _OpenResponse(**vars(response(request, raw)), raw=raw, limit=limit, opened=opened.pop_all())
            if request.sink and goes_into_sink(request, raw):
                self._drain(request, request.sink, raw, limit)
                return response(request, raw)
            check_encoding(request, raw)
            body = Body(request)
            for piece in raw.iter_bytes():
                limit.check()
                body.add(piece)
            return response(request, raw, body.content)

    def _drain(self, request: Request, sink: Sink, raw: httpx.Response, limit: TimeLimit) -> None:
        check_encoding(request, raw, ())
        sink.restart()
        for piece in raw.iter_bytes():
            if self.stop.is_set():
                raise _Stopped
            limit.check()
            sink.write(piece)
            request.on_bytes(raw.num_bytes_downloaded)

    def _together(self, flows: Sequence[Flow[Any]], limit: int) -> list[Any]:
        if len(flows) == 1:
            return [_checked(self.attempt(flows[0]))]
        return _Crew(self, flows, limit).results()


class _Crew:
    """Threads that run flows at the same time, each with a driver that stops when one result is an interruption."""

    def __init__(self, driver: _Driver, flows: Sequence[Flow[Any]], limit: int) -> None:
        self._driver = dataclasses.replace(driver, stop=threading.Event())
        self._flows = flows
        self._waiting = iter(enumerate(flows))
        self._results: dict[int, Any] = {}
        # Not an executor: the interpreter waits for its threads, even for one that waits for a server.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in flows[:limit]]

    def results(self) -> list[Any]:
        """Return the results in the order of the flows; an error takes the place of a result."""
        try:
            for thread in self._threads:
                thread.start()
            for thread in self._threads:
                thread.join()
            return [_checked(self._results[place]) for place in range(len(self._flows))]
        except BaseException:
            self._stop()
            raise

    def _work(self) -> None:
        for place, flow in self._waiting:
            if self._driver.stop.is_set():
                return
            self._results[place] = self._driver.attempt(flow)

    def _stop(self) -> None:
        """Give the threads a second in all to stop, and close the flows of those that still wait."""
        self._driver.stop.set()
        for thread in self._threads:
            if thread.ident:
                thread.join(1 / len(self._threads))
        for flow in self._flows:
            with suppress(ValueError):  # it is being executed this moment
                flow.close()


def _checked(result: Any) -> Any:
    if isinstance(result, BaseException) and not isinstance(result, Exception):
        raise result
    return result
