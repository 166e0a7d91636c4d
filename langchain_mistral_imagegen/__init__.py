"""Mistral's image generation for LangChain and LangGraph: typed, stored, referenced.

`ChatMistralConversations` is the chat model, `MistralImageGenerationTool` the tool for any LangChain agent,
`ToolFileNode` the LangGraph node that downloads images into the graph's state. Names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from langchain_mistral_imagegen._version import __version__

if TYPE_CHECKING:
    from langchain_mistral_imagegen._messages.confirmations import confirm, pending_calls
    from langchain_mistral_imagegen._messages.markdown import to_markdown
    from langchain_mistral_imagegen._messages.portable import to_portable_messages
    from langchain_mistral_imagegen._messages.references import images_of
    from langchain_mistral_imagegen.chat_models import ChatMistralConversations
    from langchain_mistral_imagegen.events import ImageEvent
    from langchain_mistral_imagegen.images import GeneratedImage, ImageRef, merge_images
    from langchain_mistral_imagegen.langgraph import (
        ApprovalNode,
        ConversationNode,
        ImageDeltaState,
        ImageState,
        ToolFileNode,
        create_image_graph,
        route_images,
    )
    from langchain_mistral_imagegen.stores import ByteStoreImageStore, FsspecImageStore, ImageStore
    from langchain_mistral_imagegen.tools import MistralImageGenerationTool

__all__ = [
    "ApprovalNode",
    "ByteStoreImageStore",
    "ChatMistralConversations",
    "ConversationNode",
    "FsspecImageStore",
    "GeneratedImage",
    "ImageDeltaState",
    "ImageEvent",
    "ImageRef",
    "ImageState",
    "ImageStore",
    "MistralImageGenerationTool",
    "ToolFileNode",
    "__version__",
    "confirm",
    "create_image_graph",
    "images_of",
    "merge_images",
    "pending_calls",
    "route_images",
    "to_markdown",
    "to_portable_messages",
]

_MODULES = {
    "ApprovalNode": "langgraph",
    "ByteStoreImageStore": "stores",
    "ChatMistralConversations": "chat_models",
    "ConversationNode": "langgraph",
    "FsspecImageStore": "stores",
    "GeneratedImage": "images",
    "ImageDeltaState": "langgraph",
    "ImageEvent": "events",
    "ImageRef": "images",
    "ImageState": "langgraph",
    "ImageStore": "stores",
    "MistralImageGenerationTool": "tools",
    "ToolFileNode": "langgraph",
    "confirm": "_messages.confirmations",
    "create_image_graph": "langgraph",
    "images_of": "_messages.references",
    "merge_images": "images",
    "pending_calls": "_messages.confirmations",
    "route_images": "langgraph",
    "to_markdown": "_messages.markdown",
    "to_portable_messages": "_messages.portable",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
