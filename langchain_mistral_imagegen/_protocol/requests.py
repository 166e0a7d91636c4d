"""Mistral's HTTP API without I/O: `Request` values to send, and what `Response` values mean.

Paths and bodies follow Mistral's OpenAPI document (https://docs.mistral.ai/api).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NotRequired, Protocol, TypedDict
from urllib.parse import quote, urlencode, urlsplit

from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import (
    APIError,
    InvalidInputError,
    MinuteQuotaError,
    QuotaExceededError,
    RateLimitError,
    error_class,
)


class Sink(Protocol):
    """Where a streamed body goes."""

    def restart(self) -> None:
        """Forget what was written: a (new) body starts."""

    def write(self, piece: bytes) -> None:
        """Take the next piece."""


def unheard(_: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """One HTTP request.

    Attributes:
        path: Path and query below the base URL, or an absolute URL.
        paid: Whether carrying it out costs money, so that it must not be repeated lightly.
        creates: Whether carrying it out twice leaves a duplicate, which is free but litter.
        sink: Where the body of a success goes, instead of into memory.
        stream: Whether to leave the body of a success for the caller to read from `Response.stream`.
        on_bytes: Called with the bytes received so far while a body goes into a sink.
    """

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    authorized: bool = True
    paid: bool = False
    creates: bool = False
    stream: bool = False
    sink: Sink | None = None
    on_bytes: Callable[[int], None] = unheard

    @property
    def once(self) -> bool:
        """Whether it must not be repeated after it may have been carried out."""
        return self.paid or self.creates

    def __str__(self) -> str:
        """Name the request without its query, which may be a secret."""
        return f"{self.method} {urlsplit(self.path).path}"

    def __repr__(self) -> str:
        return f"<{self}>"


@dataclass(frozen=True, kw_only=True)
class Response:
    """One HTTP response; `stream` is the HTTP library's, open if the request asked for that."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)
    stream: Any = None


# --- requests ---


def _id(identifier: str) -> str:
    if identifier in {"", ".", ".."}:  # no escape keeps these from naming another resource
        raise InvalidInputError(f"{identifier!r} is not an id")
    return quote(identifier, safe="", errors="replace")


def resource(
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"],
    *segments: str,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    creates: bool = False,
) -> Request:
    """Ask for an agent, a conversation or a file.

    Args:
        method: HTTP method.
        *segments: Path below `/v1`; identifiers are escaped.
        query: Query parameters; those that are `None` are left out, objects are sent as JSON.
        body: JSON to send.
        creates: Whether carrying it out twice leaves a duplicate.

    Raises:
        InvalidInputError: If an identifier is empty, or dots.
    """
    given = {name: _parameter(value) for name, value in (query or {}).items() if value is not None}
    path = "/".join(["/v1", *map(_id, segments)])
    return Request(method=method, path=f"{path}?{urlencode(given)}" if given else path, json=body, creates=creates)


def _parameter(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _converse(path: str, body: Mapping[str, Any], *, stream: bool) -> Request:
    return Request(
        method="POST",
        path=path,
        json={**body, "stream": stream},
        headers={"accept": "text/event-stream" if stream else "application/json"},
        paid=True,
        stream=stream,
    )


def start_conversation(body: Mapping[str, Any], *, stream: bool = False) -> Request:
    """Start a conversation."""
    return _converse("/v1/conversations", body, stream=stream)


def append_to_conversation(conversation_id: str, body: Mapping[str, Any], *, stream: bool = False) -> Request:
    """Continue a conversation; the endpoint takes neither `tools` nor `instructions` nor `model`."""
    return _converse(f"/v1/conversations/{_id(conversation_id)}", body, stream=stream)


def restart_conversation(
    conversation_id: str, from_entry_id: str, body: Mapping[str, Any], *, stream: bool = False
) -> Request:
    """Continue a copy of a conversation that ends with one of its entries; the answer names the copy."""
    path = f"/v1/conversations/{_id(conversation_id)}/restart"
    return _converse(path, {"from_entry_id": from_entry_id, **body}, stream=stream)


def complete_chat(body: Mapping[str, Any], *, stream: bool = False) -> Request:
    """Have messages answered without a conversation."""
    return _converse("/v1/chat/completions", body, stream=stream)


def conversation_history(conversation_id: str) -> Request:
    """Read all entries of a conversation."""
    return Request(method="GET", path=f"/v1/conversations/{_id(conversation_id)}/history")


def download_file(file_id: str, sink: Sink, on_bytes: Callable[[int], None] = unheard) -> Request:
    """Fetch the bytes behind a `tool_file` chunk."""
    return Request(method="GET", path=f"/v1/files/{_id(file_id)}/content", sink=sink, on_bytes=on_bytes)


def download_url(url: str, sink: Sink, on_bytes: Callable[[int], None] = unheard) -> Request:
    """Fetch a picture by its signed URL, without the API key: it is for Mistral, not for the blob host."""
    return Request(method="GET", path=url, authorized=False, sink=sink, on_bytes=on_bytes)


# --- responses ---

_HINTS = {
    "3003": ". This model is not available to the key's workspace: choose another `model`",
    "3004": ". Choose a model that takes built-in tools, such as 'mistral-medium-latest', or pass tools=[]",
    "3051": ". Choose a model that sees pictures, such as 'mistral-medium-latest', or send text only",
}


def raise_for_status(response: Response) -> None:
    """Raise the error that a response reports.

    Raises:
        APIError: The class that `errors.error_class` gives for any status but 200 and 204.
    """
    if response.status in {200, 204}:
        return
    body = _json(response.content)
    hint = _HINTS.get(str(body.get("code")), "")
    kind = error_class(response.status)
    if kind is RateLimitError:
        kind = _rate_limit_error(quotas(response.headers))
    raise kind(
        _clean(_message(body) or _text(response.content) or f"HTTP {response.status}") + hint,
        status_code=response.status,
        code=_code(body.get("code")),
        request_id=response.headers.get("mistral-correlation-id") or response.headers.get("x-kong-request-id"),
        retry_after=retry_after(response.headers),
    )


def stream_error(message: str, code: int) -> APIError:
    """Make the error of a `conversation.response.error` event; its `code` is an HTTP status as far as one is."""
    status = code if 400 <= code < 600 else 500  # noqa: PLR2004
    return error_class(status)(_clean(message) or "The stream failed", status_code=status, code=code)


class Quota(TypedDict):
    """What may be used in a minute or a day."""

    remaining: int
    limit: NotRequired[int]


def quotas(headers: Mapping[str, str]) -> dict[str, Quota]:
    """Read what is left of each quota, such as `image-generation-minute`, from headers that Mistral does not document.

    They were seen as `x-ratelimit-remaining-image-generation-minute`, `x-ratelimit-limit-...`, also with `-day`.
    """
    left = _counts(headers, "x-ratelimit-remaining-")
    most = _counts(headers, "x-ratelimit-limit-")
    return {
        name: {"remaining": count, "limit": most[name]} if name in most else {"remaining": count}
        for name, count in left.items()
    }


def _rate_limit_error(left: Mapping[str, Quota]) -> type[RateLimitError]:
    used_up = {name: quota for name, quota in left.items() if quota["remaining"] == 0}
    if any(name.endswith("-day") or quota.get("limit") == 0 for name, quota in used_up.items()):
        return QuotaExceededError  # a limit of 0 says that it is not on the key's plan
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


def _message(body: Mapping[str, Any]) -> str:
    """Find the server's words in one of the shapes that Mistral and its gateways use."""
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


def _text(content: bytes) -> str:
    text = " ".join(content[:2000].decode("utf-8", "replace").split())
    return text if text.isprintable() else ""


def _clean(message: str) -> str:
    return str(SignedUrls().redact(message, "redacted"))[:1000]
