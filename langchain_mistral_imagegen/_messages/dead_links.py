"""Takes Markdown links that lead nowhere out of a text.

A model often writes `![]()` for an image that the server reports elsewhere, in the result of the image tool or as a
file.
"""

from __future__ import annotations

import re

from langchain_mistral_imagegen._messages.native_blocks import Block
from langchain_mistral_imagegen._messages.standard_blocks import image_type
from langchain_mistral_imagegen._protocol.image_tool import IMAGE_TOOL

# Every part has a limit, so that a text of beginnings takes linear time and little of a stream is held back.
_LABEL = r"[^\[\]]{0,300}"
_NOTHING = r"(?:<\s{0,9}>)?"
_NO_IMAGE = rf"(?:#|(?:sandbox|attachment):[^()\s]{{0,200}}|image_generated_[0-9]{{1,4}}(?:\.\w{{1,5}})?|{_NOTHING})"
_IMAGE = rf"!\[{_LABEL}\]\(\s{{0,9}}{_NO_IMAGE}\s{{0,9}}\)"
_TEXT = rf"(?<!!)\[({_LABEL})\]\(\s{{0,9}}{_NOTHING}\s{{0,9}}\)"
_LINK = re.compile(rf"(?<![`\\])(?:{_IMAGE}|{_TEXT})")
_BEGINNING = re.compile(rf"(?<![`\\])(?:!|!?\[{_LABEL}(?:\](?:\([^()]{{0,250}})?)?)\Z")
_LONGEST = 600


class DeadLinks:
    """Removes links that lead nowhere from a text that arrives in pieces; the words of links to no image stay."""

    def __init__(self) -> None:
        self._held = ""
        self._before = ""

    def feed(self, piece: str) -> str:
        """Return the text that is certain by now."""
        text = self._before + self._held + piece
        beginning = _BEGINNING.search(text, max(len(self._before), len(text) - _LONGEST))
        return self._released(text, beginning.start() if beginning else len(text))

    def flush(self) -> str:
        """Return the rest, at the end of the text."""
        text = self._before + self._held
        return self._released(text, len(text))

    def _released(self, text: str, end: int) -> str:
        certain, self._held = text[:end], text[end:]
        at, self._before = len(self._before), certain[-1:]
        kept = []
        for link in _LINK.finditer(certain, at):  # none begins in what was released
            kept += [certain[at : link.start()], link[1] or ""]
            at = link.end()
        return "".join([*kept, certain[at:]])


def without_dead_links(text: str) -> str:
    """Remove the links that lead nowhere from a whole text."""
    links = DeadLinks()
    return links.feed(text) + links.flush()


def reports_image(block: Block) -> bool:
    """Return whether a native block is an image, or the run of the image tool that made one."""
    match block:
        case {"type": "tool.execution", "status": "success"}:
            return IMAGE_TOOL in {block.get("tool"), block.get("name")}
        case {"type": "tool_file"}:
            return image_type(block) is not None
        case {"type": "image_url"}:
            return True
    return False
