"""Images that tools return inside their messages: the bytes go into an image store, text and a reference remain."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from langchain_core.messages import ToolMessage
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._messages.image_shapes import DATA_URL, image_in
from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen.errors import ImageError, InvalidImageError
from langchain_mistral_imagegen.images import ImageRef, sniff_image
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._incoming import IncomingImage, content_address

_log = package_logger()
# What Python makes of the bytes of an image when LangChain turns a tool's result into text.
_BYTES_LITERAL = re.compile(
    r"""b(?:'(?:\\x89PNG|\\xff\\xd8\\xff|RIFF|GIF8)(?:[^'\\]|\\.)*'"""
    r"""|"(?:\\x89PNG|\\xff\\xd8\\xff|RIFF|GIF8)(?:[^"\\]|\\.)*")"""
)


def store_inline_images(message: ToolMessage, image_store: ImageStore) -> ToolMessage:
    """Move the images of a tool's message, and of its artifact, into a store.

    In the content, a text replaces each image, in the artifact its reference. What is not an image or cannot be stored
    is left unchanged. Pydantic objects in the artifact, such as those of the MCP SDK, become JSON, because a checkpoint
    takes no others.

    Returns:
        The same message if nothing was changed, else a new one; `images_of` finds the references in it.
    """
    mover = _Mover(image_store)
    try:
        moved = {
            "content": mover.moved(message.content, image_text),
            "artifact": mover.moved(message.artifact, dict),
        }
    except RecursionError:
        _log.warning("The result of tool %r is nested too deeply to look for images in it", message.name)
        return message
    mover.warn(message.name)
    if mover.refs:
        moved["response_metadata"] = {**message.response_metadata, "images": list(mover.refs.values())}
    return message.model_copy(update=moved) if mover.refs or mover.has_objects else message


def describe_image(ref: ImageRef) -> str:
    """Return the text that stands for an image."""
    pixels = f", {ref['width']}x{ref['height']} pixels" if "width" in ref else ""
    return f"[Image: {ref.get('mime_type', 'image')}{pixels} (id {ref['id']})]"


def image_text(ref: ImageRef) -> dict[str, Any]:
    """Return the content block that stands for an image."""
    return {"type": "text", "text": describe_image(ref)}


@dataclass
class _Mover:
    """Moves the images of one message.

    Attributes:
        image_store: Receives the images.
        refs: References to the moved images, by id.
        has_objects: Whether pydantic objects became JSON.
        errors: Why images were not moved.
    """

    image_store: ImageStore
    refs: dict[str, ImageRef] = field(default_factory=dict)
    has_objects: bool = False
    errors: list[Exception] = field(default_factory=list)

    def warn(self, tool: str | None) -> None:
        """Log one warning for all images that were not moved."""
        if self.errors:
            count, first = len(self.errors), self.errors[0]
            _log.warning("%d image(s) that tool %r returned stay in its message; the first: %s", count, tool, first)

    def moved(self, value: Any, replacement: Callable[[ImageRef], Any]) -> Any:  # noqa: PLR0911  # one for each kind
        """Return a JSON value in which each image is replaced."""
        match value:
            case str():
                text = self._in_json(value, replacement)
                return _BYTES_LITERAL.sub(self._in_literal, DATA_URL.sub(self._in_text, text))
            case bytes():
                ref = self._put_bytes(value) if sniff_image(value[:16]) else None
                return replacement(ref) if ref else value
            case list() | tuple():
                return [self.moved(part, replacement) for part in value]
            case dict():
                image = image_in(value)
                if image is None:
                    return {name: self.moved(part, replacement) for name, part in value.items()}
                ref = self._put(image[0])
                return replacement(ref) if ref else value
            case BaseModel():
                self.has_objects = True
                found = self.moved(value.model_dump(), replacement)
                return to_jsonable_python(found, bytes_mode="base64", fallback=str)
        return value

    def _in_json(self, text: str, replacement: Callable[[ImageRef], Any]) -> str:
        """Look into JSON that LangChain turned into text because it was not a list of content blocks."""
        if not text.startswith(("{", "[")):
            return text
        try:
            value = read_json(text)
            moved = self.moved(value, replacement)
        except (ValueError, RecursionError):  # text that is no JSON, or nested deeply
            return text
        return text if moved == value else json.dumps(moved, ensure_ascii=False)

    def _in_text(self, found: re.Match[str]) -> str:
        ref = self._put(found[2])
        return describe_image(ref) if ref else found[0]

    def _in_literal(self, found: re.Match[str]) -> str:
        try:
            data = ast.literal_eval(found[0])
        except (ValueError, SyntaxError):
            return found[0]
        ref = self._put_bytes(data)
        return describe_image(ref) if ref else found[0]

    def _put(self, encoded: str) -> ImageRef | None:
        try:
            data = base64.b64decode("".join(encoded.split()), validate=True)
        except ValueError as error:
            self.errors.append(error)
            return None
        return self._put_bytes(data)

    def _put_bytes(self, data: bytes) -> ImageRef | None:
        known = self.refs.get(_image_id(data))
        if known:
            return known
        try:
            if not sniff_image(data[:16]):
                raise InvalidImageError(f"its {len(data)} bytes are not an image")
            ref = self._store(data)
        except (ValueError, OSError, ImageError) as error:
            self.errors.append(error)
            return None
        self.refs[ref["id"]] = ref
        return ref

    def _store(self, data: bytes) -> ImageRef:
        image = IncomingImage(self.image_store, ImageRef(id=_image_id(data), status="remote"))
        try:
            image.write(data)
            return image.finish(content_address)
        finally:
            image.discard()


def _image_id(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()[:16]}"
