"""When a request is repeated, as a table."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._protocol.requests import conversation_history, resource, start_conversation
from langchain_mistral_imagegen._protocol.retry import RetryPolicy, is_unpaid
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    APITimeoutError,
    InvalidInputError,
    InvalidRequestError,
    InvalidResponseError,
    MinuteQuotaError,
    MissingAPIKeyError,
    NotFoundError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)

PAID, FREE = start_conversation({}), conversation_history("c")
CREATES = resource("POST", "agents", body={}, creates=True)
REFUSED = APIConnectionError("refused", sent=False)
RESET = APIConnectionError("reset", sent=True)
LATE = APITimeoutError("late", sent=True)


def limited(seconds: float | None) -> RateLimitError:
    return RateLimitError("x", status_code=429, retry_after=seconds)


@pytest.mark.parametrize(
    ("request_", "error", "attempt", "delay"),
    [
        (PAID, REFUSED, 1, 0.5),
        (PAID, REFUSED, 2, 1.0),
        (PAID, REFUSED, 3, None),
        (PAID, RESET, 1, None),
        (PAID, LATE, 1, None),
        (PAID, limited(None), 1, 0.5),
        (PAID, limited(7), 1, 7),
        (PAID, RateLimitError("x", status_code=429, from_proxy=True), 1, None),
        (FREE, RateLimitError("x", status_code=429, from_proxy=True), 1, 0.5),
        (PAID, limited(61), 1, None),
        (PAID, QuotaExceededError("x", status_code=429), 1, None),
        (PAID, MinuteQuotaError("x", status_code=429), 1, 60),
        (PAID, MinuteQuotaError("x", status_code=429, retry_after=7), 10, 7),
        (PAID, MinuteQuotaError("x", status_code=429), 11, None),
        (PAID, ServerError("x", status_code=500), 1, None),
        (PAID, ServerError("x", status_code=503), 1, None),
        (CREATES, REFUSED, 1, 0.5),
        (CREATES, RESET, 1, None),
        (CREATES, limited(None), 1, 0.5),
        (CREATES, ServerError("x", status_code=503), 1, None),
        (FREE, REFUSED, 1, 0.5),
        (FREE, RESET, 2, 1.0),
        (FREE, LATE, 1, 0.5),
        (FREE, ServerError("x", status_code=503), 1, 0.5),
        (FREE, ServerError("x", status_code=501), 1, None),
        (FREE, ServerError("x", status_code=206), 1, 0.5),
        (PAID, ServerError("x", status_code=206), 1, None),
        (PAID, InvalidRequestError("x", status_code=408), 1, None),
        (FREE, NotFoundError("x", status_code=404), 1, None),
        (FREE, QuotaExceededError("x", status_code=429), 1, None),
        (FREE, InvalidResponseError("x"), 1, None),
    ],
)
def test_what_cannot_cost_twice_is_repeated(request_, error, attempt, delay):
    assert RetryPolicy().delay(request_, attempt, error) == delay
    assert RetryPolicy(max_retries=0).delay(request_, attempt, error) is None


@pytest.mark.parametrize(
    ("error", "unpaid"),
    [
        (REFUSED, True),
        (InvalidInputError("x"), True),
        (MissingAPIKeyError("x"), True),
        (limited(None), True),
        (NotFoundError("x", status_code=404), True),
        (InvalidRequestError("x", status_code=408, code=3000), True),
        (InvalidRequestError("x", status_code=408), False),
        (InvalidRequestError("x", status_code=303), False),
        (InvalidRequestError("x", status_code=307, from_proxy=True), False),
        (InvalidRequestError("x", status_code=403, from_proxy=True), False),
        (InvalidRequestError("x", status_code=403, code=3000, from_proxy=True), True),
        (ServerError("x", status_code=206), False),
        (ServerError("x", status_code=503, code=3000), True),
        (ServerError("x", status_code=503), False),
        (RESET, False),
        (LATE, False),
        (InvalidResponseError("x"), False),
    ],
)
def test_what_proves_that_nothing_is_to_be_found(error, unpaid):
    assert is_unpaid(error) is unpaid
