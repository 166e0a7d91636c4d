"""Ids and timestamps as Mistral writes them."""

from __future__ import annotations

import secrets
import string
import time
import uuid
from datetime import UTC, datetime

_ALPHANUMERIC = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """Return a prefix and the 32 hex digits of a UUIDv7, as in `conv_01a07bf669da736eae4a7c2088b1209c`."""
    milliseconds = int(time.time() * 1000)
    bits = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return f"{prefix}_{bits:032x}"


def file_id() -> str:
    """Return a dashed UUIDv4."""
    return str(uuid.uuid4())


def tool_call_id() -> str:
    """Return nine alphanumerics."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(9))


def now() -> str:
    """Return the time with microseconds, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
