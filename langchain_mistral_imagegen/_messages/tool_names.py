"""Names of functions on the wire: Mistral refuses those of its own tools, and characters that it does not know.

By two independent reports the Conversations API answers 422 "protected function name" to a function that has the name
of one of Mistral's own; this was not checked against the API. Such a name gets a prefix on the wire and loses it again
in all that comes back, so old histories can be read without knowing their tools.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

RESERVED = frozenset(
    {
        "code_interpreter",
        "document_library",
        "edit_image",
        "finance_search",
        "generate_image",
        "image_generation",
        "library_search",
        "news_search",
        "open_url",
        "weather_search",
        "web_search",
        "web_search_premium",
    }
)
"""Names that Mistral's own tools and their functions have."""
_PREFIX = "local_"
_MAX_LENGTH = 64
_PREFIXES = re.compile(rf"\A(?:{_PREFIX})+")
_ALLOWED = re.compile(rf"[a-zA-Z0-9_-]{{1,{_MAX_LENGTH}}}")
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


def to_wire(name: str) -> str:
    """Return the name that is sent: at most 64 letters, digits, underscores and hyphens, and none of Mistral's own.

    Two names never become one: what is lost by the allowed characters or the length is replaced by a digest.
    """
    sent = _PREFIX + name if _without_prefixes(name) in RESERVED else name
    return sent if _ALLOWED.fullmatch(sent) else _digested(name)


def _digested(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_REFUSED.sub('_', name)[: _MAX_LENGTH - len(digest) - 1]}_{digest}"


def from_wire(name: str) -> str:
    """Return the own name of a function that came with a prefix; other names are their own."""
    return name.removeprefix(_PREFIX) if _without_prefixes(name) in RESERVED else name


def _without_prefixes(name: str) -> str:
    # A function may be called "local_web_search" by its author; it is sent with one prefix more.
    return _PREFIXES.sub("", name)


class ToolNames:
    """The functions of one request: their names on the wire, and their own."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._own = {to_wire(name): name for name in names}

    def own(self, name: str) -> str:
        """Return the own name of a function that is called in an answer."""
        return self._own[name] if name in self._own else from_wire(name)
