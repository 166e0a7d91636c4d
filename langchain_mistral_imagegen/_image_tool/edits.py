"""Images that can be edited: those that the tool generated in this thread, and images from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from langchain_mistral_imagegen._messages.message_like import as_messages
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef

Editable: TypeAlias = ImageRef | GeneratedImage | os.PathLike[str] | str | bytes
# LangGraph's own name for what reads the state of a running task; a tool whose schema asked for the state could not be
# offered over MCP. tests/test_tools.py notices when it changes.
_READ = "__pregel_read"


def earlier_image(image_id: str, config: RunnableConfig | None) -> ImageRef:
    """Find an image that a tool generated in the running thread.

    Raises:
        InvalidInputError: If there is none of this id; the message lists the known ids.
    """
    refs = images_of([message for message in _messages(config) if isinstance(message, ToolMessage)])
    known = {ref["id"]: ref for ref in refs if "conversation_id" in ref}
    if image_id not in known:
        ids = f"the known ids are {', '.join(known)}" if known else "there is none yet"
        raise InvalidInputError(f"edit={image_id!r} is no image that this tool generated in this thread; {ids}")
    return known[image_id]


def _messages(config: RunnableConfig | None) -> Sequence[BaseMessage]:
    read = ((config or {}).get("configurable") or {}).get(_READ)
    try:
        messages = read("messages") if read else ()
    except KeyError:  # a state without messages
        return ()
    return as_messages(messages) if isinstance(messages, list) else ()


def conversation_of(edit: Editable | None) -> str | None:
    """Return the conversation in which an image was generated; `None` for an image from elsewhere."""
    if not isinstance(edit, Mapping):
        return None
    if "conversation_id" not in edit:
        raise InvalidInputError("The image to edit has no conversation_id; pass its file or bytes instead")
    return edit["conversation_id"]


def until_image(messages: Sequence[BaseMessage], edit: Editable | None) -> list[BaseMessage]:
    """Return a conversation up to the answer with the image, where the edit continues.

    Raises:
        InvalidInputError: If no answer has the image.
    """
    image_id = cast("ImageRef", edit)["id"]
    for index, message in enumerate(messages):
        if any(ref["id"] == image_id for ref in images_of(message)):
            return list(messages[: index + 1])
    raise InvalidInputError(f"The conversation of image {image_id!r} does not have it any more; generate a new image")


def question(text: str, edit: Editable | None) -> HumanMessage:
    """Return the request, which shows an image from elsewhere."""
    if edit is None or isinstance(edit, Mapping):
        return HumanMessage(text)
    blocks: list[Any] = [{"type": "text", "text": text}, _content_block(edit)]
    return HumanMessage(blocks)


def _content_block(edit: GeneratedImage | os.PathLike[str] | str | bytes) -> Any:
    if isinstance(edit, GeneratedImage):
        return edit.content_block()
    if not isinstance(edit, bytes) and not Path(edit).is_file():
        raise InvalidInputError(f"edit={edit!r} is no file; pass an image's reference, a path, or bytes")
    data = edit if isinstance(edit, bytes) else Path(edit).read_bytes()
    return GeneratedImage.from_bytes(data, ImageRef(id="edit", status="remote")).content_block()
