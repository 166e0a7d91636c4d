"""`ImageRef`: refers to an image in messages and state, and how references are merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

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
