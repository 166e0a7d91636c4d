"""The formats of image files: recognise, measure and decode them. Labels are ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple

from langchain_mistral_imagegen._silence import silence
from langchain_mistral_imagegen.errors import InvalidImageError
from langchain_mistral_imagegen.images._frames import check_gif_end, decode_frames

if TYPE_CHECKING:
    from PIL import Image


class ImageFormat(NamedTuple):
    """A file format of images.

    Attributes:
        name: Pillow's name for it.
        mime_type: Such as `image/jpeg`.
        suffix: Usual file suffix, such as `.jpg`.
        signature: Matches the first 16 bytes of a file.
    """

    name: str
    mime_type: str
    suffix: str
    signature: re.Pattern[bytes]


FORMATS = (
    ImageFormat("JPEG", "image/jpeg", ".jpg", re.compile(rb"\xff\xd8\xff")),
    ImageFormat("PNG", "image/png", ".png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ImageFormat("WEBP", "image/webp", ".webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ImageFormat("GIF", "image/gif", ".gif", re.compile(rb"GIF8[79]a")),
)
SUFFIXES = tuple(known.suffix for known in FORMATS)


def sniff_image(head: bytes) -> ImageFormat | None:
    """Return the format of an image from its first 16 bytes, or `None` if it is not an image.

    Labels are ignored: Mistral labels its images `png` and sends JPEG.
    """
    return next((known for known in FORMATS if known.signature.match(head)), None)


_MOST_PIXELS = 100_000_000  # decoded, 400 MB


def image_size(source: IO[bytes]) -> tuple[int, int] | None:
    """Read width and height in pixels from an image's header, without decoding it; `None` if it is unreadable."""
    from PIL import Image  # noqa: PLC0415  # takes 37 ms, and is not needed for references

    try:
        with silence(), Image.open(source, formats=[known.name for known in FORMATS]) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def decode_image(source: IO[bytes]) -> tuple[int, int]:
    """Decode the whole image, and return its width and height in pixels.

    Of a longer animation, frames are decoded until they have 100 million pixels in all.

    Raises:
        InvalidImageError: If it is cut off, damaged, or has more than 100 million pixels.
    """
    try:
        with opened(source) as image:
            kind, size = image.format, image.size
            image.draft(None, (1, 1))  # a JPEG is read to its end all the same, and takes a 64th of the memory
            image.load()
            if kind != "MPO":  # a photograph with previews, which are no frames
                decode_frames(image, _MOST_PIXELS)
        if kind == "PNG":  # `load` takes one that lacks its end; Pillow verifies no other format
            source.seek(0)
            with opened(source) as image:
                image.verify()
        if kind == "GIF":
            check_gif_end(source)
    except (InvalidImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever damage leads to, also `IndexError`
        raise InvalidImageError(f"It cannot be decoded to its end: {error}") from error
    return size


@contextmanager
def opened(source: IO[bytes]) -> Iterator[Image.Image]:
    """Open an image, if it is not too large to be decoded.

    Raises:
        InvalidImageError: If it is.
    """
    from PIL import Image  # noqa: PLC0415  # see image_size

    try:
        with silence(), Image.open(source, formats=[known.name for known in FORMATS]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise InvalidImageError(f"It has {image.width} x {image.height} pixels, more than are decoded")
            yield image
    except Image.DecompressionBombError as error:
        raise InvalidImageError(f"It has more pixels than are decoded: {error}") from error
