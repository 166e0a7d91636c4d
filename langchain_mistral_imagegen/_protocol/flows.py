"""Operations of more than one step, each written once, for both clients.

A flow is a generator: it yields the next effect (`Request`, `Failed`, `Pause`, `Blocking`, `Awaiting`, `Together`,
`Now`), is sent its result, and returns its own. The clients of `_http` perform the effects, in a thread or on an event
loop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.deadlines import Moment, Now
from langchain_mistral_imagegen._protocol.entries import ConversationHistory, read_response
from langchain_mistral_imagegen._protocol.failures import raise_for_status
from langchain_mistral_imagegen._protocol.requests import Request, Response, Sink, ignore_progress
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import (
    ImageUnavailableError,
    InvalidResponseError,
    MinuteQuotaError,
    MistralImagegenError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
)
from langchain_mistral_imagegen.images import ImageRef

T = TypeVar("T")
_log = package_logger()


@dataclass(frozen=True)
class Failed:
    """Ask the client's retry policy for the seconds to wait before a retry, or `None` for no retry.

    Attributes:
        request: The request that failed.
        attempt: Attempts so far, from 1.
        error: Why the last one failed.
    """

    request: Request
    attempt: int
    error: MistralImagegenError


@dataclass(frozen=True)
class Pause:
    """Wait this many seconds."""

    seconds: float


@dataclass(frozen=True)
class Blocking:
    """Call something that blocks (a disk, an object store), in a thread if there is an event loop."""

    call: Callable[[], Any]


@dataclass(frozen=True)
class Awaiting:
    """Await what a call returns; without an event loop, `NotImplementedError` is raised."""

    call: Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Together:
    """Run flows at the same time, `limit` at once; the results are in order, an error in the place of a result."""

    flows: Sequence[Flow[Any]]
    limit: int


Effect: TypeAlias = Request | Failed | Pause | Blocking | Awaiting | Together | Now
Flow: TypeAlias = Generator[Effect, Any, T]


def send(request: Request) -> Flow[Response]:
    """Send a request until it succeeds or must not be retried.

    Raises:
        APIError: The server's error.
        APIConnectionError: No response, and nothing was paid or made.
        OutcomeUnknownError: The request costs money or makes something, and may have been processed: no response
            arrived, or only an error of a proxy or gateway.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            response = cast("Response", (yield request))
            raise_for_status(response, request)
        except MistralImagegenError as error:
            wait = cast("float | None", (yield Failed(request, attempt, error)))
            if wait is not None:
                level = logging.WARNING if isinstance(error, MinuteQuotaError) else logging.INFO
                _log.log(level, "%s: %s; retrying in %g seconds", request, error, wait)
                yield Pause(wait)
            elif request.once and isinstance(error, InvalidResponseError):
                raise unreadable_response(str(error)) from error
            elif request.once and not is_unpaid(error):
                raise _outcome_unknown(request, error) from error
            else:
                raise
        else:
            return response


def _outcome_unknown(request: Request, error: MistralImagegenError) -> OutcomeUnknownError:
    remedy = "paying twice; call `model.reconcile(error)` to look for the answer" if request.paid else "a duplicate"
    reason = str(error).rstrip(".")
    return OutcomeUnknownError(f"{reason}. The request may have been processed. It was not retried, to avoid {remedy}")


def unreadable_response(reason: str) -> OutcomeUnknownError:
    """Make the error of a response that cannot be parsed, though the request was probably processed."""
    return OutcomeUnknownError(f"{reason.rstrip('.')}. The request was probably processed. It was not retried")


def history(conversation_id: str) -> Flow[ConversationHistory]:
    """Read all entries of a conversation."""
    response = yield from send(requests.conversation_history(conversation_id))
    return read_response(ConversationHistory, response.content)


def download(
    ref: ImageRef,
    sink: Sink,
    *,
    signed_urls: MutableMapping[str, str],
    on_bytes: Callable[[int], None] = ignore_progress,
) -> Flow[None]:
    """Download an image into a sink: from the files endpoint, or by its signed URL if it has no file.

    Args:
        ref: The image.
        sink: Takes the bytes; restarted when a download is retried.
        signed_urls: The signed URLs that are known, by image id.
        on_bytes: Called with the number of bytes received so far.

    Raises:
        ImageUnavailableError: If there is no file or URL any more, or it has expired.
    """
    if "file_id" in ref:
        try:
            yield from send(requests.download_file(ref["file_id"], sink, on_bytes))
        except NotFoundError as error:
            raise _unavailable(ref, f"Mistral has no file {ref['file_id']!r} (any more)") from error
        return
    url = signed_urls.get(ref["id"]) or (yield from _signed_url(ref, signed_urls))
    try:
        yield from send(requests.download_url(url, sink, on_bytes))
    except (PermissionDeniedError, NotFoundError) as error:
        signed_urls.pop(ref["id"], None)
        raise _unavailable(ref, f"its signed URL is no longer accepted (status {error.status_code})") from error


def _signed_url(ref: ImageRef, signed_urls: MutableMapping[str, str]) -> Flow[str]:
    """Find an image's signed URL in the history of its conversation."""
    if not ref.get("conversation_id"):
        raise _unavailable(ref, "its conversation is not known")
    try:
        entries = (yield from history(ref["conversation_id"])).entries
    except NotFoundError as error:
        raise _unavailable(ref, "its conversation is not kept on the server") from error
    urls = SignedUrls(signed_urls)
    for entry in entries:
        entry.redacted(urls)
    url = signed_urls.get(ref["id"])
    if url is None:
        raise _unavailable(ref, f"conversation {ref['conversation_id']!r} holds no URL for it")
    return url


def _unavailable(ref: ImageRef, reason: str) -> ImageUnavailableError:
    return ImageUnavailableError(
        f"Image {ref['id']!r} cannot be downloaded: {reason}. Store images as soon as they are "
        "generated: those without a file expire after about an hour"
    )


def together(flows: Sequence[Flow[T]], limit: int) -> Flow[list[T | Exception]]:
    """Run flows at the same time and return results and errors in order."""
    return cast("list[T | Exception]", (yield Together(flows, limit)))


def now() -> Flow[Moment]:
    """Return this moment."""
    return cast("Moment", (yield Now()))


def blocking(call: Callable[[], T]) -> Flow[T]:
    """Run a blocking call, off the event loop."""
    return cast("T", (yield Blocking(call)))
