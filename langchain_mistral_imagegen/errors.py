"""Every error of this package.

    MistralImagegenError
    ├── APIError                      the server answered with an error status
    │   ├── AuthenticationError       401: the key is missing or wrong
    │   ├── PermissionDeniedError     403: blocked by a guardrail, or not allowed
    │   ├── NotFoundError             404: no such conversation, agent or file
    │   ├── InvalidRequestError       any other 4xx: the request itself is wrong
    │   ├── RateLimitError            429: wait, then try again
    │   │   ├── MinuteQuotaError      429: the minute's quota is used up; wait for the next minute
    │   │   └── QuotaExceededError    429: the day's quota is used up; waiting a minute does not help
    │   └── ServerError               5xx, an incomplete response (206), or an error of a stream before any content
    ├── APIConnectionError            no response: refused, reset or unreachable
    │   └── APITimeoutError           no response in time
    ├── OutcomeUnknownError           a request that costs money or makes an agent may have been processed
    │   └── StreamInterruptedError    the stream ended before `conversation.response.done`
    ├── InvalidResponseError          the response cannot be parsed
    ├── InvalidInputError             messages, tools or settings that cannot be sent; nothing was sent
    ├── MissingAPIKeyError            no key was given
    └── ImageError
        ├── NoImageError              the agent answered without an image
        ├── ImageUnavailableError     the image can no longer be downloaded
        ├── InvalidImageError         the bytes are not an image, or too many
        └── ImageStoreError           the image could not be written or read

Each API error also inherits LangChain's matching `Model*Error`, so that LangChain's retry middleware and
LangGraph's policies understand it. `NoImageError` is a `ToolException`: the calling model reads its message.

No error carries the API key, a signed URL or image bytes. The frames of its traceback lose their local variables (those
of this package and of the HTTP library), because error trackers send them. To debug, set the environment variable
`MISTRAL_IMAGEGEN_KEEP_LOCALS=1`: a post-mortem debugger then sees the variables, and so does an error tracker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from langchain_core.tools import ToolException

from langchain_mistral_imagegen._printable import one_line

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage


_LONGEST = 4_000  # characters: a text that a server or a caller made long would fill logs


class MistralImagegenError(Exception):
    """Base of every error this package raises.

    A message is one line. One of more than 4,000 characters loses its middle.

    Attributes:
        partial: What a stream had delivered before the error, or `None`.
    """

    partial: AIMessage | None = None

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(_shortened(message)))


class APIError(MistralImagegenError, ModelError):
    """The server returned an error.

    Attributes:
        status_code: HTTP status, or the `code` of a `conversation.response.error` event.
        code: Mistral's own code (`3001`, `"1300"`), or `None`.
        request_id: `mistral-correlation-id` of the response, to quote to Mistral's support.
        retry_after: Seconds after which the server allows a retry, or `None`.
        from_proxy: Whether the body is none of Mistral's, so that a proxy or gateway in between wrote it. Whether
            Mistral got the request, and processed it, is then unknown.
    """

    def __init__(  # noqa: PLR0913  # all but the message by name
        self,
        message: str,
        *,
        status_code: int,
        code: int | str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        from_proxy: bool = False,
    ) -> None:
        details = [f"status {status_code}"]
        details += [f"code {code}"] if code is not None else []
        details += [f"request {request_id}"] if request_id else []
        super().__init__(f"{message} ({', '.join(details)})")
        self.status_code = status_code
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.from_proxy = from_proxy


class AuthenticationError(APIError, ModelAuthenticationError):
    """401: the API key is missing, wrong or revoked."""


class PermissionDeniedError(APIError, ModelPermissionDeniedError):
    """403: a guardrail blocked the content, or the key may not do this."""


class NotFoundError(APIError, ModelNotFoundError):
    """404: no such conversation, agent, model or file for this key."""


class InvalidRequestError(APIError, ModelInvalidRequestError):
    """400, 422 and other 4xx: the request itself is wrong. Also a redirect: `base_url` is not that of the API."""


class RateLimitError(APIError, ModelRateLimitError):
    """429: too many requests, tokens or images; nothing was generated."""


class MinuteQuotaError(RateLimitError):
    """429 with a minute's quota at zero, such as that for images: a retry after a minute succeeds."""


class QuotaExceededError(RateLimitError):
    """429 with a day quota at zero: a retry within minutes cannot succeed."""

    is_retryable = False


class ServerError(APIError, ModelAPIError):
    """5xx: the server failed. Also 206: it sent a part of the response only."""


class APIConnectionError(MistralImagegenError, ModelConnectionError):
    """No response arrived.

    Attributes:
        sent: Whether the request may have reached the server. `False` means it certainly did not.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class APITimeoutError(APIConnectionError, ModelTimeoutError):
    """No response arrived in time."""


@dataclass(frozen=True, kw_only=True)
class LostAnswer:
    """How an answer that did not arrive can be found at Mistral, by any `ChatMistralConversations`: plain strings.

    Attributes:
        key: Key in the metadata of the conversation, if one was started or restarted.
        model: Name of the model, or id of the agent.
        fingerprint: Digest of the history that is answered.
        conversation_id: The conversation that the turn was appended to, if it was.
        head: Id of the last entry before the turn.
        inputs: Digests of the entries that were appended.
    """

    key: str
    model: str
    fingerprint: str = ""
    conversation_id: str | None = None
    head: str | None = None
    inputs: Sequence[str] = ()


class OutcomeUnknownError(MistralImagegenError, ModelError, RuntimeError):
    """A request that costs money, or makes an agent, may have been processed, but no complete response arrived.

    An error status from a proxy or gateway in front of Mistral (a 3xx or 4xx that is not in Mistral's JSON, a 408 or
    5xx without Mistral's own `code`) proves nothing either; that error is the `__cause__`. The request was not retried,
    to avoid paying twice or making a duplicate. By default, neither LangChain's retry middleware (`is_retryable` is
    false) nor LangGraph's policies (no retry for a `RuntimeError`) retry it. `ChatMistralConversations.reconcile` looks
    for the answer.

    Attributes:
        conversation_id: The conversation, if known. Its history on the server has the answer, if there is one.
        lost: How the answer can be found; `None` if Mistral stores nothing in which it could be.
    """

    def __init__(self, message: str, *, conversation_id: str | None = None) -> None:
        where = f"; look at conversation {conversation_id!r}" if conversation_id else ""
        super().__init__(f"{message}{where}")
        self.conversation_id = conversation_id
        self.lost: LostAnswer | None = None


class StreamInterruptedError(OutcomeUnknownError):
    """A stream ended before its `conversation.response.done` event; `partial` holds what had arrived.

    It may also have ended with an error of the server's, after some content. The `ServerError` is the `__cause__`.
    """


class InvalidResponseError(MistralImagegenError, ModelError):
    """The response cannot be parsed: required parts are missing, or it is too large."""


class InvalidInputError(MistralImagegenError, ModelInvalidRequestError, ValueError):
    """Messages, tools or settings that Mistral does not accept; nothing was sent."""


class MissingAPIKeyError(MistralImagegenError):
    """No API key was given, neither as a parameter nor in the environment."""


class ImageError(MistralImagegenError):
    """Something is wrong with an image, or there is none."""


class NoImageError(ImageError, ToolException):
    """The agent answered without an image; the message holds its text and the server's reason."""


class ImageUnavailableError(ImageError):
    """The image can no longer be downloaded: its file is gone, or its signed URL has expired."""


class InvalidImageError(ImageError):
    """The downloaded bytes are not an image, or are more than allowed."""


class ImageStoreError(ImageError):
    """The image store could not write or read an image; the image itself is still at Mistral."""


def _shortened(message: str) -> str:
    half = _LONGEST // 2
    return message if len(message) <= _LONGEST else f"{message[: half - 10]} [...] {message[10 - half :]}"


ERROR_BY_STATUS: Mapping[int, type[APIError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}


def error_class(status_code: int) -> type[APIError]:
    """Return the class for an HTTP status; Mistral's own `type` and `code` are not reliable enough for it."""
    is_refusal = 300 <= status_code < 500  # noqa: PLR2004  # a redirect: `base_url` is not that of the API
    fallback = InvalidRequestError if is_refusal else ServerError
    return ERROR_BY_STATUS.get(status_code, fallback)
