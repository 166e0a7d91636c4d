"""The records of a chain, as values and as JSON.

Whatever cannot be read, because it is torn, foreign or of a later version, counts as a request whose way is unknown: it
is watched and looked for like any other, and never taken for "nothing was asked".
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

Way: TypeAlias = Literal["start", "append", "restart", "unknown"]
Why: TypeAlias = Literal["first", "renewed", "takeover", "gave_up"]
VERSION = 1
_LONGEST = 24 * 60 * 60.0  # seconds; no honest record asks to be watched for longer


def _nonce() -> str:
    return secrets.token_hex(8)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A request may leave now, or has left.

    Attributes:
        way: How it reaches the conversation. The answer to an appended turn is found by its words, others by the key.
        lasts: Seconds within which it is answered at the latest once it has left; `None` if unknown.
        why: Why it was written.
        about: Digest of what is asked under a key of the caller's own; empty for others.
        at: When it was written, for people. No clocks are compared.
        by: Random; proves to its writer that nobody else created it.
    """

    way: Way = "unknown"
    lasts: float | None = None
    why: Why = "first"
    about: str = ""
    at: str = field(default_factory=_now)
    by: str = field(default_factory=_nonce)


@dataclass(frozen=True, kw_only=True)
class Void:
    """The request before is known to be unpaid: it was refused, or never left."""

    about: str = ""
    at: str = field(default_factory=_now)
    by: str = field(default_factory=_nonce)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answer arrived, or was found.

    Attributes:
        answer: The answer as JSON, without bytes and signed URLs.
    """

    answer: Mapping[str, Any]
    about: str = ""
    at: str = field(default_factory=_now)
    by: str = field(default_factory=_nonce)


@dataclass(frozen=True, kw_only=True)
class See:
    """The chain goes on under another key."""

    key: str
    about: str = ""
    at: str = field(default_factory=_now)
    by: str = field(default_factory=_nonce)


Record: TypeAlias = Asking | Void | Answered | See
_KINDS: dict[str, type[Record]] = {
    "asking": Asking,
    "void": Void,
    "answered": Answered,
    "see": See,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def write_record(record: Record) -> bytes:
    """Write a record as JSON."""
    fields = {"v": VERSION, "kind": _NAMES[type(record)], **dataclasses.asdict(record)}
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


def read_record(data: bytes) -> Record:
    """Read a record; one that cannot be read is an `Asking` of unknown way, and no error."""
    try:
        return _record(json.loads(data))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Asking(at="", by="")


def _record(value: Any) -> Record:
    kind = _KINDS[value["kind"]]
    if value["v"] != VERSION:
        raise ValueError(f"A record of version {value['v']!r}")
    names = {each.name for each in dataclasses.fields(kind)}
    record = kind(**{name: fact for name, fact in value.items() if name in names})
    if not all(isinstance(text, str) for text in (record.by, record.at, record.about)):
        raise TypeError("A record's nonce, time and subject are texts")
    _check(record)
    return record


def _check(record: Record) -> None:
    match record:
        case Asking(lasts=float() | int() | None as lasts) if not isinstance(lasts, bool):
            if not 0 <= (lasts or 0) <= _LONGEST:
                raise ValueError(f"A request does not last {lasts!r} seconds")
        case Asking():
            raise TypeError("Seconds are a number")
        case Answered() if not isinstance(record.answer, dict):
            raise TypeError("An answer is an object")
        case See() if not isinstance(record.key, str):
            raise TypeError("A key is a text")
