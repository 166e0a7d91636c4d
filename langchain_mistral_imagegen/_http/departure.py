"""Checks a request's deadline at the last instant: when its headers are about to leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from langchain_mistral_imagegen._protocol.deadlines import Moment, TooLateError
from langchain_mistral_imagegen._protocol.requests import Request

# What httpcore reports just before it writes the headers; after that a request may have arrived.
_LEAVING = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it


def this_moment() -> Moment:
    """Read the clocks of this process."""
    running = time.monotonic()
    return Moment(running, running if _ELAPSED is None else time.clock_gettime(_ELAPSED))


def check_deadline(request: Request) -> None:
    """Refuse a request that is too late.

    Raises:
        TooLateError: If its deadline has passed.
    """
    if request.deadline and request.deadline.is_over(this_moment()):
        raise TooLateError(str(request))


def tracing(request: Request, *, is_async: bool) -> dict[str, Any]:
    """Return the extensions of an HTTP request that check its deadline when the connection stands.

    A transport of the user's own may not heed them, so `check_deadline` is also called before each request.
    """
    if request.deadline is None:
        return {}

    def trace(name: str, _: Mapping[str, Any]) -> None:
        if name in _LEAVING:
            check_deadline(request)

    async def atrace(name: str, info: Mapping[str, Any]) -> None:
        trace(name, info)

    hook: Callable[..., Any] = atrace if is_async else trace
    return {"trace": hook}
