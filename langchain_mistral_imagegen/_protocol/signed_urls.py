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

# How some JSON writers escape `/`, `&` and `=`; more than one backslash where JSON stands within JSON.
_ESCAPE = r"\\{1,4}(?:/|u00[2-7][0-9a-f])"
_LETTER = rf"(?:[^\s<>\"'()\[\]{{}}|\\^`]|{_ESCAPE})"
_MARK = r"['()\[\]{}|^]"  # ends a URL in Markdown and in Python's `repr`, but may stand in a URL as well
SCHEME = r"https?:(?:\\{0,4}/){2}"
LETTERS = rf"(?:{_LETTER}++|{_MARK})"
_TOKEN = re.compile(rf"{SCHEME}(?:{_LETTER}++|{_MARK}(?!https?:))++", re.IGNORECASE)
_URL = re.compile(rf"{SCHEME}{_LETTER}*+", re.IGNORECASE)


def _encodable(word: str) -> str:
    """Return a pattern of a word whose letters may be percent-encoded, even more than once."""
    return "".join(rf"(?:{re.escape(letter)}|%(?:25){{0,2}}{ord(letter):02x}|%(?:25){{0,2}}{ord(letter.upper()):02x})"
                   for letter in word)  # fmt: skip


_NAMES = "|".join(map(_encodable, ("sig", "signature", "x-amz-signature", "x-goog-signature", "token")))
_SEPARATOR = r"(?:[?&;]|%(?:25){0,2}(?:26|3b|3f)|\\{1,4}u00(?:26|3b|3f))"
_EQUALS = r"(?:=|%(?:25){0,2}3d|\\{1,4}u003d)"
_PARAMETER = rf"(?:{_NAMES}){_EQUALS}"
_SIGNATURE = re.compile(_SEPARATOR + _PARAMETER, re.IGNORECASE)
# In logs and errors: what a damaged URL may have kept of a signature, or of the other parameters of Azure.
_LIKE_SIGNATURE = re.compile(
    rf"{_PARAMETER}|\.blob\.core\.windows\.net[^?]{0, 500}\?|[?&;](?:[^?&;=]*sig|(?:s[eprv]|sk[a-z]+)=)", re.IGNORECASE
)
_QUERY = re.compile(r"=|%3d|\\u003d", re.IGNORECASE)
# A URL up to the end of its last signature, with all marks that stand before that.
_WITH_MARKS = re.compile(
    rf"{SCHEME}(?:[^?]*\?(?=.*=))?{_LETTER}*+(?:.*?{_SEPARATOR}{_PARAMETER}{_LETTER}*+)*", re.IGNORECASE | re.DOTALL
)
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

    def give_access(self, url: str) -> bool:
        """Return whether a URL leads to one of these hosts and may be signed.

        On a host that serves images alone any query may be, because the beginning of the signature may have been lost.
        """
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return False
        if host in KNOWN_IMAGE_HOSTS or host in self.further:
            return _QUERY.search(url) is not None
        server = urlsplit(self.server)
        return (parts.scheme, parts.netloc) == (server.scheme, server.netloc) and is_signed(url)


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
    return bool(image_ids(result)) or any(is_signed(url) for url in _TOKEN.findall(result))


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
            if not may_hold_url(value):
                return value
            return _TOKEN.sub(lambda found: self._replaced(found[0], entry_id, of_any_host=of_any_host), value)
        if isinstance(value, dict):
            return {name: self.redact(part, entry_id, of_any_host=of_any_host) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redact(part, entry_id, of_any_host=of_any_host) for part in value]
        return value

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where the URLs that are replaced begin and end in a text."""
        urls = ((found.start(), self._signed_part(found[0], of_any_host=False)) for found in _TOKEN.finditer(text))
        return [(start, start + len(url)) for start, url in urls if url]

    def _replaced(self, token: str, entry_id: str, *, of_any_host: bool) -> str:
        url = self._signed_part(token, of_any_host=of_any_host)
        return self._remembered(_unescaped(url), entry_id) + token[len(url) :] if url else token

    def _signed_part(self, token: str, *, of_any_host: bool) -> str:
        """Return the URL that a token begins with, or nothing if it may be shown."""
        url = _unescaped(token)
        if self._hosts and self._hosts.give_access(url):
            return _with_marks(token)
        if self._hosts is None and (_SIGNATURE.search(token) or _LIKE_SIGNATURE.search(url)):
            return _with_marks(token)
        plain = _URL.match(token) if of_any_host else None
        return plain[0] if plain and is_signed(plain[0]) else ""

    def _remembered(self, url: str, entry_id: str) -> str:
        image = url.partition("?")[0]
        if image not in self._id_by_image:
            count = self._count_by_entry.get(entry_id, 0)
            self._count_by_entry[entry_id] = count + 1
            self._id_by_image[image] = f"{entry_id}:{count}" if count else entry_id
        image_id = self._id_by_image[image]
        with _remembering:  # the answers of all threads share a model's memory
            self.memory[image_id] = url
            if len(self.memory) > _REMEMBERED:
                self.memory.pop(next(iter(self.memory)), None)
        return IMAGE_URI_SCHEME + image_id


def may_hold_url(text: str) -> bool:
    """Return whether a text may hold a URL; cheaper than to look for one."""
    return ":/" in text or ":\\" in text


def _with_marks(token: str) -> str:
    found = _WITH_MARKS.match(token)
    return found[0] if found else token


def _unescaped(url: str) -> str:
    """Return a URL without the escapes of JSON."""
    if "\\" not in url:
        return url
    return re.sub(r"\\+(?:u00([2-7][0-9a-fA-F])|(/))", lambda found: found[2] or chr(int(found[1], 16)), url)
