"""Images made smaller, in a bounded amount of memory."""

from __future__ import annotations

from typing import IO

from PIL import Image, ImageOps

from langchain_mistral_imagegen._silence import silence

MAX_PIXELS = 50_000_000
"""More are not decoded: a small file can hold an image that takes gigabytes."""


def reduced_image(source: IO[bytes], longest: int) -> Image.Image:
    """Decode an image, turn it upright, and make its longer side at most so many pixels.

    Raises:
        OSError: If it cannot be decoded, or has more than `MAX_PIXELS`.
    """
    try:
        return _reduced(source, longest)
    except Image.DecompressionBombError as error:
        raise OSError(str(error)) from error


def _reduced(source: IO[bytes], longest: int) -> Image.Image:
    with silence(), Image.open(source) as image:
        image.draft("RGB", (longest, longest))  # JPEG: decode no more than is needed
        if image.width * image.height > MAX_PIXELS:
            raise OSError(f"{image.width} x {image.height} pixels are too many to be shown")
        image.thumbnail((longest, longest))
        upright = ImageOps.exif_transpose(image)
        return upright.convert("RGBA" if upright.has_transparency_data else "RGB")
