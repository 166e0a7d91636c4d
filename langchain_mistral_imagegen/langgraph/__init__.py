"""LangGraph nodes that converse, ask for approval and download images, their state, and the whole graph."""

from __future__ import annotations

from langchain_mistral_imagegen.langgraph.approval_node import ApprovalNode
from langchain_mistral_imagegen.langgraph.conversation_node import ConversationNode
from langchain_mistral_imagegen.langgraph.image_graph import create_image_graph
from langchain_mistral_imagegen.langgraph.state import ImageDeltaState, ImageState
from langchain_mistral_imagegen.langgraph.stream import ImageStreamTransformer
from langchain_mistral_imagegen.langgraph.tool_file_node import ToolFileNode, route_images

__all__ = [
    "ApprovalNode",
    "ConversationNode",
    "ImageDeltaState",
    "ImageState",
    "ImageStreamTransformer",
    "ToolFileNode",
    "create_image_graph",
    "route_images",
]
