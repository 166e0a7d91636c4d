"""Response bodies: how large they may be, how they may be encoded, and what is read of them at once."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._protocol.failures import is_success
from langchain_mistral_imagegen._protocol.requests import Request, Response
from langchain_mistral_imagegen.errors import InvalidResponseError

_log = package_logger()
_MAX_BYTES = 64 * 1024 * 1024  # of a body that is read into memory; the largest seen have some 100 KB
ENCODINGS = ("gzip", "deflate")
"""Accepted for JSON; in others, or several at once, one piece may become gigabytes."""


class Body:
    """A body that is read into memory, piece by piece."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Add the next piece.

        Raises:
            InvalidResponseError: If the body gets too large.
        """
        self._size += len(piece)
        if self._size > _MAX_BYTES:
            raise InvalidResponseError(f"{self._request}: the body is larger than {_MAX_BYTES:,} bytes")
        self._pieces.append(piece)

    @property
    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


def check_encoding(request: Request | str, raw: httpx.Response, allowed: Sequence[str] = ENCODINGS) -> None:
    """Check that a body is encoded as requested.

    Raises:
        InvalidResponseError: If it is not.
    """
    encoding = raw.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", *allowed}:
        raise InvalidResponseError(f"{request}: the body is encoded as {encoding[:40]!r}, which was not requested")


def goes_into_sink(request: Request, raw: httpx.Response) -> bool:
    """Return whether a body goes into the request's sink; that of an error goes into memory."""
    return request.sink is not None and is_success(raw.status_code)


def stays_open(request: Request, raw: httpx.Response) -> bool:
    """Return whether the caller reads the body, event by event."""
    return request.stream and is_success(raw.status_code)


def response(request: Request, raw: httpx.Response, content: bytes = b"") -> Response:
    """Make the protocol's response of the HTTP library's."""
    _log.debug("%s -> %d", request, raw.status_code)
    host = raw.request.url.host
    return Response(status=raw.status_code, headers=dict(raw.headers.items()), content=content, host=host)
