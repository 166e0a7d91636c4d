"""How long a request may take in all: a server that sends a byte now and then would otherwise never end."""

from __future__ import annotations

import time

from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen.errors import APITimeoutError


class TimeLimit:
    """The seconds that a request may take; the time in which its caller reads nothing does not count."""

    def __init__(self, request: Request, seconds: float) -> None:
        self._request = request
        self._seconds = seconds if request.lasts is None else min(seconds, request.lasts)
        self._left = self._seconds
        self._since = time.monotonic()

    def check(self) -> None:
        """Check the time, after something arrived.

        Raises:
            APITimeoutError: If there is none left.
        """
        now = time.monotonic()
        self._left -= now - self._since
        self._since = now
        if self._left < 0:
            reason = f"{self._request}: the response was not complete after {self._seconds:g} seconds"
            raise APITimeoutError(reason, sent=True)

    def go_on(self) -> None:
        """Count again, after the caller did something else."""
        self._since = time.monotonic()
