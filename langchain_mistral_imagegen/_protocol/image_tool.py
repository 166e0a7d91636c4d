"""Which runs of a tool make images: one predicate for conversations and chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IMAGE_TOOL = "image_generation"
"""The name of Mistral's image tool."""
IMAGE_FUNCTIONS = ("generate_image", "edit_image")
"""The functions of Mistral's image tool, as far as they were reported."""


def tool_name(name: str, function: str | None = None, metadata: Mapping[str, Any] | None = None) -> str:
    """Return the name of the tool that ran: `image_generation` for whatever makes images, else the name itself.

    Args:
        name: As the server sent it: of a tool, or of one of its functions.
        function: The function that ran; it counts only if the name is missing.
        metadata: Of the run; `tool_type` is `"image"` for the image tool, whatever its function is called.
    """
    makes_images = (name or function) in {IMAGE_TOOL, *IMAGE_FUNCTIONS} or (metadata or {}).get("tool_type") == "image"
    return IMAGE_TOOL if makes_images else name
