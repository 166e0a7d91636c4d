"""Mistral's HTTP API without I/O: `Request` values to send, and `Response` values that come back.

Paths and bodies follow Mistral's OpenAPI document (https://docs.mistral.ai/api).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlencode, urlsplit

from langchain_mistral_imagegen._protocol.deadlines import Deadline
from langchain_mistral_imagegen.errors import InvalidInputError

_LONGEST_PATH = 200  # characters: ids come from servers and callers


class Sink(Protocol):
    """Takes a body piece by piece, so that it need not fit into memory."""

    def restart(self) -> None:
        """Forget what was written: a body starts, or starts again."""

    def write(self, piece: bytes) -> None:
        """Take the next piece."""


def ignore_progress(_received: int) -> None:
    """Ignore the bytes received so far."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Request:
    """One HTTP request.

    Attributes:
        path: Path and query below the base URL, or an absolute URL.
        paid: Whether processing it costs money, so that it must not be retried lightly.
        creates: Whether processing it twice leaves a duplicate, which is free but clutter.
        sink: Where the body of a success goes, instead of into memory.
        stream: Whether the body of a success is left open, to be read event by event.
        on_bytes: Called with the number of bytes received so far while a body goes into a sink.
        deadline: Until when its headers may leave; later it must not be sent.
        lasts: Seconds within which its response must be complete, if that is less than the client allows.
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
    on_bytes: Callable[[int], None] = ignore_progress
    deadline: Deadline | None = None
    lasts: float | None = None

    @property
    def once(self) -> bool:
        """Whether it must not be retried once it may have been processed."""
        return self.paid or self.creates

    def __str__(self) -> str:
        """Name the request without its query, which may be a secret, and as much of its path as a log line needs."""
        return f"{self.method} {urlsplit(self.path).path[:_LONGEST_PATH]}"

    def __repr__(self) -> str:
        return f"<{self}>"


@dataclass(frozen=True, kw_only=True)
class Response:
    """One HTTP response.

    Attributes:
        status: HTTP status.
        headers: By lower-case name.
        content: The body; empty if it went into a sink, or is still to be read as a stream.
        host: The server, without its port.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)
    host: str = ""


def _id(identifier: str) -> str:
    if identifier in {"", ".", ".."}:  # no escape keeps these from naming another resource
        raise InvalidInputError(f"{identifier!r} is not an id: pass one that Mistral returned, such as 'conv_...'")
    return quote(identifier, safe="", errors="replace")


def resource(
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"],
    *segments: str,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    creates: bool = False,
) -> Request:
    """Make a request for an agent, a conversation or a file.

    Args:
        method: HTTP method.
        *segments: Path below `/v1`; identifiers are escaped.
        query: Query parameters; those that are `None` are left out, objects are sent as JSON.
        body: JSON to send.
        creates: Whether processing it twice leaves a duplicate.

    Raises:
        InvalidInputError: If an identifier is `""`, `"."` or `".."`.
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
    """Continue a copy of a conversation that ends with one of its entries; the response has the copy's id."""
    path = f"/v1/conversations/{_id(conversation_id)}/restart"
    return _converse(path, {"from_entry_id": from_entry_id, **body}, stream=stream)


def complete_chat(body: Mapping[str, Any], *, stream: bool = False) -> Request:
    """Answer messages without a conversation."""
    return _converse("/v1/chat/completions", body, stream=stream)


def conversation_history(conversation_id: str) -> Request:
    """Read all entries of a conversation."""
    return Request(method="GET", path=f"/v1/conversations/{_id(conversation_id)}/history")


def download_file(file_id: str, sink: Sink, on_bytes: Callable[[int], None] = ignore_progress) -> Request:
    """Fetch the bytes behind a `tool_file` chunk."""
    return Request(method="GET", path=f"/v1/files/{_id(file_id)}/content", sink=sink, on_bytes=on_bytes)


def download_url(url: str, sink: Sink, on_bytes: Callable[[int], None] = ignore_progress) -> Request:
    """Fetch an image by its signed URL, without the API key, which the blob host must not get."""
    return Request(method="GET", path=url, authorized=False, sink=sink, on_bytes=on_bytes)
