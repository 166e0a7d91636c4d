"""Images that tools return inside their messages: the bytes go into an image store, text and a reference remain."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from langchain_core.messages import ToolMessage
from pydantic import BaseModel

from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen.errors import ImageError, InvalidImageError
from langchain_mistral_imagegen.images import ImageRef, sniff_image
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._incoming import IncomingImage, content_address

_log = logging.getLogger("langchain_mistral_imagegen")
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/]+={0,2})")


def store_inline_images(message: ToolMessage, image_store: ImageStore) -> ToolMessage:
    """Move the images of a tool's message, and of its artifact, into a store.

    In the content, a text replaces each image, in the artifact its reference. What is not an image or cannot be stored
    is left unchanged.

    Returns:
        The same message if nothing was moved, else a new one; `images_of` finds the references in it.
    """
    mover = _Mover(image_store)
    moved = {
        "content": mover.moved(message.content, image_text),
        "artifact": mover.moved(message.artifact, dict),
    }
    if not mover.refs:
        return message
    metadata = {**message.response_metadata, "images": list(mover.refs.values())}
    return message.model_copy(update={**moved, "response_metadata": metadata})


def describe_image(ref: ImageRef) -> str:
    """Return the text that stands for an image."""
    pixels = f", {ref['width']}x{ref['height']} pixels" if "width" in ref else ""
    return f"[Image: {ref.get('mime_type', 'image')}{pixels} (id {ref['id']})]"


def image_text(ref: ImageRef) -> dict[str, Any]:
    """Return the content block that stands for an image."""
    return {"type": "text", "text": describe_image(ref)}


@dataclass(frozen=True)
class _Mover:
    """Moves the images of one message.

    Attributes:
        image_store: Receives the images.
        refs: References to the moved images, by id.
    """

    image_store: ImageStore
    refs: dict[str, ImageRef] = field(default_factory=dict)

    def moved(self, value: Any, replacement: Callable[[ImageRef], Any]) -> Any:
        """Return a JSON value in which each image is replaced."""
        match value:
            case str():
                return _DATA_URL.sub(self._in_text, self._in_json(value, replacement))
            case list():
                return [self.moved(part, replacement) for part in value]
            case dict():
                data = _base64_of(value)
                if data is None:
                    return {name: self.moved(part, replacement) for name, part in value.items()}
                ref = self._put(data)
                return replacement(ref) if ref else value
            case BaseModel():  # from the MCP SDK; a checkpoint would also turn it into a dict
                return self.moved(value.model_dump(), replacement)
        return value

    def _in_json(self, text: str, replacement: Callable[[ImageRef], Any]) -> str:
        """Look into JSON that LangChain turned into text because it was not a list of content blocks."""
        if not text.startswith(("{", "[")):
            return text
        try:
            value = read_json(text)
        except ValueError:
            return text
        moved = self.moved(value, replacement)
        return text if moved == value else json.dumps(moved, ensure_ascii=False)

    def _in_text(self, found: re.Match[str]) -> str:
        ref = self._put(found[1])
        return describe_image(ref) if ref else found[0]

    def _put(self, encoded: str) -> ImageRef | None:
        try:
            data = base64.b64decode("".join(encoded.split()), validate=True)
            ref = self._store(data)
        except (ValueError, OSError, ImageError) as error:
            _log.warning("An image that a tool returned stays in its message: %s", error)
            return None
        self.refs[ref["id"]] = ref
        return ref

    def _store(self, data: bytes) -> ImageRef:
        if not sniff_image(data[:16]):  # before anything is written: a text may hold very many
            raise InvalidImageError("it is not an image (JPEG, PNG, WebP or GIF)")
        image = IncomingImage(self.image_store, ImageRef(id=f"sha256:{sha256(data).hexdigest()[:16]}", status="remote"))
        try:
            image.write(data)
            return image.finish(content_address)
        finally:
            image.discard()


def _base64_of(block: dict[str, Any]) -> str | None:
    """Return an image's bytes, as base64, from one of the forms that providers and MCP use."""
    match block:
        case (
            {"type": "image", "base64": str(data)}
            | {"type": "image", "data": str(data)}  # LangChain's v0, and MCP
            | {"type": "image", "source": {"type": "base64", "data": str(data)}}  # Anthropic
        ):
            return data
        case (
            {"type": "image", "url": str(url)}
            | {"type": "image_url" | "input_image", "image_url": str(url)}
            | {"type": "image_url", "image_url": {"url": str(url)}}
        ):
            found = _DATA_URL.fullmatch(url)
            return found[1] if found else None
    return None
