"""What a failed response means: its status and body become an error, its headers quotas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict

from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen._protocol.regional_hosts import regional_hint
from langchain_mistral_imagegen._protocol.requests import Request, Response
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import (
    APIError,
    InvalidRequestError,
    MinuteQuotaError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    error_class,
)

_SUCCESSES = frozenset({200, 201, 202, 203, 204})  # not 206: a part is no answer, and no part was requested
_FIRST_ERROR = 300
_FIRST_FAILURE = 500
_TOO_MANY = 429
_LONGEST_NAME = 100
_MARKS = frozenset({"code", "detail", "guardrails"})  # in each error of Mistral's but those of its gateway
_BEGINS_AS_ERROR = re.compile(rb'\s*\{\s*"object"\s*:\s*"error"', re.IGNORECASE)
_NO_BUILT_IN = "3004"
_HINTS = {
    "3003": ". This model is not available to the key's workspace: choose another `model`",
    _NO_BUILT_IN: ". Choose a model that takes built-in tools, such as 'mistral-medium-latest', or pass tools=[]",
    "3051": ". Choose a vision model, such as 'mistral-medium-latest', or send text only",
}


def is_success(status: int) -> bool:
    """Return whether a response with this status has the whole result."""
    return status in _SUCCESSES


def raise_for_status(response: Response, request: Request | None = None) -> None:
    """Raise the error that a response reports, unless it is a success.

    Args:
        response: The response.
        request: What it answers, if that may explain an error.

    Raises:
        APIError: Of the class that `errors.error_class` gives for the status.
    """
    if not is_success(response.status):
        raise _error(response, request)
    if _BEGINS_AS_ERROR.match(response.content):
        raise _error_of_success(response)


def _error(response: Response, request: Request | None) -> APIError:
    body = _json(response.content)
    kind = error_class(response.status)
    if kind is RateLimitError:
        kind = _rate_limit_error(quotas(response.headers))
    message = _clean(error_message(body) or _text(response) or f"HTTP {response.status}")
    from_proxy = (request is None or request.authorized) and not _is_mistrals(response, body)
    hint = _hint(body, kind, response.host, request)
    if from_proxy and response.status < _FIRST_FAILURE:
        hint += _proxy_hint(response.headers)
    return kind(
        _with_hint(message, hint),
        status_code=response.status,
        code=_code(body.get("code")),
        request_id=response.headers.get("mistral-correlation-id") or response.headers.get("x-kong-request-id"),
        retry_after=retry_after(response.headers),
        from_proxy=from_proxy,
    )


def _is_mistrals(response: Response, body: Mapping[str, Any]) -> bool:
    """Return whether an error is written as Mistral, or the gateway that is part of it, was seen to write them.

    That gateway writes its 5xx as its 4xx, so only Mistral's own `code` shows whether Mistral refused.
    """
    if response.status < _FIRST_ERROR:
        return True
    if response.status >= _FIRST_FAILURE:
        return body.get("code") is not None
    is_rate_limit = response.status == _TOO_MANY and bool(body.get("message") or quotas(response.headers))
    is_error_object = str(body.get("object")).lower() == "error"
    is_gateways = "message" in body and "request_id" in body
    return is_rate_limit or is_error_object or is_gateways or not _MARKS.isdisjoint(body)


def _proxy_hint(headers: Mapping[str, str]) -> str:
    name = _clean(headers.get("via") or headers.get("server") or "")[:_LONGEST_NAME]
    who = f"A proxy or gateway ({name})" if name else "A proxy or gateway"
    return f". {who} answered, not Mistral: check `base_url` and the proxy between here and there"


def _with_hint(message: str, hint: str) -> str:
    return message.removesuffix(".") + hint if hint else message


def _hint(body: Mapping[str, Any], kind: type[APIError], host: str, request: Request | None) -> str:
    by_code = _HINTS.get(str(body.get("code")), "")
    is_refusal = issubclass(kind, InvalidRequestError | NotFoundError | PermissionDeniedError)
    regional = regional_hint(host, request) if is_refusal else ""
    return regional if regional and by_code in {"", _HINTS[_NO_BUILT_IN]} else by_code


def _error_of_success(response: Response) -> APIError:
    """Make the error of an error object that came with status 200, as was reported for busy models."""
    body = _json(response.content)
    status = str(body.get("raw_status_code") or body.get("code"))
    return stream_error(error_message(body), int(status) if re.fullmatch("[45][0-9]{2}", status) else 500)


def stream_error(message: str, code: int) -> APIError:
    """Make the error of a `conversation.response.error` event; its `code` may be an HTTP status."""
    status = code if 400 <= code < 600 else 500  # noqa: PLR2004
    text = _with_hint(_clean(message) or "The stream failed", _HINTS.get(str(code), ""))
    return error_class(status)(text, status_code=status, code=code)


class Quota(TypedDict):
    """How much of a quota of a minute or a day is left, and its limit."""

    remaining: int
    limit: NotRequired[int]


def quotas(headers: Mapping[str, str]) -> dict[str, Quota]:
    """Read what is left of each quota, such as `image-generation-minute`, from headers that Mistral does not document.

    Observed are `x-ratelimit-remaining-image-generation-minute`, `x-ratelimit-limit-...`, and both with `-day`.
    """
    left = _counts(headers, "x-ratelimit-remaining-")
    if not left:
        return {}
    most = _counts(headers, "x-ratelimit-limit-")
    return {
        name: {"remaining": count, "limit": most[name]} if name in most else {"remaining": count}
        for name, count in left.items()
    }


def _rate_limit_error(left: Mapping[str, Quota]) -> type[RateLimitError]:
    used_up = {name: quota for name, quota in left.items() if quota["remaining"] == 0}
    if any(name.endswith("-day") or quota.get("limit") == 0 for name, quota in used_up.items()):
        return QuotaExceededError  # a limit of 0: not part of the key's plan
    return MinuteQuotaError if any(name.endswith("-minute") for name in used_up) else RateLimitError


def _counts(headers: Mapping[str, str], prefix: str) -> dict[str, int]:
    found = ((name.lower().removeprefix(prefix), value.strip()) for name, value in headers.items()
             if name.lower().startswith(prefix))  # fmt: skip
    return {name: int(value) for name, value in found if re.fullmatch("[0-9]{1,18}", value)}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a `Retry-After` header, which is a number or a date."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return float(value)
    try:
        # Measured against the server's own clock: no clock is read here, and the two machines need not agree.
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, wait.total_seconds())


def _json(content: bytes) -> dict[str, Any]:
    try:
        body = read_json(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def error_message(body: Mapping[str, Any]) -> str:
    """Find the error message in one of the forms that Mistral and the gateways in front of it use."""
    nested = body.get("message"), body.get("error")
    details = [part.get("detail") or part.get("message") for part in nested if isinstance(part, dict)]
    candidates = [body.get("message"), body.get("detail"), *details, body.get("error")]
    found = next((part for part in candidates if part and not isinstance(part, dict)), "")
    return "; ".join(map(_validation_error, found)) if isinstance(found, list) else str(found)


def _validation_error(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    where = item.get("loc")
    return f"{'.'.join(map(str, where)) if isinstance(where, list) else where}: {item.get('msg', item)}"


def _code(value: Any) -> int | str | None:
    return value if isinstance(value, int) or value is None else _clean(str(value))


def _text(response: Response) -> str:
    if response.status < _FIRST_ERROR:
        return ""  # a part of what was requested, not an explanation
    text = " ".join(response.content[:2000].decode("utf-8", "replace").split())
    return text if text.isprintable() else ""


def _clean(message: str) -> str:
    """Return what the server wrote without signed URLs and control characters, which would act on a terminal or log."""
    return str(SignedUrls().redact(one_line(" ".join(message.split())), "redacted"))[:1000]
