"""The state of a graph with images: messages, and references to the images in them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated, NotRequired

from langgraph.channels.delta import DeltaChannel
from langgraph.graph import MessagesState

from langchain_mistral_imagegen.images import ImageRef, merge_images


class ImageState(MessagesState):
    """Messages, and references to the images in them, by id, merged by `merge_images`."""

    images: NotRequired[Annotated[dict[str, ImageRef], merge_images]]


def _merge_writes(images: dict[str, ImageRef], writes: Sequence[dict[str, ImageRef]]) -> dict[str, ImageRef]:
    return functools.reduce(merge_images, writes, images)


class ImageDeltaState(MessagesState):
    """`ImageState` for threads with hundreds of images: a checkpoint contains what a step changed, not all references.

    500 turns that each add one reference made a SQLite database of 2.6 MB instead of 170 MB (20 turns: 0.1 and 0.4).
    It uses LangGraph's `DeltaChannel`, which is in beta: do not prune such threads with a checkpointer that does not
    support it. Threads that began with `ImageState` can continue with this class.
    """

    images: NotRequired[Annotated[dict[str, ImageRef], DeltaChannel(_merge_writes)]]
