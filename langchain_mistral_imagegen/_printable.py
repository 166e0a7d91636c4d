"""Texts of others on terminals and in logs: without what a terminal would obey, or what would forge a line of a log."""

from __future__ import annotations

import re

# C0 and C1 but for tab and line feed; separators of lines; marks that reverse the direction of what follows.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Remove control characters; lines stay lines."""
    return _CONTROL.sub("", text)


def one_line(text: str) -> str:
    """Replace line breaks, control characters and whatever else has no shape by spaces, each run of them by one."""
    if text.isprintable():
        return text
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
