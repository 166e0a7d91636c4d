"""How long a request may take in all: a server that sends a byte now and then would otherwise never end."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, Self, TypeVar

import httpx

from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen.errors import APITimeoutError

_LIMITS = "_mistral_imagegen_limits"  # where a client of this package keeps its limit
_LEAST = 0.001  # seconds; what has arrived already is still read
Own = TypeVar("Own", httpx.Client, httpx.AsyncClient)


class TimeLimit:
    """The seconds that a request may take; the time in which its caller reads nothing does not count.

    It does count if the request was recorded: others rely on its end.
    """

    def __init__(self, request: Request, seconds: float) -> None:
        self._request = request
        self._seconds = seconds if request.lasts is None else min(seconds, request.lasts)
        self._arrived = time.monotonic()
        self._end = self._arrived + self._seconds

    @property
    def left(self) -> float:
        """Seconds; negative if the time is over."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Check the time, after something arrived.

        Raises:
            APITimeoutError: If there is none left.
        """
        self._arrived = time.monotonic()
        if self._arrived > self._end:
            raise self._error()

    def go_on(self) -> None:
        """Count again, after the caller did something else since the last check."""
        if self._request.lasts is None:
            self._end += time.monotonic() - self._arrived

    def _error(self) -> APITimeoutError:
        reason = f"{self._request}: the response was not complete after {self._seconds:g} seconds"
        return APITimeoutError(reason, sent=True)

    def __enter__(self) -> Self:
        """Take a time-out of the HTTP library for this limit's own, if the time is over."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, httpx.ReadTimeout) and self.left <= _LEAST:
            raise self._error() from error


class Limits:
    """The limit of the request that an HTTP client is sending; it sends one at a time."""

    current: TimeLimit | None = None

    def seconds(self, timeout: float | None) -> float | None:
        """Return for how long the next bytes may be waited for."""
        if self.current is None:
            return timeout
        return max(_LEAST, min(self.current.left, timeout or self.current.left))


class _Stream:
    """A connection that waits for no byte beyond the limit.

    The library's own time-out begins anew with each byte, also while the headers arrive. Where it waits for an event
    loop, the wrapped methods return what is to be awaited.
    """

    def __init__(self, stream: Any, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._stream.read(max_bytes, self._limits.seconds(timeout))

    def start_tls(self, *args: Any, **kwargs: Any) -> Any:
        return _wrapped(self._stream.start_tls(*args, **kwargs), self._limits)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Network:
    """Opens connections that heed the limit."""

    def __init__(self, network: Any, limits: Limits) -> None:
        self._network = network
        self._limits = limits

    def connect_tcp(self, *args: Any, **kwargs: Any) -> Any:
        return _wrapped(self._network.connect_tcp(*args, **kwargs), self._limits)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def _wrapped(opened: Any, limits: Limits) -> Any:
    return _awrapped(opened, limits) if isinstance(opened, Awaitable) else _Stream(opened, limits)


async def _awrapped(opened: Awaitable[Any], limits: Limits) -> Any:
    return _Stream(await opened, limits)


def limited(http: Own) -> Own:
    """Have an HTTP client of this package heed the limit of its request; see `limit_of`.

    The library has no total time-out, and its connections can be wrapped only by private names. If they are missing
    (tests/http/test_time_limit.py notices), the limit is checked when a piece of the body arrives.
    """
    limits = Limits()
    http.__dict__[_LIMITS] = limits
    for transport in (http._transport, *http._mounts.values()):  # noqa: SLF001
        pool: Any = getattr(transport, "_pool", None)
        if hasattr(pool, "_network_backend"):
            pool._network_backend = _Network(pool._network_backend, limits)  # noqa: SLF001
    return http


def limit_of(request: Request, seconds: float, http: httpx.Client | httpx.AsyncClient) -> TimeLimit:
    """Make the limit of a request, which the client that sends it heeds unless it is the user's own."""
    limit = TimeLimit(request, seconds)
    if limits := http.__dict__.get(_LIMITS):
        limits.current = limit
    return limit
