"""Keeps secrets out of logs, exceptions and error trackers: what httpx would otherwise show of requests and responses.

Error trackers such as Sentry send the local variables of each frame of a traceback, and those of this package and of
the HTTP library hold the API key and signed URLs. So the frames of an error are cleared before it reaches the caller.
For debugging, set the environment variable `MISTRAL_IMAGEGEN_KEEP_LOCALS=1`: a post-mortem debugger then sees the
variables, and so does an error tracker.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import httpx

from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import APIConnectionError, APITimeoutError, InvalidResponseError

KEEP_LOCALS = "MISTRAL_IMAGEGEN_KEEP_LOCALS"
"""Environment variable: with `1` the frames of errors keep their local variables."""
_LOGGERS = ("httpx", "httpcore.http11", "httpcore.http2")
_CLEARED = {"langchain_mistral_imagegen", "httpx", "httpcore", "h11", "h2", "hpack", "anyio", "ssl"}


class _RedactSignedUrls(logging.Filter):
    """Takes signed URLs out of the HTTP library's log records, which hold URLs and response headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record and let it pass."""
        record.msg = one_line(SignedUrls().redact(record.msg, "redacted"))
        if isinstance(record.args, tuple):
            record.args = tuple(_unsigned(arg) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


def _unsigned(url: httpx.URL) -> httpx.URL:
    return url.copy_with(raw_path=b"/redacted") if SignedUrls().spans(str(url)) else url


def redact_http_logs() -> None:
    """Redact the HTTP library's logs from now on; called by each client, and done once."""
    for logger in map(logging.getLogger, _LOGGERS):
        # Compared by name: after a reload of this module the class is another.
        if all(type(present).__name__ != _RedactSignedUrls.__name__ for present in logger.filters):
            logger.addFilter(_RedactSignedUrls())


@contextmanager
def translated_errors(request: Request | str) -> Iterator[None]:
    """Turn the HTTP library's exceptions into this package's; URLs in their texts are left out."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise APITimeoutError(f"{request}: no connection in time", sent=False) from error
    except httpx.ConnectError as error:
        server = error.request.url.netloc.decode()  # without a user's name and password
        raise APIConnectionError(f"{request}: cannot connect to {server}: {error}", sent=False) from error
    except httpx.TimeoutException as error:
        raise APITimeoutError(f"{request}: no response in time", sent=True) from error
    except httpx.DecodingError as error:
        raise InvalidResponseError(f"{request}: the body cannot be decoded") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise APIConnectionError(f"{request}: {error}", sent=False) from error
    except httpx.HTTPError as error:
        raise APIConnectionError(f"{request}: {type(error).__name__}: {error}", sent=True) from error


class _WithoutLocals:
    """Clears the frames of an error, this package's and the HTTP library's, unless `KEEP_LOCALS` is set.

    It has no state: each request enters it several times, and a generator for each would take longer.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, Exception) and os.environ.get(KEEP_LOCALS) != "1":
            _clear_frames(error)


WITHOUT_LOCALS = _WithoutLocals()
"""Context in which errors keep no local variables."""


def _clear_frames(error: Exception) -> None:
    for linked in _chain(error):
        for frame, _ in traceback.walk_tb(linked.__traceback__):
            if frame.f_globals.get("__name__", "").partition(".")[0] in _CLEARED:
                with suppress(RuntimeError):  # it is still running
                    frame.clear()


def _chain(error: BaseException) -> list[BaseException]:
    found = [error]
    for one in found:
        found += [linked for linked in (one.__cause__, one.__context__) if linked and linked not in found]
    return found
