"""What a response means that is not a success."""

from __future__ import annotations

import json

import pytest

from langchain_mistral_imagegen._protocol.failures import raise_for_status, retry_after, stream_error
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import (
    APIError,
    AuthenticationError,
    InvalidRequestError,
    MinuteQuotaError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)


def error_of(status: int, body: object, headers: dict[str, str] | None = None) -> APIError:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    with pytest.raises(APIError) as caught:
        raise_for_status(Response(status=status, headers=headers or {}, content=content))
    return caught.value


MISSING = "Cannot append other inputs while function results are still missing."
VALIDATION = {"type": "missing", "loc": ["body", "inputs"], "msg": "Field required", "input": {}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "code"),
    [
        (400, {"object": "Error", "message": MISSING, "code": 3001}, InvalidRequestError, MISSING, 3001),
        (401, {"detail": "Unauthorized"}, AuthenticationError, "Unauthorized", None),
        (401, {"message": "Unauthorized", "request_id": "r"}, AuthenticationError, "Unauthorized", None),
        (
            403,
            {"error": {"message": "Content blocked by guardrail", "status": 403}, "guardrails": {}},
            PermissionDeniedError,
            "Content blocked by guardrail",
            None,
        ),
        (404, {"object": "Error", "message": "Gone", "code": 3000}, NotFoundError, "Gone", 3000),
        (422, {"detail": [VALIDATION]}, InvalidRequestError, "body.inputs: Field required", None),
        (422, {"message": {"detail": [VALIDATION]}, "code": None}, InvalidRequestError, "body.inputs: Field", None),
        (429, {"detail": "image_generation rate limit reached."}, RateLimitError, "image_generation rate", None),
        (429, {"message": "Rate limit exceeded", "code": "1300"}, RateLimitError, "Rate limit exceeded", "1300"),
        (
            500,
            {"message": "Handoff failed", "type": "invalid_request_error", "code": 3000},
            ServerError,
            "Handoff",
            3000,
        ),
        (502, "<html>\n <h1>Bad Gateway</h1></html>", ServerError, "<html> <h1>Bad Gateway</h1></html>", None),
        (503, "upstream connect error", ServerError, "upstream connect error", None),
        (504, "", ServerError, "HTTP 504", None),
        (206, '{"outputs": [', ServerError, "HTTP 206 (status", None),
        (302, "", InvalidRequestError, "HTTP 302", None),
    ],
)
def test_each_status_and_body_has_its_class_and_the_server_s_words(status, body, kind, message, code):
    error = error_of(status, body, {"mistral-correlation-id": "r1"})
    assert type(error) is kind
    assert str(error).startswith(message)
    assert (error.status_code, error.code, error.request_id) == (status, code, "r1")


@pytest.mark.parametrize(
    ("left", "kind"),
    [
        ({"remaining-image-generation-day": "0"}, QuotaExceededError),
        ({"remaining-image-generation-minute": "0", "remaining-image-generation-day": "0"}, QuotaExceededError),
        ({"remaining-image-generation-minute": "0", "remaining-image-generation-day": "5"}, MinuteQuotaError),
        ({"remaining-req-minute": "0", "limit-req-minute": "0"}, QuotaExceededError),
        ({"remaining-image-generation-minute": "3"}, RateLimitError),
        ({"remaining-image-generation-minute": "soon", "remaining-tokens-query": "0"}, RateLimitError),
    ],
)
def test_quotas_that_are_used_up_are_different_errors(left, kind):
    headers = {f"X-RateLimit-{name}": value for name, value in left.items()}
    assert type(error_of(429, {"detail": "image_generation rate limit reached."}, headers)) is kind


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_success_raises_nothing(status):
    assert raise_for_status(Response(status=status, headers={})) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:10 GMT", "date": "Mon, 23 Nov 2026 09:00:00 GMT"}, 10.0),
        ({"retry-after": "Mon, 23 Nov 2026 08:00:00 GMT", "date": "Mon, 23 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(headers, seconds):
    assert retry_after(headers) == seconds
    assert error_of(429, {}, headers).retry_after == seconds


def test_no_signed_url_is_in_an_error():
    error = error_of(400, {"message": "cannot fetch https://h.blob.core.windows.net/x?sig=SECRET"})
    assert "SECRET" not in str(error)


@pytest.mark.parametrize(("code", "kind"), [(500, ServerError), (429, RateLimitError), (3000, ServerError)])
def test_an_error_in_a_stream_has_the_class_of_its_code(code, kind):
    assert type(stream_error("x", code)) is kind


def test_an_error_object_with_status_200_is_raised_with_the_servers_words() -> None:
    body = b'{"object":"error","message":"Service busy","raw_status_code":503}'
    with pytest.raises(ServerError, match="Service busy") as caught:
        raise_for_status(Response(status=200, headers={}, content=body))
    assert caught.value.status_code == 503


def test_control_characters_of_the_server_reach_no_terminal_and_no_log_line() -> None:
    body = json.dumps({"message": "one\n\x1b[2Jtwo\r\x9bthree\u2028four"}).encode()
    with pytest.raises(ServerError) as caught:
        raise_for_status(Response(status=500, headers={}, content=body))
    assert str(caught.value).isprintable()
    assert "[2Jtwo" in str(caught.value)


def test_an_error_in_a_stream_has_the_remedy_of_its_code():
    assert "choose another `model`" in str(stream_error("Invalid model", 3003))


@pytest.mark.parametrize(
    ("status", "body", "headers", "from_proxy"),
    [
        (400, {"object": "Error", "message": MISSING, "code": 3001}, {}, False),
        (401, {"detail": "Unauthorized"}, {}, False),
        (403, {"error": {"message": "Content blocked by guardrail", "status": 403}, "guardrails": {}}, {}, False),
        (404, {"message": "no Route matched with those values", "request_id": "0"}, {}, False),
        (422, {"detail": [VALIDATION]}, {}, False),
        (429, {"message": "Requests rate limit exceeded"}, {}, False),
        (429, "", {"x-ratelimit-remaining-image-generation-minute": "0"}, False),
        (500, {"object": "Error", "message": "failed", "code": 3000}, {}, False),
        (307, "", {"location": "https://elsewhere.test"}, True),
        (400, "<html><body>Bad Request</body></html>", {"server": "nginx"}, True),
        (401, {"error": "unauthorized"}, {}, True),
        (403, {"message": "Forbidden"}, {}, True),
        (407, "", {"via": "1.1 squid.example"}, True),
        (429, "slow down", {}, True),
        (503, {"message": "no healthy upstream", "request_id": "0"}, {}, True),
    ],
)
def test_an_error_in_another_form_than_mistrals_comes_from_a_proxy(status, body, headers, from_proxy):
    error = error_of(status, body, headers)
    assert error.from_proxy is from_proxy
    assert ("answered, not Mistral" in str(error)) is (from_proxy and status < 500)
    for name in {"server", "via"} & set(headers):
        assert f"A proxy or gateway ({headers[name]}) answered" in str(error)
