"""Pictures: `ImageRef` names one in messages and state, `GeneratedImage` holds one in hand."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, cast

from langchain_mistral_imagegen.errors import InvalidImageError

if TYPE_CHECKING:
    from langchain_core.messages.content import ImageContentBlock

ImageStatus = Literal["remote", "failed", "stored"]
_STATUS_ORDER = ("remote", "failed", "stored")
IMAGE_URI_SCHEME = "mistral-image:"
"""What stands in a message where the server had put a signed URL: the scheme and the picture's id."""


class ImageRef(TypedDict):
    """A reference to a generated picture: a few hundred bytes of JSON scalars, never pixels.

    Mistral's part says where the picture can be downloaded, the rest where it was stored.
    """

    id: str
    """`file_id`, or the id of the entry whose result held the picture where there is no file."""
    status: ImageStatus
    """`remote` (at Mistral), `failed` (a download failed) or `stored`; it only rises in that order."""
    file_id: NotRequired[str]
    file_name: NotRequired[str]
    conversation_id: NotRequired[str]
    mime_type: NotRequired[str]
    """From the bytes, so only known once they are stored: what the server claims is often wrong."""
    size_bytes: NotRequired[int]
    width: NotRequired[int]
    """Pixels."""
    height: NotRequired[int]
    """Pixels."""
    sha256: NotRequired[str]
    key: NotRequired[str]
    """Place in the image store, relative to its root."""
    error: NotRequired[str]
    """Why the last download failed."""
    attempts: NotRequired[int]
    """Downloads tried so far."""
    base64: NotRequired[str]
    """The bytes, only if `ToolFileNode(inline=True)` was asked for them; large."""


def merge_images(
    left: Mapping[str, ImageRef] | None, right: Mapping[str, ImageRef | None] | None
) -> dict[str, ImageRef]:
    """Merge references by id: the reducer of a graph's `images` channel.

    The result does not depend on the order or number of merges, so parallel branches may write at once.
    A status never falls back, and `None` removes a reference.

    Args:
        left: What the channel holds.
        right: What a node returned.
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


_SIGNATURES = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", ".jpg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", ".png"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp", ".webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif", ".gif"),
)


def sniff_image(head: bytes) -> tuple[str, str] | None:
    """Return mime type and suffix of a picture from its first 16 bytes, or `None` if it is none.

    Mistral labels its pictures `png` and sends JPEG, so labels are not looked at.
    """
    return next(((mime, suffix) for magic, mime, suffix in _SIGNATURES if magic.match(head)), None)


def image_size(source: IO[bytes]) -> tuple[int, int] | None:
    """Read width and height in pixels from a picture's header; nothing is decoded. `None` if it has none."""
    from PIL import Image  # noqa: PLC0415  # 37 ms that only those who look at pictures pay

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=["JPEG", "PNG", "WEBP", "GIF"]) as picture:
                return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def incoming_file(folder: Path) -> Path:
    """Name a hidden file for bytes that are still arriving; opened with mode `x`, it has a user's usual permissions."""
    return folder / f".incoming-{secrets.token_hex(8)}"


def write_file(target: Path, data: bytes) -> None:
    """Write a file completely or not at all: whoever looks sees the old file, the new one, or none."""
    incoming = incoming_file(target.parent)
    try:
        with incoming.open("xb") as file:
            file.write(data)
        incoming.replace(target)
    except BaseException:
        incoming.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class GeneratedImage:
    """A picture in hand: its bytes and what they say of themselves. Never put it into a graph's state.

    Attributes:
        data: The file's bytes.
        mime_type: `image/jpeg`, `image/png`, `image/webp` or `image/gif`, from the bytes.
        width: Pixels, or `None` if the header is unreadable.
        height: Pixels, or `None` if the header is unreadable.
        ref: Where it came from.
    """

    data: bytes = field(repr=False)
    mime_type: str
    width: int | None
    height: int | None
    ref: ImageRef = field(repr=False)

    @classmethod
    def from_bytes(cls, data: bytes, ref: ImageRef) -> GeneratedImage:
        """Make one from downloaded bytes.

        Raises:
            InvalidImageError: If the bytes are not JPEG, PNG, WebP or GIF.
        """
        kind = sniff_image(data)
        if kind is None:
            raise InvalidImageError(f"What was downloaded for {ref['id']!r} is not a picture ({len(data)} bytes)")
        width, height = image_size(io.BytesIO(data)) or (None, None)
        return cls(data=data, mime_type=kind[0], width=width, height=height, ref=ref)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def suffix(self) -> str:
        """File suffix that fits the bytes, such as `.jpg`."""
        return next(suffix for _, mime, suffix in _SIGNATURES if mime == self.mime_type)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, completely or not at all.

        Args:
            path: A folder (the name is then taken from the hash) or a file; its suffix may be left out.

        Returns:
            The file that was written.

        Raises:
            OSError: If it cannot be written.
        """
        target = Path(path)
        if target.is_dir():
            target = target / self.sha256[:16]
        if target.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp", ".gif"}:
            target = target.with_name(target.name + self.suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, self.data)
        return target

    def content_block(self) -> ImageContentBlock:
        """Return the picture as a content block with its bytes, to show it to a model in a `HumanMessage`.

        Meant for one request: a message with bytes in a checkpointed state is what references avoid.
        """
        return {"type": "image", "base64": base64.b64encode(self.data).decode(), "mime_type": self.mime_type}

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, int | None]]]:
        # https://ipython.readthedocs.io/en/stable/config/integrating.html
        bundle = {self.mime_type: base64.b64encode(self.data).decode(), "text/plain": repr(self)}
        return bundle, {self.mime_type: {"width": self.width, "height": self.height}}
