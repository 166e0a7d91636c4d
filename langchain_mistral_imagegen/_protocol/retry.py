"""When to retry a request, and how long to wait before: a pure decision, without clock and I/O."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    APIError,
    InvalidInputError,
    MinuteQuotaError,
    MissingAPIKeyError,
    MistralImagegenError,
    QuotaExceededError,
    RateLimitError,
)

_TRANSIENT = frozenset({206, 408, 409, 425, 500, 502, 503, 504, 529})
_REFUSALS = frozenset(range(300, 500)) - {303, 408}  # 303 is sent after processing, 408 also by a proxy that gave up


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retry requests that are safe to repeat.

    Attributes:
        max_retries: Retries after the first attempt.
        wait_initial: Seconds before the first retry; doubled for each further one.
        wait_max: Seconds; if the server asks for more than this, the request is not retried.
        max_quota_waits: How often to wait for the next minute's quota; never if `max_retries` is 0.
        minute: Seconds after which a minute's quota has certainly recovered.
    """

    max_retries: int = 2
    wait_initial: float = 0.5
    wait_max: float = 60.0
    max_quota_waits: int = 10
    minute: float = 60.0

    def delay(self, request: Request, attempt: int, error: MistralImagegenError) -> float | None:
        """Return the seconds to wait before a retry, or `None` if the request must not be retried.

        Args:
            request: The request that failed.
            attempt: Attempts so far, from 1.
            error: Why the last attempt failed.
        """
        waits_for_quota = isinstance(error, MinuteQuotaError) and self.max_retries > 0
        most = max(self.max_retries, self.max_quota_waits) if waits_for_quota else self.max_retries
        if attempt > most or not _may_repeat(request, error):
            return None
        requested = error.retry_after if isinstance(error, APIError) else None
        if waits_for_quota and requested is None:
            requested = self.minute
        wait = self.wait_initial * 2.0 ** (attempt - 1) if requested is None else requested
        return wait if wait <= self.wait_max else None


def _may_repeat(request: Request, error: MistralImagegenError) -> bool:
    if isinstance(error, RateLimitError) and not (request.once and error.from_proxy):
        return not isinstance(error, QuotaExceededError)  # 429: nothing was generated or paid
    if request.once:
        return isinstance(error, APIConnectionError) and not error.sent
    if isinstance(error, APIError):
        return error.status_code in _TRANSIENT
    return isinstance(error, APIConnectionError)


def is_unpaid(error: Exception) -> bool:
    """Return whether an error proves that the request was not processed and will not be.

    Proof is an error status with Mistral's own `code`, any other 4xx but 408 in Mistral's JSON, and a connection that
    was never made. A 5xx or 408 without `code`, and a redirect or 4xx in another form, may come from a proxy in front
    of Mistral and prove nothing, nor does an error in the middle of a stream. (Whether Mistral bills what ran
    before its own error is not documented.)
    """
    unsent = isinstance(error, InvalidInputError | MissingAPIKeyError) or (
        isinstance(error, APIConnectionError) and not error.sent
    )
    refused = (
        isinstance(error, APIError)
        and ((error.status_code in _REFUSALS and not error.from_proxy) or error.code is not None)
        and error.partial is None
    )
    return unsent or refused
