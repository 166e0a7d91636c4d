r"""JSON text without lone surrogates: escapes such as `\ud83d` without their second half, as in an answer that was cut.

JSON allows them and Python reads them, but a message with one cannot be written to a checkpoint or sent to a server.
"""

from __future__ import annotations

import re

_HEX = "[0-9a-f]"
_FIRST, _SECOND = rf"\\ud[89ab]{_HEX}{{2}}", rf"\\ud[c-f]{_HEX}{{2}}"
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPES = re.compile(rf"{_FIRST}{_SECOND}|(?P<lone>{_FIRST}|{_SECOND})|\\.", re.IGNORECASE | re.DOTALL)
# An escape that is malformed is whole, too: waiting for its end would hold back all that follows.
_WHOLE = rf"[^\\]|\\[^u]|\\u(?!d[89ab]){_HEX}{{4}}|\\u{_HEX}{{0,3}}(?=[^0-9a-f])"
_COMPLETE = re.compile(rf"(?:{_WHOLE}|{_FIRST}(?={_WHOLE}|{_FIRST}))*+", re.IGNORECASE)


def replace_lone_surrogates(text: str) -> str:
    """Replace each lone surrogate in JSON text, escaped or not, by U+FFFD, the replacement character."""
    escaped = _ESCAPES.sub(lambda found: r"\ufffd" if found["lone"] else found[0], text)
    return _LONE.sub("\ufffd", escaped)


class SurrogateFilter:
    """Replaces the lone surrogates of a text that arrives in pieces."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return the part that is complete now."""
        text = self._held + piece
        end = complete.end() if (complete := _COMPLETE.match(text)) else 0
        self._held = text[end:]
        return replace_lone_surrogates(text[:end])

    def flush(self) -> str:
        """Return the rest, at the end of the text."""
        rest, self._held = self._held, ""
        return replace_lone_surrogates(rest)
