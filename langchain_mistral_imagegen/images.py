"""Images: `ImageRef` refers to one in messages and state, `GeneratedImage` holds its bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, NotRequired, cast

from typing_extensions import TypedDict

from langchain_mistral_imagegen._files import make_folder, write_file
from langchain_mistral_imagegen._frames import check_gif_end, decode_frames
from langchain_mistral_imagegen.errors import InvalidImageError, InvalidInputError

if TYPE_CHECKING:
    from langchain_core.messages.content import ImageContentBlock
    from PIL import Image

FormatName = Literal["jpeg", "png", "webp", "gif"]
ImageStatus = Literal["remote", "failed", "stored"]
_STATUS_ORDER = ("remote", "failed", "stored")
IMAGE_URI_SCHEME = "mistral-image:"
"""Scheme of the URIs that replace signed URLs in messages: the scheme, then the image's id."""


class ImageRef(TypedDict):
    """A reference to a generated image: a few hundred bytes of JSON scalars, never pixels.

    Some fields hold where it can be downloaded from Mistral, the others where it was stored.
    """

    id: str
    """`file_id`, or where there is no file, the id of the entry whose result held the image."""
    status: ImageStatus
    """`remote` (at Mistral), `failed` (a download failed) or `stored`; it only rises in that order."""
    file_id: NotRequired[str]
    file_name: NotRequired[str]
    conversation_id: NotRequired[str]
    mime_type: NotRequired[str]
    """Read from the bytes, so known only once the image is stored: what the server claims is often wrong."""
    size_bytes: NotRequired[int]
    width: NotRequired[int]
    """Pixels."""
    height: NotRequired[int]
    """Pixels."""
    sha256: NotRequired[str]
    key: NotRequired[str]
    """Key in the image store, relative to its root."""
    error: NotRequired[str]
    """Why the last download failed."""
    attempts: NotRequired[int]
    """Number of downloads so far, failed ones included."""
    prompt: NotRequired[str]
    """The image in words, as the tool was asked for it: ours, or Mistral's, where its call is known."""
    model: NotRequired[str]
    """Name of the model that generated it."""
    created_at: NotRequired[str]
    """When its answer began, as Mistral sent it, or else when it arrived; ISO 8601, such as `2026-11-25T12:00:00Z`."""
    url: NotRequired[str]
    """Where the program serves it, only with `public_url=...`."""
    base64: NotRequired[str]
    """The bytes, only with `ToolFileNode(inline=True)`; large."""


def merge_images(
    left: Mapping[str, ImageRef] | None, right: Mapping[str, ImageRef | None] | None
) -> dict[str, ImageRef]:
    """Merge references by id: the reducer of a graph's `images` channel.

    The result does not depend on the order or number of merges, so parallel branches may write at once.
    A status is never lowered, and `None` removes a reference.

    Args:
        left: The channel's value.
        right: A node's update.
    """
    merged = dict(left or {})
    for image_id, ref in (right or {}).items():
        if ref is None:
            merged.pop(image_id, None)
        else:
            merged[image_id] = _join(merged.get(image_id, ref), ref)
    return merged


def _join(left: ImageRef, right: ImageRef) -> ImageRef:
    # A join field by field (rank for the status, the greater value elsewhere) commutes; "last one wins" does not.
    joined: dict[str, Any] = {**left, **right}
    for name in left.keys() & right.keys():
        joined[name] = max(left[name], right[name])  # type: ignore[literal-required]  # both have it
    joined["status"] = max(left["status"], right["status"], key=_STATUS_ORDER.index)
    if joined["status"] == "stored":
        joined.pop("error", None)
    return cast("ImageRef", joined)


def with_url(ref: ImageRef, public_url: str | None) -> ImageRef:
    """Add the URL of a stored image.

    Args:
        ref: The reference.
        public_url: URL below which the program serves the image store, as with `web.image_routes`; `None` for none.
    """
    if public_url is None or "key" not in ref:
        return ref
    return {**ref, "url": f"{public_url.rstrip('/')}/{ref['key']}"}


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=[known.name for known in FORMATS]) as image:
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
        with _opened(source) as image:
            kind, size = image.format, image.size
            image.draft(None, (1, 1))  # a JPEG is read to its end all the same, and takes a 64th of the memory
            image.load()
            if kind != "MPO":  # a photograph with previews, which are no frames
                decode_frames(image, _MOST_PIXELS)
        if kind == "PNG":  # `load` takes one that lacks its end; Pillow verifies no other format
            source.seek(0)
            with _opened(source) as image:
                image.verify()
        if kind == "GIF":
            check_gif_end(source)
    except (InvalidImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise whatever damage leads to, also `IndexError`
        raise InvalidImageError(f"It cannot be decoded to its end: {error}") from error
    return size


@contextmanager
def _opened(source: IO[bytes]) -> Iterator[Image.Image]:
    """Open an image, if it is not too large to be decoded.

    Raises:
        InvalidImageError: If it is.
    """
    from PIL import Image  # noqa: PLC0415  # see image_size

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=[known.name for known in FORMATS]) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise InvalidImageError(f"It has {image.width} x {image.height} pixels, more than are decoded")
                yield image
    except Image.DecompressionBombError as error:
        raise InvalidImageError(f"It has more pixels than are decoded: {error}") from error


@dataclass(frozen=True)
class GeneratedImage:
    """An image in memory: its bytes, and what is known about it. Never put it into a graph's state.

    Attributes:
        data: The file's bytes.
        mime_type: `image/jpeg`, `image/png`, `image/webp` or `image/gif`, from the bytes.
        width: Pixels, or `None` if the header is unreadable.
        height: Pixels, or `None` if the header is unreadable.
        ref: The reference it was downloaded for.
    """

    data: bytes = field(repr=False)
    mime_type: str
    width: int | None
    height: int | None
    ref: ImageRef = field(repr=False)

    @classmethod
    def from_bytes(cls, data: bytes, ref: ImageRef) -> GeneratedImage:
        """Make an image from downloaded bytes.

        Raises:
            InvalidImageError: If the bytes are not JPEG, PNG, WebP or GIF.
        """
        kind = sniff_image(data)
        if kind is None:
            raise InvalidImageError(
                f"The file of {ref['id']!r} is not an image ({len(data)} bytes, neither JPEG, PNG, WebP nor GIF)"
            )
        width, height = image_size(io.BytesIO(data)) or (None, None)
        return cls(data=data, mime_type=kind.mime_type, width=width, height=height, ref=ref)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        """File suffix of the format, such as `.jpg`."""
        return next(known.suffix for known in FORMATS if known.mime_type == self.mime_type)

    def save(self, path: str | os.PathLike[str], *, format: FormatName | None = None) -> Path:  # noqa: A002  # as Pillow
        """Write the image to a file, atomically, and put it on the disk.

        Args:
            path: A file, whose suffix may be left out, or an existing folder, in which the name is made of the hash.
                A suffix of another format is corrected, with a warning.
            format: Convert the image to this format: `jpeg`, `png`, `webp` or `gif`. By default, the bytes are written
                as they are.

        Returns:
            The file's path.

        Raises:
            InvalidInputError: If `format` is none of these.
            InvalidImageError: If the image has too many pixels to be converted, 100 million.
            OSError: If the file cannot be written, or the image cannot be decoded.
        """
        data, kind = self._converted(format)
        target = Path(path)
        if target.is_dir():
            target = target / self.sha256[:16]
        given = target.suffix.lower().replace(".jpeg", ".jpg")
        if given not in SUFFIXES:
            target = target.with_name(target.name + kind.suffix)
        elif given != kind.suffix:
            corrected = target.with_suffix(kind.suffix)
            warnings.warn(
                f"The image is {kind.name}, so it is saved as {corrected.name!r}, not {target.name!r}; to convert it, "
                f"call save(..., format={given.removeprefix('.').replace('jpg', 'jpeg')!r})",
                stacklevel=2,
            )
            target = corrected
        make_folder(target.parent)
        write_file(target, data)
        return target

    def _converted(self, name: str | None) -> tuple[bytes, ImageFormat]:
        """Return the bytes and format of the image, converted if another format is wanted."""
        own = next(known for known in FORMATS if known.mime_type == self.mime_type)
        kind = own if name is None else next((known for known in FORMATS if known.name == str(name).upper()), None)
        if kind is None:
            formats = ", ".join(known.name.lower() for known in FORMATS)
            raise InvalidInputError(f"format={name!r} is not a format of images: choose one of {formats}")
        if kind is own:
            return self.data, kind
        converted = io.BytesIO()
        with _opened(io.BytesIO(self.data)) as image:
            (image.convert("RGB") if kind.name == "JPEG" else image).save(converted, kind.name)
        return converted.getvalue(), kind

    def content_block(self) -> ImageContentBlock:
        """Return a content block with the image's bytes, for a `HumanMessage` to a vision model.

        Use it for one request; do not put it into a checkpointed state.
        """
        return {"type": "image", "base64": base64.b64encode(self.data).decode(), "mime_type": self.mime_type}

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, int | None]]]:
        # https://ipython.readthedocs.io/en/stable/config/integrating.html
        bundle = {self.mime_type: base64.b64encode(self.data).decode(), "text/plain": repr(self)}
        return bundle, {self.mime_type: {"width": self.width, "height": self.height}}
