"""Connections to the server: kept for each process and for each event loop, each used by one request at a time."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

import httpx

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

Http = TypeVar("Http")
_MAX_CONNECTIONS = 1024
_IDLE_SECONDS = 5.0  # as the HTTP library's: a server that closes first would lose the next request
LIMITS = httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_SECONDS)


def most_connections() -> int:
    """Return how many connections a process may open: a quarter of its files, of which many systems allow 1,024."""
    if resource is None:
        return _MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(_MAX_CONNECTIONS, files // 4))


_Own = TypeVar("_Own", httpx.Client, httpx.AsyncClient)


def _without_cookies(http: _Own) -> _Own:
    http.cookies.extract_cookies = _ignore_cookies  # type: ignore[method-assign,assignment]  # the library has no switch
    return http


def _ignore_cookies(_: httpx.Response) -> None:
    """Keep no cookie: nothing at Mistral needs one, and looking for them takes a tenth of a turn's time."""


class _Idle(Generic[Http]):
    """HTTP clients that wait for their next request; the one that was used last comes first.

    One client could send all requests at once. But beyond its limit of idle connections the library may close one that
    another thread has just begun to use: a paid request is sent, and its response never arrives. Without a limit, its
    work for each request grows with the square of its connections.
    """

    def __init__(self) -> None:
        self._clients: deque[tuple[float, Http]] = deque()
        self._lock = threading.Lock()
        self._ended = False

    def take(self) -> Http | None:
        with self._lock:
            return self._clients.pop()[1] if self._clients else None

    def put(self, http: Http) -> list[Http]:
        """Take a client back, and return those to close because they were idle for long."""
        now = time.monotonic()
        with self._lock:
            self._clients.append((now, http))
            return self._until(now if self._ended else now - _IDLE_SECONDS)

    def end(self) -> list[Http]:
        """Return all idle clients, to close them; those in use follow when they are put back."""
        with self._lock:
            self._ended = True
            return self._until(time.monotonic())

    def _until(self, moment: float) -> list[Http]:
        found = []
        while self._clients and self._clients[0][0] <= moment:
            found.append(self._clients.popleft()[1])
        return found


class Connections:
    """Clients for threads, of which each process has its own, also after a fork.

    Args:
        new: Makes a client.
        given: The user's client, which sends all requests and is never closed.
    """

    def __init__(self, new: Callable[[], httpx.Client], given: httpx.Client | None) -> None:
        self._new = new
        self.given = given
        self._by_process: dict[int, tuple[_Idle[httpx.Client], threading.Semaphore]] = {}
        weakref.finalize(self, _close, self._by_process)

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Lend a client for one request; requests wait here, as the library's own queue takes quadratic time."""
        idle, slots = self._of_this_process()
        with slots:
            if self.given:
                yield self.given
                return
            http = idle.take() or _without_cookies(self._new())
            try:
                yield http
            finally:
                for unneeded in idle.put(http):
                    unneeded.close()

    def _of_this_process(self) -> tuple[_Idle[httpx.Client], threading.Semaphore]:
        pid = os.getpid()
        return self._by_process.get(pid) or self._by_process.setdefault(
            pid, (_Idle(), threading.Semaphore(most_connections()))
        )

    def close(self) -> None:
        """Close idle connections now and the others after their request; the next request opens new ones."""
        _close(self._by_process)


def _close(by_process: dict[int, tuple[_Idle[httpx.Client], threading.Semaphore]]) -> None:
    """Close this process' connections; its parent's are not its own to touch."""
    if kept := by_process.pop(os.getpid(), None):
        for http in kept[0].end():
            http.close()


class AsyncConnections:
    """Clients for event loops, of which each has its own; they end with it.

    Args:
        new: Makes a client.
        given: The user's client, which sends all requests and is never closed.
    """

    def __init__(self, new: Callable[[], httpx.AsyncClient], given: httpx.AsyncClient | None) -> None:
        self._new = new
        self.given = given
        self._by_loop: dict[asyncio.AbstractEventLoop, _Kept] = {}
        weakref.finalize(self, self._by_loop.clear)  # then the loops close what only they can close

    def client(self) -> _Loan:
        """Lend a client for one request."""
        return _Loan(self)

    def new(self) -> httpx.AsyncClient:
        """Make a client."""
        return _without_cookies(self._new())

    async def of_this_loop(self) -> _Kept:
        loop = asyncio.get_running_loop()
        if loop not in self._by_loop:
            for ended in [other for other in list(self._by_loop) if other.is_closed()]:
                self._by_loop.pop(ended, None)
            idle: _Idle[httpx.AsyncClient] = _Idle()
            lifetime = _lifetime(idle)
            self._by_loop[loop] = _Kept(idle, asyncio.Semaphore(most_connections()), lifetime)
            await anext(lifetime)  # which waits for nothing
        return self._by_loop[loop]

    async def aclose(self) -> None:
        """Close the running loop's idle connections now and the others after their request."""
        if kept := self._by_loop.pop(asyncio.get_running_loop(), None):
            await kept.lifetime.aclose()


class _Loan:
    """A client that is lent for one request; no generator, which an event loop that ends would close at any time."""

    def __init__(self, connections: AsyncConnections) -> None:
        self._connections = connections

    async def __aenter__(self) -> httpx.AsyncClient:
        self._kept = await self._connections.of_this_loop()
        await self._kept.slots.acquire()
        try:
            self._http = self._connections.given or self._kept.idle.take() or self._connections.new()
        except BaseException:
            self._kept.slots.release()
            raise
        return self._http

    async def __aexit__(self, *_: object) -> None:
        try:
            for unneeded in () if self._connections.given else self._kept.idle.put(self._http):
                await unneeded.aclose()
        finally:
            self._kept.slots.release()


class _Kept(NamedTuple):
    idle: _Idle[httpx.AsyncClient]
    slots: asyncio.Semaphore
    lifetime: AsyncGenerator[None, None]


async def _lifetime(idle: _Idle[httpx.AsyncClient]) -> AsyncGenerator[None, None]:
    """Close connections with their event loop: `asyncio.run` closes the generators that are open in the end."""
    try:
        yield
    finally:
        for http in idle.end():
            await http.aclose()
