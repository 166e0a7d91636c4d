"""Signed URLs: each grants access to an image for an hour, so none may leave this package.

`SignedUrls` replaces such a URL by `mistral-image:<id>` and keeps the URL itself in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from langchain_mistral_imagegen.images import IMAGE_URI_SCHEME

_REST = r"(?:[^\s<>\"'()\[\]{}|\\^`]|\\u0026)"  # `\u0026` is how some JSON writers escape `&`
_URL = re.compile(rf"https?://{_REST}+", re.IGNORECASE)
_ESCAPE_BEGINS = r"(?:\\u?0{0,2}2?)?"
_GROWING = re.compile(rf"https?://{_REST}*+{_ESCAPE_BEGINS}", re.IGNORECASE)
_GROWS = re.compile(rf"{_REST}*+{_ESCAPE_BEGINS}", re.IGNORECASE)
_BEGINNING = re.compile(r"(?:h|ht|htt|https?|https?:/?)\Z", re.IGNORECASE)
_LETTERS_OF_BEGINNING = "htpsHTPS\u017f:/"  # U+017F is an `s` to a search that ignores case
_SIGNATURE = re.compile(r"(?:[?&;]|\\u0026)(?:sig|signature|x-amz-signature|x-goog-signature|token)=", re.IGNORECASE)
_REMEMBERED = 1000  # URLs; the oldest is forgotten first, and has most likely expired by then
_BLOB_HOST = re.compile(r"mistral[a-z0-9-]*\.blob\.core\.windows\.net")
# Possessive, so that a text which never ends a link takes linear time.
_IMAGE_URI = re.compile(re.escape(IMAGE_URI_SCHEME) + r"((?:[.:-]*+\w++)++)")
_IMAGE_LINK = re.compile(rf"!?\[([^\[\]]*+)\]\(\s*+<?{_IMAGE_URI.pattern}[^()]*+\)|<?{_IMAGE_URI.pattern}>?")


def is_signed(url: str) -> bool:
    """Return whether a URL carries a signature in its query, as Azure's, Amazon's and Google's do."""
    return _SIGNATURE.search(url) is not None


def is_blob_storage(scheme: str, host: str, port: int | None) -> bool:
    """Return whether a URL with these parts leads to Mistral's blob storage, over https at its usual port."""
    return scheme == "https" and port in {None, 443} and _BLOB_HOST.fullmatch(host) is not None


def image_ids(text: str) -> list[str]:
    """Return the ids of the `mistral-image:` URIs in a text, in order and each once."""
    return list(dict.fromkeys(_IMAGE_URI.findall(text)))


def image_tool_failed(name: str, info: Mapping[str, Any] | None) -> bool:
    """Return whether a `tool.execution` was an attempt to make an image that failed.

    A failed attempt is an entry like any other; only its text differs: "Tool call timed out. Please try again."
    """
    result = (info or {}).get("result")
    return name == "image_generation" and isinstance(result, str) and bool(result) and not _leads_to_image(result)


def _leads_to_image(result: str) -> bool:
    return bool(image_ids(result)) or any(is_signed(url) for url in _URL.findall(result))


def replace_image_links(text: str, replacement: Callable[[str, str], str]) -> str:
    """Replace the links to images in a text: Markdown with a `mistral-image:` URI, and such URIs alone.

    Args:
        text: Any text.
        replacement: Gets the image's id and the link's label, `""` for a URI alone.
    """
    return _IMAGE_LINK.sub(lambda found: replacement(found[2] or found[3], found[1] or ""), text)


class SignedUrls:
    """Takes the signed URLs out of one response and gives each image an id.

    The first URL of an entry gets the entry's id, a further one `<entry id>:<n>`. An image that is mentioned again
    (the same URL but for its query) keeps its id. Nothing but the entries and their order decides, so reading the
    conversation's history later gives the same ids.
    """

    def __init__(self, memory: MutableMapping[str, str] | None = None) -> None:
        self.memory: MutableMapping[str, str] = {} if memory is None else memory
        self._id_by_image: dict[str, str] = {}
        self._count_by_entry: dict[str, int] = {}

    def redact(self, value: Any, entry_id: str) -> Any:
        """Return a JSON value with every signed URL in it replaced."""
        if isinstance(value, str):
            return value if "://" not in value else _URL.sub(lambda found: self._replace(found[0], entry_id), value)
        if isinstance(value, dict):
            return {name: self.redact(part, entry_id) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redact(part, entry_id) for part in value]
        return value

    def _replace(self, url: str, entry_id: str) -> str:
        if not is_signed(url):
            return url
        image = url.partition("?")[0]
        if image not in self._id_by_image:
            count = self._count_by_entry.get(entry_id, 0)
            self._count_by_entry[entry_id] = count + 1
            self._id_by_image[image] = f"{entry_id}:{count}" if count else entry_id
        image_id = self._id_by_image[image]
        self.memory[image_id] = url.replace(r"\u0026", "&")
        if len(self.memory) > _REMEMBERED:
            del self.memory[next(iter(self.memory))]
        return IMAGE_URI_SCHEME + image_id


def _unfinished(text: str) -> int:
    """Return where in a text a URL begins that may continue in the next piece; its length if there is none."""
    # One expression for both, anchored at the end, takes quadratic time where URLs follow each other without a space.
    growing = (found.start() for found in _GROWING.finditer(text) if found.end() == len(text))
    beginning = _BEGINNING.search(text, max(0, len(text) - len("https:/")))
    return next(growing, beginning.start() if beginning else len(text))


def _may_hold_url(text: str) -> bool:
    return "://" in text or text[-1:] in _LETTERS_OF_BEGINNING


class TextStream:
    """Redacts a text that arrives in pieces; what may become a signed URL is held back until it is complete."""

    def __init__(self, urls: SignedUrls, entry_id: str) -> None:
        self._urls = urls
        self._entry_id = entry_id
        self._held: list[str] = []
        self._is_url = False  # or it holds only the beginning of `https://`
        self._escape = ""  # the end of what is held, if it may be the beginning of an escape

    def feed(self, piece: str) -> str:
        """Add a piece and return the text that is certain by now."""
        if not self._held:
            return self._cut(piece) if _may_hold_url(piece) else piece
        if self._is_url and (grown := _GROWS.fullmatch(self._escape + piece)):
            # Not searched again: a long URL in small pieces would take quadratic time.
            self._hold(piece, grown[0])
            return ""
        return self._cut("".join(self._held) + piece)

    def flush(self) -> str:
        """Return the rest, after the last piece."""
        rest = "".join(self._held)
        self._held.clear()
        return str(self._urls.redact(rest, self._entry_id))

    def _cut(self, text: str) -> str:
        cut = _unfinished(text)
        self._held.clear()
        if held := text[cut:]:
            self._is_url = "://" in held
            self._hold(held, held)
        return str(self._urls.redact(text[:cut], self._entry_id))

    def _hold(self, piece: str, end: str) -> None:
        self._held.append(piece)
        start = end.rfind("\\", -len(r"\u002"))
        self._escape = "" if start < 0 else end[start:]
