"""Pictures that tools return inside their messages: the bytes go into an image store, words and a reference stay."""

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

from langchain_mistral_imagegen.errors import ImageError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ImageStore, content_address
from langchain_mistral_imagegen.stores._incoming import PictureFile

_log = logging.getLogger("langchain_mistral_imagegen")
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/]+={0,2})")


def store_pictures(message: ToolMessage, store: ImageStore) -> ToolMessage:
    """Move the pictures of a tool's message, and of its artifact, into a store.

    In the content a text names each picture, in the artifact its reference stands in its place. What is no picture, or
    cannot be stored, stays as it is.

    Returns:
        The same message if nothing was moved, else a new one; `images_of` finds the references in it.
    """
    mover = _Mover(store)
    moved = {
        "content": mover.moved(message.content, picture_text),
        "artifact": mover.moved(message.artifact, dict),
    }
    if not mover.refs:
        return message
    metadata = {**message.response_metadata, "images": list(mover.refs.values())}
    return message.model_copy(update={**moved, "response_metadata": metadata})


def describe_picture(ref: ImageRef) -> str:
    """Name a picture to a model."""
    pixels = f", {ref['width']}x{ref['height']} pixels" if "width" in ref else ""
    return f"[Picture: {ref.get('mime_type', 'image')}{pixels} (id {ref['id']})]"


def picture_text(ref: ImageRef) -> dict[str, Any]:
    """Return the content block that names a picture."""
    return {"type": "text", "text": describe_picture(ref)}


@dataclass(frozen=True)
class _Mover:
    """Moves the pictures of one message.

    Attributes:
        store: Where to.
        refs: What was moved, by id.
    """

    store: ImageStore
    refs: dict[str, ImageRef] = field(default_factory=dict)

    def moved(self, value: Any, replacement: Callable[[ImageRef], Any]) -> Any:
        """Return a value of JSON in which each picture is replaced."""
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
            case BaseModel():  # of the MCP SDK; a checkpoint would make a dict of it, too
                return self.moved(value.model_dump(), replacement)
        return value

    def _in_json(self, text: str, replacement: Callable[[ImageRef], Any]) -> str:
        """Look into what LangChain made a text of, because it is no list of content blocks."""
        if not text.startswith(("{", "[")):
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return text
        moved = self.moved(value, replacement)
        return text if moved == value else json.dumps(moved, ensure_ascii=False)

    def _in_text(self, found: re.Match[str]) -> str:
        ref = self._put(found[1])
        return describe_picture(ref) if ref else found[0]

    def _put(self, encoded: str) -> ImageRef | None:
        try:
            data = base64.b64decode("".join(encoded.split()), validate=True)
            ref = self._stored(data)
        except (ValueError, OSError, ImageError) as error:
            _log.warning("What a tool returned as a picture stays in its message: %s", error)
            return None
        self.refs[ref["id"]] = ref
        return ref

    def _stored(self, data: bytes) -> ImageRef:
        picture = PictureFile(self.store, ImageRef(id=f"sha256:{sha256(data).hexdigest()[:16]}", status="remote"))
        try:
            picture.write(data)
            return picture.finish(content_address)
        finally:
            picture.discard()


def _base64_of(block: dict[str, Any]) -> str | None:
    """Return the bytes of a picture in one of the shapes that providers and MCP have for it."""
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
