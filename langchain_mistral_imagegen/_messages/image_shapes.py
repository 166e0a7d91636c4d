"""The shapes in which tools, providers and MCP put an image's bytes into a content block: one list for all readers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DATA_URL = re.compile(r"data:(image/[\w.+-]+);base64,([A-Za-z0-9+/]+={0,2})")


def image_in(block: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the base64 text and the media type of the image that a block holds, or `None` if it holds none.

    The media type is `image/jpeg` if the block names none.
    """
    if url := _data_url(block):
        found = DATA_URL.fullmatch(url)
        return (found[2], found[1]) if found else None
    match block:
        case (
            {"type": "image", "base64": str(data)} | {"type": "image", "data": str(data)}  # LangChain's v0, and MCP
        ):
            return data, _media_type(block) or "image/jpeg"
        case {"type": "image", "source": {"type": "base64", "data": str(data)} as source}:  # Anthropic
            return data, _media_type(source) or "image/jpeg"
        case {"type": "resource", "resource": {"blob": str(data)} as holder}:  # MCP
            pass
        case (
            {"type": "media", "data": str(data)}  # Google
            | {"type": "file", "base64": str(data)}
            | {"type": "file", "data": str(data)}
            | {"blob": str(data)}
        ):
            holder = dict(block)
        case _:
            return None
    kind = _media_type(holder)
    return (data, kind) if kind.startswith("image/") else None


def _data_url(block: Mapping[str, Any]) -> str:
    match block:
        case (
            {"type": "image", "url": str(url)}
            | {"type": "image_url" | "input_image", "image_url": str(url)}
            | {"type": "image_url" | "input_image", "image_url": {"url": str(url)}}
        ):
            return url
    return ""


def _media_type(holder: Mapping[str, Any]) -> str:
    names = ("mime_type", "mimeType", "media_type")
    return next((str(holder[name]) for name in names if isinstance(holder.get(name), str)), "")
