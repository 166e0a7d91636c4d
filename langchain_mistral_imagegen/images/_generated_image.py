"""`GeneratedImage`: an image in memory."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from langchain_mistral_imagegen._files import make_folder, write_file
from langchain_mistral_imagegen.errors import InvalidImageError, InvalidInputError
from langchain_mistral_imagegen.images._formats import FORMATS, SUFFIXES, ImageFormat, image_size, opened, sniff_image
from langchain_mistral_imagegen.images._references import ImageRef

if TYPE_CHECKING:
    from langchain_core.messages.content import ImageContentBlock

FormatName = Literal["jpeg", "png", "webp", "gif"]


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
        with opened(io.BytesIO(self.data)) as image:
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
