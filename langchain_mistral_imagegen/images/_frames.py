"""Animated images: whether all frames are there."""

from __future__ import annotations

import itertools
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

_LEAST = 10_000  # pixels that a frame counts for at least: a small one takes time, too
_GIF_HEADER = 6
_EXTENSION, _IMAGE, _END = b"!", b",", b";"


def decode_frames(image: Image.Image, most_pixels: int) -> None:
    """Decode the frames of an animation after the first, one after another, until they have so many pixels in all.

    Raises:
        OSError: If a frame is damaged. Pillow may raise other errors, too.
    """
    left = most_pixels - max(image.width * image.height, _LEAST)
    for number in itertools.count(1):
        try:
            image.seek(number)
        except EOFError:
            return
        left -= max(image.width * image.height, _LEAST)
        if left < 0:
            return
        image.load()


def check_gif_end(source: IO[bytes]) -> None:
    """Check that a GIF has its end, without which Pillow takes what is there of an animation for the whole.

    Raises:
        EOFError: If it is cut off.
    """
    source.seek(_GIF_HEADER)
    _skip_colors(_read(source, 7)[4], source)
    while (block := _read(source, 1)) != _END:
        if block == _EXTENSION:
            _read(source, 1)
            _skip_data(source)
        elif block == _IMAGE:
            _skip_colors(_read(source, 9)[8], source)
            _read(source, 1)
            _skip_data(source)


def _skip_colors(flags: int, source: IO[bytes]) -> None:
    if flags & 0x80:
        source.seek(3 << (1 + (flags & 7)), os.SEEK_CUR)


def _skip_data(source: IO[bytes]) -> None:
    while size := _read(source, 1)[0]:
        source.seek(size, os.SEEK_CUR)


def _read(source: IO[bytes], count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise EOFError("the file ends before the animation does")
    return data
