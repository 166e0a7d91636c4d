"""An answer as its reader sees it: texts and images in order, also as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.signed_urls import replace_image_links
from langchain_mistral_imagegen.images import ImageRef

_BETWEEN = "\0"  # is in no readable text
_SPECIAL = re.compile(r"([\\\[\]*_`<>!])")
_UNSAFE_IN_URL = re.compile(r"[\s()<>\\]")


def to_markdown(answer: AIMessage, *, url: Mapping[str, ImageRef] | Callable[[ImageRef], str | None]) -> str:
    r"""Return the text and the images of an answer in order, as Markdown for documents and chat apps.

    Args:
        answer: A complete answer.
        url: Where a reader finds an image: the `images` of a graph's state, whose references have a `url` with
            `public_url=`; or a function that returns the URL of a reference. An image without a URL becomes its
            description in words.

    Returns:
        Markdown, in which the description of an image is its prompt, if that is known. The model's own text is Markdown
        already and stays as it is: show it only where links to other hosts may be loaded.

    Example:
        ```python
        to_markdown(state["messages"][-1], url=state["images"])  # "Here it is:\n\n![an orange cat](https://...)"
        ```
    """
    find = (lambda ref: url.get(ref["id"], ref).get("url")) if isinstance(url, Mapping) else url
    return "\n\n".join(part if isinstance(part, str) else _image(part, find(part)) for part in parts_of(answer))


def parts_of(message: AIMessage) -> Iterator[str | ImageRef]:
    """Yield the texts of an answer, without links to its images, and each image once, where it is in the answer."""
    left = {ref["id"]: ref for ref in images_of(message)}
    text = ""
    blocks = [message.content] if isinstance(message.content, str) else message.content
    for block in blocks:
        text += block if isinstance(block, str) else block["text"] if block.get("type") == "text" else ""
        here = [left.pop(ref["id"]) for ref in images_of(AIMessage([block])) if ref["id"] in left]
        if here:
            yield from _in_text(text, {ref["id"]: ref for ref in here})
            text = ""
    yield from _in_text(text, {})


def _in_text(text: str, images: dict[str, ImageRef]) -> Iterator[str | ImageRef]:
    """Yield a text with its images where their links are, and those without a link at the end."""
    pieces = replace_image_links(
        text, lambda image_id, _: f"{_BETWEEN}{image_id}{_BETWEEN}" if image_id in images else ""
    ).split(_BETWEEN)
    for place, piece in enumerate(pieces):
        if place % 2:
            if piece in images:  # a second link to it is left out
                yield images.pop(piece)
        elif piece.strip():
            yield piece.strip()
    yield from images.values()


def _image(ref: ImageRef, url: str | None) -> str:
    words = " ".join((ref.get("prompt") or ref.get("file_name") or "image").split())
    alt = _SPECIAL.sub(r"\\\1", words)
    if not url:
        return f"*\\[Image: {alt}\\]*"
    return f"![{alt}]({_UNSAFE_IN_URL.sub(lambda found: f'%{ord(found[0]):02X}', url)})"
