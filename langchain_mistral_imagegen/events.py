"""Custom events of the nodes: what happens to each picture, for `stream_mode="custom"`."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Literal, NotRequired, TypeAlias, TypedDict

from langgraph.config import get_stream_writer

from langchain_mistral_imagegen.images import ImageRef


class ImageEvent(TypedDict):
    """What happens to a picture: flat JSON, no bytes.

    Events are not kept: after a crash, `status` in the state tells what is there.
    """

    type: Literal[
        "mistral.image.generating",
        "mistral.image.generated",
        "mistral.image.adopted",
        "mistral.image.download",
        "mistral.image.stored",
        "mistral.image.failed",
    ]
    id: NotRequired[str]
    """The picture's; not known while it is `generating`."""
    conversation_id: NotRequired[str]
    received: NotRequired[int]
    """Bytes so far, of a `download`; told for each MiB."""
    size_bytes: NotRequired[int]
    key: NotRequired[str]
    """Place in the image store."""
    error: NotRequired[str]


PREFIX = "mistral.image."
"""With which the `type` of each event begins."""
Tell: TypeAlias = Callable[[ImageEvent], None]
_STEP = 1024 * 1024


def teller() -> Tell:
    """Return what passes events on to the running graph; without a graph, they go nowhere."""
    try:
        write = get_stream_writer()
    except (RuntimeError, KeyError):
        return _unheard
    # The writer looks the graph up whenever it is called, also in the threads that download.
    here = contextvars.copy_context()
    return lambda event: here.copy().run(write, event)


def _unheard(_: ImageEvent) -> None:
    """Tell nobody."""


def downloading(tell: Tell) -> Callable[[ImageRef, int], None]:
    """Return what tells how far downloads are, once for each MiB."""
    told: dict[str, int] = {}

    def on_bytes(ref: ImageRef, received: int) -> None:
        if received // _STEP != told.get(ref["id"], -1):
            told[ref["id"]] = received // _STEP
            tell({"type": "mistral.image.download", "id": ref["id"], "received": received})

    return on_bytes


def outcome_event(ref: ImageRef) -> ImageEvent:
    """Return the event of a picture that was stored, or failed."""
    if ref["status"] == "stored":
        return {
            "type": "mistral.image.stored",
            "id": ref["id"],
            "key": ref["key"],
            "size_bytes": ref["size_bytes"],
        }
    return {"type": "mistral.image.failed", "id": ref["id"], "error": ref.get("error", "")}
