"""Drives flows with httpx, in a thread or on an event loop; nothing below it waits or knows a server."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import logging
import os
import re
import ssl
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from langchain_mistral_imagegen._http.pools import LIMITS, AsyncConnections, Connections
from langchain_mistral_imagegen._protocol.flows import Blocking, Effect, Failed, Flow, Pause, Together
from langchain_mistral_imagegen._protocol.requests import Request, Response, Sink
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls, is_signed
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder
from langchain_mistral_imagegen._version import __version__
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    APITimeoutError,
    ImageUnavailableError,
    InvalidResponseError,
)

T = TypeVar("T")
_log = logging.getLogger("langchain_mistral_imagegen")
_BLOB_HOST = re.compile(r"mistral[a-z0-9-]*\.blob\.core\.windows\.net")
_AT_ONCE = 128 * 1024  # bytes that are written together, because each time costs a thread switch
_CONNECT_SECONDS = 10.0
_MAX_ANSWER = 64 * 1024 * 1024  # bytes of a body that goes into memory; the largest answers seen have some 100 KB
_CLEARED = {"langchain_mistral_imagegen", "httpx", "httpcore", "h11", "h2", "hpack", "anyio", "ssl"}
_NOTHING = nullcontext()
_ENCODINGS = ("gzip", "deflate")  # in others, or several at once, one piece may become gigabytes


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to reach the server.

    Attributes:
        base_url: Scheme, host and port.
        api_key: Returns the key; called for each request, so that a key can change.
        timeout: Seconds between two pieces of an answer; a picture that is being drawn sends none.
        retry: How often a request is repeated, and after which pauses.
    """

    base_url: str
    api_key: Callable[[], str] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 300.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def url(self, request: Request) -> httpx.URL:
        """Return the absolute URL of a request.

        Raises:
            ImageUnavailableError: If a picture's URL leads anywhere but to Mistral's blob host (or, over the
                scheme, host and port of `base_url`, to the server itself).
        """
        if request.authorized:
            # langchain-mistralai's base URLs, which share the environment variable, end with "/v1".
            return _server_url(self.base_url.rstrip("/").removesuffix("/v1") + request.path)
        # Read by the library that will go there: two readers may see two hosts in one URL.
        url, base = _picture_url(request.path), httpx.URL(self.base_url)
        trusted = url.scheme == "https" and url.port in {None, 443} and _BLOB_HOST.fullmatch(url.raw_host.decode())
        if url.userinfo or not (trusted or (url.scheme, url.netloc) == (base.scheme, base.netloc)):
            raise ImageUnavailableError(f"A picture's URL leads to {url.host!r}, which is not a host of Mistral's")
        return url

    def build(self, client: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
        """Make the HTTP library's request."""
        headers = {"user-agent": f"langchain-mistral-imagegen/{__version__}", **request.headers}
        headers["accept-encoding"] = "identity" if request.sink else ", ".join(_ENCODINGS)
        if request.authorized:
            headers |= {**self.headers, "authorization": f"Bearer {self.api_key()}"}
        content = (
            None if request.json is None else json.dumps(request.json, ensure_ascii=False).encode("utf-8", "replace")
        )
        if content is not None:
            headers["content-type"] = "application/json"
        return client.build_request(
            request.method,
            self.url(request),
            headers=headers,
            content=content,
            timeout=self._timeouts,
        )

    @functools.cached_property
    def _timeouts(self) -> httpx.Timeout:
        return httpx.Timeout(self.timeout, connect=min(_CONNECT_SECONDS, self.timeout), pool=None)

    def transport_options(self) -> dict[str, Any]:
        """Return what both kinds of httpx client take."""
        # For http:// a context that trusts nobody will do: making it is free, and https from there fails closed.
        plain = self.base_url.startswith("http://")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else _tls()
        return {"limits": LIMITS, "verify": context, "follow_redirects": False}


_server_url = functools.lru_cache(httpx.URL)  # most requests go to one of a few paths


def _picture_url(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        raise ImageUnavailableError("A picture's URL cannot be read, so it is not a host of Mistral's") from None


class _WithoutSignatures(logging.Filter):
    """Takes signed URLs out of the HTTP library's own log lines, which name URLs and show the headers of answers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record and let it pass."""
        record.msg = SignedUrls().redact(record.msg, "redacted")
        if isinstance(record.args, tuple):
            record.args = tuple(_unsigned(arg) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


def _unsigned(url: httpx.URL) -> httpx.URL:
    return url.copy_with(query=None) if is_signed(str(url)) else url


for _name in ("httpx", "httpcore.http11", "httpcore.http2"):
    logging.getLogger(_name).addFilter(_WithoutSignatures())


@functools.cache
def _tls() -> ssl.SSLContext:
    # 140 ms the first time, 17 ms each time after, so there is one per process.
    return httpx.create_ssl_context()


@contextmanager
def _translated(request: Request | str) -> Iterator[None]:
    """Turn the HTTP library's exceptions into ours; their texts may hold a URL and are left out."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise APITimeoutError(f"{request}: no connection in time", sent=False) from error
    except httpx.ConnectError as error:
        raise APIConnectionError(f"{request}: cannot connect: {error}", sent=False) from error
    except httpx.TimeoutException as error:
        raise APITimeoutError(f"{request}: no answer in time", sent=True) from error
    except httpx.DecodingError as error:
        raise InvalidResponseError(f"{request}: the body cannot be decoded") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise APIConnectionError(f"{request}: {error}", sent=False) from error
    except httpx.HTTPError as error:
        raise APIConnectionError(f"{request}: {type(error).__name__}: {error}", sent=True) from error


@contextmanager
def without_locals() -> Iterator[None]:
    """Clear the frames that an error has left, ours and the HTTP library's.

    Error trackers send their locals, and these are headers with the key, and answers with signed URLs.
    """
    try:
        yield
    except Exception as error:
        for linked in _chain(error):
            for frame, _ in traceback.walk_tb(linked.__traceback__):
                if frame.f_globals.get("__name__", "").partition(".")[0] in _CLEARED:
                    with suppress(RuntimeError):  # it is still running
                        frame.clear()
        raise


def _chain(error: BaseException) -> list[BaseException]:
    found = [error]
    for one in found:
        found += [linked for linked in (one.__cause__, one.__context__) if linked and linked not in found]
    return found


def _stays_open(request: Request, raw: httpx.Response) -> bool:
    return request.stream and raw.status_code == httpx.codes.OK


def _check_encoding(request: Request | str, raw: httpx.Response, allowed: Sequence[str] = _ENCODINGS) -> None:
    encoding = raw.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", *allowed}:
        raise InvalidResponseError(f"{request}: the body is encoded as {encoding[:40]!r}, which was not asked for")


class _Body:
    """A body on its way into memory."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > _MAX_ANSWER:
            raise InvalidResponseError(f"{self._request}: the body is larger than {_MAX_ANSWER:,} bytes")
        self._pieces.append(piece)

    @property
    def content(self) -> bytes:
        return b"".join(self._pieces)


def _response(request: Request, raw: httpx.Response, content: bytes = b"", stream: Any = None) -> Response:
    _log.debug("%s -> %d", request, raw.status_code)
    return Response(status=raw.status_code, headers=dict(raw.headers.items()), content=content, stream=stream)


class Client:
    """Drives flows in the calling thread; after a fork, each process has connections of its own."""

    def __init__(self, settings: Settings, http_client: httpx.Client | None = None) -> None:
        self._settings = settings
        self._connections = Connections(lambda: httpx.Client(**settings.transport_options()), http_client)
        self._stop = threading.Event()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end."""
        with without_locals():
            return self._run(flow)

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
                return self._settings.retry.delay(request, attempt, error)
            case Pause(seconds):
                return time.sleep(seconds)
            case Blocking(call):
                return call()
            case Together():
                return self._together(effect)

    def _send(self, request: Request) -> Response:
        with _translated(request), ExitStack() as opened:
            http = opened.enter_context(self._connections.client())
            raw = http.send(self._settings.build(http, request), stream=True, follow_redirects=False)
            opened.callback(raw.close)
            if _stays_open(request, raw):
                return _response(request, raw, stream=(raw, opened.pop_all()))
            if request.sink and raw.status_code == httpx.codes.OK:
                self._drain(request, request.sink, raw)
                return _response(request, raw)
            _check_encoding(request, raw)
            body = _Body(request)
            for piece in raw.iter_bytes():
                body.add(piece)
            return _response(request, raw, body.content)

    def _drain(self, request: Request, sink: Sink, raw: httpx.Response) -> None:
        _check_encoding(request, raw, ())
        sink.restart()
        for piece in raw.iter_bytes():
            if self._stop.is_set():
                raise SystemExit  # of this thread
            sink.write(piece)
            request.on_bytes(raw.num_bytes_downloaded)

    def _together(self, effect: Together) -> list[Any]:
        if len(effect.flows) == 1:
            return [self._attempt(effect.flows[0])]
        workers = copy.copy(self)
        workers._stop = threading.Event()  # noqa: SLF001  # a copy of this very object
        results: dict[int, Any] = {}
        waiting = iter(enumerate(effect.flows))

        def work() -> None:
            for place, flow in waiting:
                if workers._stop.is_set():  # noqa: SLF001
                    return
                results[place] = workers._attempt(flow)  # noqa: SLF001

        # Not an executor: the interpreter waits for its threads, even for one that waits for a server.
        threads = [threading.Thread(target=work, daemon=True) for _ in effect.flows[: effect.limit]]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return [_result(results[place]) for place in range(len(effect.flows))]
        except BaseException:
            workers._stop.set()  # noqa: SLF001
            _end(threads, effect.flows)
            raise

    def _attempt(self, flow: Flow[Any]) -> Any:
        try:
            return self.run(flow)
        except BaseException as error:  # noqa: BLE001  # it takes the place of the result
            return error

    def stream(
        self,
        flow: Flow[Response],
        read: Callable[[bytes], Iterable[Any]],
        opening: AbstractContextManager[Any] = _NOTHING,
    ) -> Generator[Any, None, None]:
        """Yield the events of the response that a flow ends with, as they come; `read` makes them of their data."""
        with opening:
            raw, opened = self.run(flow).stream
        decoder, name = EventStreamDecoder(), f"{raw.request.method} {raw.request.url.path}"
        with closing(opened), _translated(name):
            _check_encoding(name, raw)
            for piece in raw.iter_bytes():
                for data in decoder.feed(piece):
                    yield from read(data)
            for data in decoder.flush():
                yield from read(data)

    def close(self) -> None:
        """Close the connections, unless the HTTP client was given; the next request opens new ones."""
        self._connections.close()


def _end(threads: Sequence[threading.Thread], flows: Sequence[Flow[Any]]) -> None:
    """Give threads a second to see that they are to end; the flows of those that still wait are closed for them."""
    for thread in threads:
        if thread.ident:
            thread.join(1 / len(threads))
    for flow in flows:
        with suppress(ValueError):  # it is being executed this moment
            flow.close()


def _result(outcome: Any) -> Any:
    if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
        raise outcome
    return outcome


class AsyncClient:
    """Drives flows on the running event loop; each loop gets connections of its own, which end with it."""

    def __init__(self, settings: Settings, http_client: httpx.AsyncClient | None = None) -> None:
        self._settings = settings
        self._connections = AsyncConnections(lambda: httpx.AsyncClient(**settings.transport_options()), http_client)

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end."""
        with without_locals():
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

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Request():
                return await self._send(effect)
            case Failed(request, attempt, error):
                return self._settings.retry.delay(request, attempt, error)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Blocking(call):
                return await _in_thread(call)
            case Together():
                return await self._together(effect)

    async def _send(self, request: Request) -> Response:
        with _translated(request):
            async with AsyncExitStack() as opened:
                http = await opened.enter_async_context(self._connections.client())
                raw = await http.send(self._settings.build(http, request), stream=True, follow_redirects=False)
                opened.push_async_callback(raw.aclose)
                if _stays_open(request, raw):
                    return _response(request, raw, stream=(raw, opened.pop_all()))
                if request.sink and raw.status_code == httpx.codes.OK:
                    await self._drain(request, request.sink, raw)
                    return _response(request, raw)
                _check_encoding(request, raw)
                body = _Body(request)
                async for piece in raw.aiter_bytes():
                    body.add(piece)
                return _response(request, raw, body.content)

    async def _drain(self, request: Request, sink: Sink, raw: httpx.Response) -> None:
        _check_encoding(request, raw, ())
        await _in_thread(sink.restart)
        pieces: list[bytes] = []
        async for piece in raw.aiter_bytes():
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
        read: Callable[[bytes], Iterable[Any]],
        opening: AbstractContextManager[Any] = _NOTHING,
    ) -> AsyncGenerator[Any, None]:
        """Yield the events of the response that a flow ends with, as they come; `read` makes them of their data."""
        with opening:
            raw, opened = (await self.run(flow)).stream
        decoder, name = EventStreamDecoder(), f"{raw.request.method} {raw.request.url.path}"
        async with opened:
            with _translated(name):
                _check_encoding(name, raw)
                async for piece in raw.aiter_bytes():
                    for event in (event for data in decoder.feed(piece) for event in read(data)):
                        yield event
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
    # Not the loop's default executor: a few slow disks must not starve everybody else's work.
    working = asyncio.get_running_loop().run_in_executor(_disk_threads(os.getpid()), call)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])  # what it has in hand is cleaned up next
        raise


@functools.cache
def _disk_threads(_process: int) -> ThreadPoolExecutor:  # threads do not survive a fork
    return ThreadPoolExecutor(8, thread_name_prefix="mistral-imagegen")
