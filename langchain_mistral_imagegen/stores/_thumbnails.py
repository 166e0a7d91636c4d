"""Thumbnails of stored images, kept in the same store: `_thumbnails/256/<key of the image>`."""

from __future__ import annotations

import io
import re
import threading
from contextlib import suppress

from langchain_mistral_imagegen._files import incoming_file, write_new
from langchain_mistral_imagegen.errors import InvalidImageError
from langchain_mistral_imagegen.images import ImageFormat, sniff_image
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._incoming import IMAGE_KEY

WIDTHS = (128, 256, 512, 1024)
"""Sizes of thumbnails in pixels; few, so that clients cannot fill the store."""
_FOLDER = re.compile(r"_thumbnails/\d+/")
_DECODING = threading.Semaphore(2)  # a decoded image takes up to 200 MB


def image_key(key: str) -> str | None:
    """Return the key of the image that a thumbnail was made of; `None` if the key is not one of a thumbnail."""
    folder = _FOLDER.match(key)
    return key[folder.end() :] if folder and IMAGE_KEY.fullmatch(key, folder.end()) else None


def thumbnail(store: ImageStore, key: str, width: int) -> bytes:
    """Return an image in its own format, with at most `width` pixels in each direction, from the store if it has it.

    Raises:
        FileNotFoundError: If there is no such image.
        InvalidImageError: If it cannot be decoded, or has more than 50 million pixels.
    """
    small_key = f"_thumbnails/{width}/{key}"
    with suppress(FileNotFoundError):
        return store.get(small_key)
    small = _reduced(store.get(key), width)
    with suppress(OSError):  # a store that cannot be written: it is made anew each time
        _put(store, small, small_key)
    return small


def _reduced(data: bytes, width: int) -> bytes:
    kind = sniff_image(data[:16])
    if kind is None:
        raise InvalidImageError(f"It is not an image ({len(data)} bytes, neither JPEG, PNG, WebP nor GIF)")
    try:
        with _DECODING:
            return _encoded(data, kind, width)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InvalidImageError(f"It cannot be made smaller: {error}") from error


def _encoded(data: bytes, kind: ImageFormat, width: int) -> bytes:
    from langchain_mistral_imagegen._reduced_image import reduced_image  # noqa: PLC0415  # imports Pillow

    file = io.BytesIO()
    reduced_image(io.BytesIO(data), width).save(file, kind.name)
    return file.getvalue()


def _put(store: ImageStore, data: bytes, key: str) -> None:
    # fsspec derives the content type for object stores from the suffix of the local file.
    incoming = incoming_file(store.temporary_folder()).with_suffix(f".{key.rpartition('.')[2]}")
    try:
        write_new(incoming, data, synced=True)
        store.put(incoming, key)
    finally:
        incoming.unlink(missing_ok=True)
