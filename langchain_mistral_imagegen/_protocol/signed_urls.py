"""Signed URLs: each grants access to an image for an hour, so none may leave this package.

`SignedUrls` replaces such a URL by `mistral-image:<id>` and keeps the URL itself in memory. In messages only URLs of
the hosts that serve images are replaced: a signed link to another host belongs to the user or to the web. Logs and
errors show no signed URL of any host.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from langchain_mistral_imagegen._protocol.image_tool import IMAGE_TOOL
from langchain_mistral_imagegen.images import IMAGE_URI_SCHEME

_REST = r"(?:[^\s<>\"'()\[\]{}|\\^`]|\\u0026)"  # `\u0026` is how some JSON writers escape `&`
_URL = re.compile(rf"https?://{_REST}+", re.IGNORECASE)
_ESCAPE_BEGINS = r"(?:\\u?0{0,2}2?)?"
_GROWING = re.compile(rf"https?://{_REST}*+{_ESCAPE_BEGINS}", re.IGNORECASE)
_GROWS = re.compile(rf"{_REST}*+{_ESCAPE_BEGINS}", re.IGNORECASE)
_BEGINNING = re.compile(r"(?:h|ht|htt|https?|https?:/?)\Z", re.IGNORECASE)
_LETTERS_OF_BEGINNING = "htpsHTPS\u017f:/"  # U+017F is an `s` to a search that ignores case
_SIGNATURE = re.compile(r"(?:[?&;]|\\u0026)(?:sig|signature|x-amz-signature|x-goog-signature|token)=", re.IGNORECASE)
_remembering = threading.Lock()
_REMEMBERED = 1000  # URLs; the oldest is forgotten first, and has most likely expired by then
KNOWN_IMAGE_HOSTS = frozenset(
    {
        "mistralaiblackforestprod.blob.core.windows.net",  # generated images
        "mistralaifilesapiprodswe.blob.core.windows.net",  # signed URLs of the files endpoint
    }
)
"""The only hosts that public reports of 2026 name."""
# Possessive, so that a text which never ends a link takes linear time.
_IMAGE_URI = re.compile(re.escape(IMAGE_URI_SCHEME) + r"((?:[.:-]*+\w++)++)")
_IMAGE_LINK = re.compile(rf"!?\[([^\[\]]*+)\]\(\s*+<?{_IMAGE_URI.pattern}[^()]*+\)|<?{_IMAGE_URI.pattern}>?")


def is_signed(url: str) -> bool:
    """Return whether a URL carries a signature in its query, as Azure's, Amazon's and Google's do."""
    return _SIGNATURE.search(url) is not None


@dataclass(frozen=True)
class ImageHosts:
    """The hosts that serve generated images, besides `KNOWN_IMAGE_HOSTS`.

    Attributes:
        further: Host names that the user trusts.
        server: Base URL of the API: a sandbox serves images itself.
    """

    further: frozenset[str] = frozenset()
    server: str = ""

    def trust(self, scheme: str, host: str, port: int | None) -> bool:
        """Return whether a URL with these parts leads to blob storage of Mistral's, over https at its usual port."""
        return scheme == "https" and port in {None, 443} and (host in KNOWN_IMAGE_HOSTS or host in self.further)

    def serve(self, url: str) -> bool:
        """Return whether a URL leads to one of these hosts."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        server = urlsplit(self.server)
        is_server = (parts.scheme, parts.netloc) == (server.scheme, server.netloc)
        return is_server or self.trust(parts.scheme, parts.hostname or "", port)


class RememberedUrls(dict[str, str]):
    """The signed URLs of images, by image id, and the hosts that serve such images."""

    def __init__(self, hosts: ImageHosts) -> None:
        super().__init__()
        self.hosts = hosts


def image_ids(text: str) -> list[str]:
    """Return the ids of the `mistral-image:` URIs in a text, in order and each once."""
    return list(dict.fromkeys(_IMAGE_URI.findall(text)))


def image_tool_failed(name: str, info: Mapping[str, Any] | None) -> bool:
    """Return whether a `tool.execution` was an attempt to make an image that failed.

    A failed attempt is an entry like any other; only its text differs: "Tool call timed out. Please try again."
    """
    result = (info or {}).get("result")
    return name == IMAGE_TOOL and isinstance(result, str) and bool(result) and not _leads_to_image(result)


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
    """Takes the signed URLs out of one response and gives each image an id; without a memory, those of every host.

    The first URL of an entry gets the entry's id, a further one `<entry id>:<n>`. An image that is mentioned again
    (the same URL but for its query) keeps its id. Nothing but the entries and their order decides, so reading the
    conversation's history later gives the same ids.
    """

    def __init__(self, memory: MutableMapping[str, str] | None = None) -> None:
        self.memory: MutableMapping[str, str] = {} if memory is None else memory
        self._hosts = memory.hosts if isinstance(memory, RememberedUrls) else None
        self._id_by_image: dict[str, str] = {}
        self._count_by_entry: dict[str, int] = {}

    def redact(self, value: Any, entry_id: str, *, of_any_host: bool = False) -> Any:
        """Return a JSON value with the signed URLs of images replaced.

        Args:
            value: Any JSON value.
            entry_id: Id of the entry that it is a part of.
            of_any_host: Whether every signed URL is an image's, as in the result of the image tool.
        """
        if isinstance(value, str):
            if "://" not in value:
                return value
            return _URL.sub(lambda found: self._replace(found[0], entry_id, of_any_host=of_any_host), value)
        if isinstance(value, dict):
            return {name: self.redact(part, entry_id, of_any_host=of_any_host) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redact(part, entry_id, of_any_host=of_any_host) for part in value]
        return value

    def _replace(self, url: str, entry_id: str, *, of_any_host: bool) -> str:
        if not is_signed(url) or not (of_any_host or self._hosts is None or self._hosts.serve(url)):
            return url
        image = url.partition("?")[0]
        if image not in self._id_by_image:
            count = self._count_by_entry.get(entry_id, 0)
            self._count_by_entry[entry_id] = count + 1
            self._id_by_image[image] = f"{entry_id}:{count}" if count else entry_id
        image_id = self._id_by_image[image]
        with _remembering:  # the answers of all threads share a model's memory
            self.memory[image_id] = url.replace(r"\u0026", "&")
            if len(self.memory) > _REMEMBERED:
                self.memory.pop(next(iter(self.memory)), None)
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
