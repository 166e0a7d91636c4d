"""When to repeat a request, and how long to wait before: a pure decision, no clock and no I/O."""

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

_TRANSIENT = frozenset({408, 409, 425, 500, 502, 503, 504, 529})


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Repeat what cannot cost twice.

    Attributes:
        max_retries: Repetitions after the first try.
        wait_initial: Seconds before the first repetition; doubled for each further one.
        wait_max: Seconds; a server that asks for more than this is not waited for.
        max_quota_waits: How often to wait for the next minute's quota, unless nothing is to be repeated at all.
        minute: Seconds until a minute's quota has recovered for certain.
    """

    max_retries: int = 2
    wait_initial: float = 0.5
    wait_max: float = 60.0
    max_quota_waits: int = 10
    minute: float = 60.0

    def delay(self, request: Request, attempt: int, error: MistralImagegenError) -> float | None:
        """Return the seconds to wait before repeating a request, or `None` if it must not be repeated.

        Args:
            request: What failed.
            attempt: Tries so far, from 1.
            error: How it failed.
        """
        waits_for_quota = isinstance(error, MinuteQuotaError) and self.max_retries > 0
        most = max(self.max_retries, self.max_quota_waits) if waits_for_quota else self.max_retries
        if attempt > most or not _may_repeat(request, error):
            return None
        asked = error.retry_after if isinstance(error, APIError) else None
        if waits_for_quota and asked is None:
            asked = self.minute
        wait = self.wait_initial * 2.0 ** (attempt - 1) if asked is None else asked
        return wait if wait <= self.wait_max else None


def _may_repeat(request: Request, error: MistralImagegenError) -> bool:
    if isinstance(error, RateLimitError):
        return not isinstance(error, QuotaExceededError)  # 429: nothing was generated, so nothing was paid
    if request.once:
        return isinstance(error, APIConnectionError) and not error.sent
    if isinstance(error, APIError):
        return error.status_code in _TRANSIENT
    return isinstance(error, APIConnectionError)


def is_unpaid(error: Exception) -> bool:
    """Tell whether an error proves that there is no answer, nor will be.

    Such is any error status by Mistral's own hand, and a connection that was never made. A gateway's 502, 503 or 504
    proves nothing, and neither does an error in the middle of a stream. (Whether Mistral bills what ran before its own
    error is not documented.)
    """
    unsent = isinstance(error, InvalidInputError | MissingAPIKeyError) or (
        isinstance(error, APIConnectionError) and not error.sent
    )
    refused = (
        isinstance(error, APIError)
        and (error.status_code < 500 or error.code is not None)  # noqa: PLR2004  # its code is Mistral's own
        and error.partial is None
    )
    return unsent or refused
