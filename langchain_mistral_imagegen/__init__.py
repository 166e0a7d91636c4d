"""Mistral's image generation for LangChain and LangGraph: typed, stored, referenced.

`ChatMistralConversations` is the chat model, `MistralImageGenerationTool` the tool for any LangChain agent,
`ToolFileNode` the LangGraph node that downloads pictures into the graph's state. Names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from langchain_mistral_imagegen._version import __version__

if TYPE_CHECKING:
    from langchain_mistral_imagegen._progress import ImageEvent
    from langchain_mistral_imagegen._references import images_of
    from langchain_mistral_imagegen.approvals import ApprovalNode
    from langchain_mistral_imagegen.chat_models import ChatMistralConversations
    from langchain_mistral_imagegen.confirmations import confirm, pending_calls
    from langchain_mistral_imagegen.conversation_node import ConversationNode
    from langchain_mistral_imagegen.image_graph import create_image_graph
    from langchain_mistral_imagegen.image_state import ImageDeltaState, ImageState
    from langchain_mistral_imagegen.images import GeneratedImage, ImageRef, merge_images
    from langchain_mistral_imagegen.portable import to_portable_messages
    from langchain_mistral_imagegen.stores import ByteStoreImageStore, FsspecImageStore, ImageStore
    from langchain_mistral_imagegen.tool_file_node import ToolFileNode, route_images
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
    "to_portable_messages",
]

_MODULES = {
    "ApprovalNode": "approvals",
    "ByteStoreImageStore": "stores",
    "ChatMistralConversations": "chat_models",
    "ConversationNode": "conversation_node",
    "FsspecImageStore": "stores",
    "GeneratedImage": "images",
    "ImageDeltaState": "image_state",
    "ImageEvent": "_progress",
    "ImageRef": "images",
    "ImageState": "image_state",
    "ImageStore": "stores",
    "MistralImageGenerationTool": "tools",
    "ToolFileNode": "tool_file_node",
    "confirm": "confirmations",
    "create_image_graph": "image_graph",
    "images_of": "_references",
    "merge_images": "images",
    "pending_calls": "confirmations",
    "route_images": "tool_file_node",
    "to_portable_messages": "portable",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
