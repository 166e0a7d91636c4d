"""Error responses, with the bodies Mistral was seen to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Problem(Exception):  # noqa: N818  # it is an HTTP answer, not a fault of the sandbox
    """An answer that is an error."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def invalid_request(message: str, code: int, status: int = 400) -> Problem:
    """Make the error shape of conversations and agents."""
    return Problem(status, {"object": "Error", "message": message, "type": "invalid_request_error", "code": code})


def not_found(what: str, identifier: str) -> Problem:
    """Make a 404 of a conversation, an agent or an entry."""
    return invalid_request(f"{what} {identifier} not found.", 3000, 404)


def unprocessable(
    kind: str, location: tuple[str | int, ...], message: str, value: Any = None, part: str = "body"
) -> Problem:
    """Make a 422 with one validation error, in the body or another part of the request."""
    return Problem(422, {"detail": [{"type": kind, "loc": [part, *location], "msg": message, "input": value}]})


def quota_exceeded(period: str, headers: Mapping[str, str] | None = None) -> Problem:
    """Make the 429 of the image tool, whose headers show which quota is used up."""
    headers = headers or {
        "x-ratelimit-limit-image-generation-minute": "10",
        "x-ratelimit-remaining-image-generation-minute": "0",
        "x-ratelimit-limit-image-generation-day": "10000",
        "x-ratelimit-remaining-image-generation-day": "0" if period == "day" else "9990",
    }
    return Problem(429, {"detail": "image_generation rate limit reached."}, headers)


_TYPICAL: dict[int, Any] = {
    400: {"object": "Error", "message": "Bad request.", "type": "invalid_request_error", "code": 3001},
    401: {"detail": "Unauthorized"},
    403: {"error": {"message": "Content blocked by guardrail", "status": 403}, "guardrails": {"results": {}}},
    404: {"message": "no Route matched with those values", "request_id": "0"},
    422: {"detail": [{"type": "missing", "loc": ["body", "inputs"], "msg": "Field required", "input": {}}]},
    429: {"message": "Requests rate limit exceeded"},
    502: "<html><body>502 Bad Gateway: invalid response from upstream</body></html>",
    503: "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    504: "upstream request timeout",  # not seen; the words of Envoy, which sent the 503
}


def typical(status: int) -> Problem:
    """Make an error with the body that Mistral was seen to send for a status."""
    failed = {
        "object": "Error",
        "message": "Failed to create conversation response.",
        "type": "invalid_request_error",
        "code": 3000,
    }
    return Problem(status, _TYPICAL.get(status, failed))
