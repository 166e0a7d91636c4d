r"""JSON text without half characters: escapes such as `\ud83d` that lack their other half, as a cut answer may have.

JSON allows them and Python reads them, but a message that holds one cannot be written again, to a checkpoint or server.
"""

from __future__ import annotations

import re

_HEX = "[0-9a-f]"
_FIRST, _SECOND = rf"\\ud[89ab]{_HEX}{{2}}", rf"\\ud[c-f]{_HEX}{{2}}"
_ESCAPES = re.compile(rf"{_FIRST}{_SECOND}|(?P<half>{_FIRST}|{_SECOND})|\\.", re.IGNORECASE | re.DOTALL)
_WHOLE = rf"[^\\]|\\[^u]|\\u(?!d[89ab]){_HEX}{{4}}"
_COMPLETE = re.compile(rf"(?:{_WHOLE}|{_FIRST}(?={_WHOLE}|{_FIRST}))*+", re.IGNORECASE)


def whole_characters(text: str) -> str:
    """Put the replacement character where JSON text has half a character."""
    return _ESCAPES.sub(lambda found: r"\ufffd" if found["half"] else found[0], text)


class WholeCharacters:
    """Does the same to text that arrives in pieces."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what is complete now."""
        text = self._held + piece
        end = complete.end() if (complete := _COMPLETE.match(text)) else 0
        self._held = text[end:]
        return whole_characters(text[:end])

    def flush(self) -> str:
        """Return the rest, once no more text comes."""
        rest, self._held = self._held, ""
        return whole_characters(rest)
