"""Custom events of the nodes and the tool, for `stream_mode="custom"`: what happens to each image."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

from langchain_mistral_imagegen.images import ImageRef


class ImageEvent(TypedDict):
    """What happens to an image: flat JSON, no bytes.

    Events are not stored. After a crash, read `status` in the state instead.
    """

    type: Literal[
        "mistral.image.generating",
        "mistral.image.waiting",
        "mistral.image.generated",
        "mistral.image.adopted",
        "mistral.image.download",
        "mistral.image.stored",
        "mistral.image.failed",
    ]
    id: NotRequired[str]
    """The image's id; not known while it is `generating`."""
    conversation_id: NotRequired[str]
    seconds: NotRequired[float]
    """For which a `waiting` turn waits at most: an earlier request may still be answered."""
    received: NotRequired[int]
    """Bytes of a `download` so far; there is an event for each MiB."""
    size_bytes: NotRequired[int]
    key: NotRequired[str]
    """Key in the image store."""
    error: NotRequired[str]
    tool_call_id: NotRequired[str]
    """The call of `MistralImageGenerationTool` for which it happens."""
    prompt: NotRequired[str]
    """As that call has it."""


PREFIX = "mistral.image."
"""The `type` of each event begins with it."""
Emit: TypeAlias = Callable[[ImageEvent], None]
_STEP = 1024 * 1024


def emitter() -> Emit:
    """Return a function that emits events into the running graph; without a graph, it does nothing."""
    from langgraph.config import get_stream_writer  # noqa: PLC0415  # a chat model alone needs no LangGraph

    try:
        write = get_stream_writer()
    except (RuntimeError, KeyError):
        return _discard
    # The writer looks up the graph in the context of each call, and downloads call it in other threads.
    context = contextvars.copy_context()
    return lambda event: context.copy().run(write, event)


def _discard(_: ImageEvent) -> None:
    """Ignore an event."""


def download_progress(emit: Emit) -> Callable[[ImageRef, int], None]:
    """Return an `on_bytes` callback for downloads that emits an event for each MiB."""
    emitted: dict[str, int] = {}

    def on_bytes(ref: ImageRef, received: int) -> None:
        if received // _STEP != emitted.get(ref["id"], -1):
            emitted[ref["id"]] = received // _STEP
            emit({"type": "mistral.image.download", "id": ref["id"], "received": received})

    return on_bytes


def outcome_event(ref: ImageRef) -> ImageEvent:
    """Return the event of an image that was stored, or failed."""
    if ref["status"] == "stored":
        return {
            "type": "mistral.image.stored",
            "id": ref["id"],
            "key": ref["key"],
            "size_bytes": ref["size_bytes"],
        }
    return {"type": "mistral.image.failed", "id": ref["id"], "error": ref.get("error", "")}
