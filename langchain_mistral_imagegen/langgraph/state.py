"""The state of a graph with pictures: messages, and references to the pictures in them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Annotated

from langgraph.channels.delta import DeltaChannel
from langgraph.graph import MessagesState

from langchain_mistral_imagegen.images import ImageRef, merge_images


class ImageState(MessagesState):
    """Messages, and the pictures in them: references by id, merged by `merge_images`."""

    images: Annotated[dict[str, ImageRef], merge_images]


def _merge_writes(images: dict[str, ImageRef], writes: Sequence[dict[str, ImageRef]]) -> dict[str, ImageRef]:
    return functools.reduce(merge_images, writes, images)


class ImageDeltaState(MessagesState):
    """`ImageState` for threads with hundreds of pictures: checkpoints keep what a step changed, not all references.

    500 turns that each add one reference made a SQLite database of 2.6 MB instead of 170 MB (20 turns: 0.1 and 0.4).
    It builds on LangGraph's `DeltaChannel`, which is in beta: do not prune such threads with a checkpointer that
    does not know it. Threads that began with `ImageState` can go on with this one.
    """

    images: Annotated[dict[str, ImageRef], DeltaChannel(_merge_writes)]
