"""What the tool and the command ask of the image model in words, because its API has no options for it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

Shape = Literal["square", "landscape", "portrait"]

INSTRUCTIONS = (
    "Generate the requested image with the image generation tool, then describe in one sentence what it shows."
)
"""System prompt of a model that is asked for images only."""

SHAPES = MappingProxyType(
    {
        "square": "Make the image square.",
        "landscape": "Make the image in landscape format, wider than it is high.",
        "portrait": "Make the image in portrait format, higher than it is wide.",
    }
)
"""The words for each shape."""


def with_shape(prompt: str, shape: str | None) -> str:
    """Add the words for a shape to a prompt.

    Args:
        prompt: The image in words.
        shape: One of `SHAPES`; `None` leaves it to the model.
    """
    return f"{prompt}\n\n{SHAPES[shape]}" if shape else prompt
