"""Operations that take more than one step, each written once.

A flow is a generator: it yields the next effect (`Request`, `Failed`, `Pause`, `Blocking`, `Together`), is sent its
result, and returns its own. The clients of `_http` perform the effects, in a thread or on an event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

from langchain_mistral_imagegen._protocol import requests
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
_log = logging.getLogger("langchain_mistral_imagegen")


@dataclass(frozen=True)
class Failed:
    """Ask the retry policy, which the driver holds, for the seconds to wait before a repetition; `None` forbids it.

    Attributes:
        request: The request that failed.
        attempt: Tries so far, from 1.
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
    """Call something that blocks (a disk, an object store), away from the event loop if there is one."""

    call: Callable[[], Any]


@dataclass(frozen=True)
class Together:
    """Run flows at the same time, `limit` at once; the results come in order, an error in the place of a result."""

    flows: Sequence[Flow[Any]]
    limit: int


Effect: TypeAlias = Request | Failed | Pause | Blocking | Together
Flow: TypeAlias = Generator[Effect, Any, T]


def send(request: Request) -> Flow[Response]:
    """Send a request until it succeeds or must not be repeated.

    Raises:
        APIError: The server's error.
        APIConnectionError: No answer, and nothing was paid or made.
        OutcomeUnknownError: No answer to a request that costs money or makes something, or none but a gateway's: it
            may have been carried out.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            response = cast("Response", (yield request))
            raise_for_status(response)
        except MistralImagegenError as error:
            wait = cast("float | None", (yield Failed(request, attempt, error)))
            if wait is not None:
                level = logging.WARNING if isinstance(error, MinuteQuotaError) else logging.INFO  # a minute is noticed
                _log.log(level, "%s: %s; it is repeated in %g seconds", request, error, wait)
                yield Pause(wait)
            elif request.once and isinstance(error, InvalidResponseError):
                raise unreadable(str(error)) from error
            elif request.once and not is_unpaid(error):
                raise OutcomeUnknownError(
                    f"{error}; the request may have been carried out, and is not repeated, to not "
                    + ("pay twice" if request.paid else "make a duplicate")
                ) from error
            else:
                raise
        else:
            return response


def unreadable(reason: str) -> OutcomeUnknownError:
    """Make the error of an answer that cannot be read, though the request was probably carried out."""
    return OutcomeUnknownError(f"{reason}; the request was probably carried out, and is not repeated")


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
    """Download a picture into a sink: from the files endpoint, or where there is no file by its signed URL.

    Args:
        ref: The picture.
        sink: Takes the bytes; it is restarted when a download is repeated.
        signed_urls: The signed URLs that are known, by image id.
        on_bytes: Called with the bytes received so far.

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
    """Find a picture's signed URL in the history of its conversation."""
    if not ref.get("conversation_id"):
        raise _unavailable(ref, "its conversation is not known")
    try:
        entries = (yield from history(ref["conversation_id"])).entries
    except NotFoundError as error:
        raise _unavailable(ref, "its conversation is not kept on the server") from error
    urls = SignedUrls(signed_urls)
    for entry in entries:
        urls.redact(entry.as_sent(), getattr(entry, "id", ""))
    if ref["id"] not in signed_urls:
        raise _unavailable(ref, f"conversation {ref['conversation_id']!r} holds no URL for it")
    return signed_urls[ref["id"]]


def _unavailable(ref: ImageRef, reason: str) -> ImageUnavailableError:
    return ImageUnavailableError(
        f"Image {ref['id']!r} cannot be fetched: {reason}. Store pictures as soon as they are "
        "generated; those without a file live for about an hour"
    )


def together(flows: Sequence[Flow[T]], limit: int) -> Flow[list[T | Exception]]:
    """Run flows at the same time and return results and errors in order."""
    return cast("list[T | Exception]", (yield Together(flows, limit)))


def blocking(call: Callable[[], T]) -> Flow[T]:
    """Run a blocking call where it does no harm."""
    return cast("T", (yield Blocking(call)))
