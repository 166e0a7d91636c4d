"""Redacts a text that arrives in pieces, or that is broken over several blocks."""

from __future__ import annotations

import re
from itertools import groupby

from langchain_mistral_imagegen._protocol.signed_urls import LETTERS, SCHEME, SignedUrls, may_hold_url

_ESCAPE_BEGINS = r"\\{1,4}(?:u(?:0(?:0[2-7]?)?)?)?"
_GROWING = re.compile(rf"{SCHEME}{LETTERS}*+(?:{_ESCAPE_BEGINS})?", re.IGNORECASE)
_GROWS = re.compile(rf"{LETTERS}*+(?:{_ESCAPE_BEGINS})?", re.IGNORECASE)
_ESCAPE_AT_END = re.compile(rf"{_ESCAPE_BEGINS}\Z", re.IGNORECASE)
_LONGEST_ESCAPE = len(r"\\\\u002")
_BEGINNING = re.compile(r"(?:h|ht|htt|https?|https?:(?:\\{0,4}/)?\\{0,4})\Z", re.IGNORECASE)
_LONGEST_BEGINNING = len(r"https:\\\\/\\\\")
_LETTERS_OF_BEGINNING = "htpsHTPS\u017f:/\\"  # U+017F is an `s` to a search that ignores case
_COMPLETE = re.compile(r"sig=[^&;=]+(?:=|%3d)\Z", re.IGNORECASE)  # base64 of a digest of 32 bytes ends with `=`

_LONGEST_SIGNATURE = 200

Redacted = list[tuple[int, str]]
"""Texts without signed URLs, each with the number of its part."""


class TextStream:
    """Redacts a text that arrives in pieces; what may become a signed URL is held back until it is complete.

    The text may consist of parts, such as blocks that follow each other: a signed URL that is broken over two of them
    is replaced in the one where it begins.
    """

    def __init__(self, urls: SignedUrls, entry_id: str) -> None:
        self._urls = urls
        self._entry_id = entry_id or "unknown"  # as `Wire.redacted` calls it
        self._held: list[tuple[int, str]] = []
        self._is_url = False  # or it holds only the beginning of `https://`
        self._escape = ""  # the end of what is held, if it may be the beginning of an escape

    def feed(self, piece: str) -> str:
        """Add a piece and return the text that is certain by now."""
        return "".join(text for _, text in self.feed_part(piece, 0))

    def flush(self) -> str:
        """Return the rest, after the last piece."""
        return "".join(text for _, text in self.flush_parts())

    def feed_part(self, piece: str, part: int) -> Redacted:
        """Add a piece of a part and return what is certain by now, of this part and those before it."""
        if not self._held:
            return self._cut([(part, piece)]) if _may_hold_beginning(piece) else [(part, piece)]
        if self._is_new(part) and self._is_complete(piece):
            return [*self.flush_parts(), *self.feed_part(piece, part)]
        if self._is_url and (grown := _GROWS.fullmatch(self._escape + piece)):
            # Not searched again: a long URL in small pieces would take quadratic time.
            self._hold([(part, piece)], grown[0])
            return []
        pieces, self._held = [*self._held, (part, piece)], []
        return self._cut(pieces)

    def flush_parts(self) -> Redacted:
        """Return the rest of each part, after the last piece."""
        rest, self._held = self._held, []
        return self._redacted(rest)

    def _is_new(self, part: int) -> bool:
        return part != self._held[-1][0]

    def _is_complete(self, following: str) -> bool:
        """Return whether what is held ends with a whole signature, so that the text of another part is none of it."""
        end = ""
        for _, text in reversed(self._held):
            end = text + end
            if len(end) > _LONGEST_SIGNATURE:
                break
        return not following.startswith(("&", "%")) and _COMPLETE.search(end, len(end) - _LONGEST_SIGNATURE) is not None

    def _cut(self, pieces: Redacted) -> Redacted:
        text = "".join(piece for _, piece in pieces)
        cut = _unfinished(text)
        certain, held = _split(pieces, cut)
        if held:
            self._is_url = _GROWING.match(text, cut) is not None
            self._hold(held, text[cut:])
        return self._redacted(certain)

    def _hold(self, pieces: Redacted, end: str) -> None:
        self._held += pieces
        escape = _ESCAPE_AT_END.search(end, max(0, len(end) - _LONGEST_ESCAPE))
        self._escape = escape[0] if escape else ""

    def _redacted(self, pieces: Redacted) -> Redacted:
        parts = [(part, "".join(text for _, text in same)) for part, same in groupby(pieces, key=lambda one: one[0])]
        if len(parts) > 1:
            parts = self._with_whole_urls(parts)
        return [(part, str(self._urls.redact(text, self._entry_id))) for part, text in parts]

    def _with_whole_urls(self, parts: Redacted) -> Redacted:
        """Move what belongs to a signed URL into the part where it begins."""
        whole = "".join(text for _, text in parts)
        spans = [*self._urls.spans(whole), (len(whole), len(whole))]
        moved, at, border = Redacted(), 0, 0
        for part, text in parts:
            border += len(text)
            while spans[0][1] <= border < len(whole):
                spans.pop(0)
            start, end = spans[0]
            upto = end if start < border < end else max(at, border)
            moved.append((part, whole[at:upto]))
            at = upto
        return moved


def redacted_parts(texts: list[str], urls: SignedUrls, entry_id: str) -> list[str]:
    """Redact texts of blocks that follow each other."""
    stream, clean = TextStream(urls, entry_id), [""] * len(texts)
    for part, text in enumerate(texts):
        for place, certain in stream.feed_part(text, part):
            clean[place] += certain
    for place, certain in stream.flush_parts():
        clean[place] += certain
    return clean


def _split(pieces: Redacted, at: int) -> tuple[Redacted, Redacted]:
    before, after = Redacted(), Redacted()
    for part, text in pieces:
        if at > 0:
            before.append((part, text[:at]))
        if len(text) > at:
            after.append((part, text[max(at, 0) :]))
        at -= len(text)
    return before, after


def _unfinished(text: str) -> int:
    """Return where in a text a URL begins that may continue in the next piece; its length if there is none."""
    # One expression for both, anchored at the end, takes quadratic time where URLs follow each other without a space.
    growing = (found.start() for found in _GROWING.finditer(text) if found.end() == len(text))
    beginning = _BEGINNING.search(text, max(0, len(text) - _LONGEST_BEGINNING))
    return next(growing, beginning.start() if beginning else len(text))


def _may_hold_beginning(text: str) -> bool:
    return may_hold_url(text) or text[-1:] in _LETTERS_OF_BEGINNING
