"""Outlines of what the server sent: names and types, and only values that cannot be secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from langchain_mistral_imagegen._protocol.entries import read_json

_VOCABULARY = frozenset({"type", "object", "role", "name", "function", "tool", "file_type", "confirmation_status"})
"""Fields whose values are words of Mistral's protocol."""
_LONGEST_WORD = 40
_ITEMS = 12
_HOST = re.compile(r"https?://(?:[^/\s@\"'<>]*@)?([a-z0-9.-]+)", re.IGNORECASE)


def outline(value: Any, name: str = "") -> Any:
    """Return a JSON value with its texts replaced by their length or by their own outline, and long lists cut."""
    if isinstance(value, str):
        is_word = name in _VOCABULARY and len(value) <= _LONGEST_WORD
        return value if is_word else _text_outline(value)
    if isinstance(value, Mapping):
        return {key: outline(part, key) for key, part in value.items()}
    if isinstance(value, list):
        rest = [f"and {len(value) - _ITEMS} more"] if len(value) > _ITEMS else []
        return [outline(part) for part in value[:_ITEMS]] + rest
    return value


def _text_outline(text: str) -> Any:
    """Outline JSON in a text, and name the hosts of its URLs; hosts are no secrets, the rest of a signed URL is one."""
    if text.startswith(("{", "[")):
        with suppress(ValueError):
            return {"JSON in a text": outline(read_json(text))}
    hosts = sorted(set(_HOST.findall(text)))
    return f"text of {len(text)} characters" + (f" with URLs at {', '.join(hosts)}" if hosts else "")


def body_outline(content: bytes) -> Any:
    """Return the outline of a response's body."""
    try:
        return outline(read_json(content))
    except ValueError:
        return f"{len(content)} bytes that are not JSON"
