"""`create_image_graph`: the nodes of this package wired, ready to be extended and compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from langchain_core.tools import BaseTool
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy

from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.langgraph.approval_node import ApprovalNode
from langchain_mistral_imagegen.langgraph.conversation_node import ConversationNode
from langchain_mistral_imagegen.langgraph.state import ImageState
from langchain_mistral_imagegen.langgraph.tool_file_node import ToolFileNode
from langchain_mistral_imagegen.stores import ImageStore


def create_image_graph(  # noqa: PLR0913  # all but two by name
    model: ChatMistralConversations,
    image_store: ImageStore | str | None = None,
    *,
    tools: Sequence[BaseTool | Callable[..., Any]] = (),
    approve: bool = False,
    state_schema: type[Any] = ImageState,
    messages_key: str = "messages",
    images_key: str = "images",
) -> StateGraph[Any]:
    """Wire a graph that draws, stores, and does not pay twice.

    `START -> approve -> draw -> download -> END`, where `approve` is there if asked for, and `draw` and `tools` take
    turns while function tools are called.

    Args:
        model: Whom to ask.
        image_store: A store, a path, or an fsspec URL, for pictures and intents.
        tools: Functions that the model may call; they run in the node `tools`.
        approve: Whether a human approves each prompt first (needs a checkpointer).
        state_schema: `ImageState`, a class that extends it, or any with such channels.
        messages_key: Where that state has its messages.
        images_key: Where that state has its references.

    Returns:
        A builder: add to it what you like, then `compile` it, with a checkpointer.

    Raises:
        InvalidInputError: If the state has no such channel with a reducer.

    Example:
        ```python
        from langgraph.checkpoint.memory import InMemorySaver

        graph = create_image_graph(model, "memory://pictures").compile(checkpointer=InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        state = graph.invoke({"messages": [("user", "Draw a boat.")]}, thread)
        ```
    """
    asked = model.bind_tools(tools) if tools else model
    builder: StateGraph[Any] = StateGraph(state_schema)
    policy = RetryPolicy(retry_on=ConversationNode.retry_on)
    draw = ConversationNode(asked, image_store, messages_key=messages_key, images_key=images_key)
    draw.add_to(builder, "draw", retry_policy=policy)
    ToolFileNode(image_store, model, messages_key=messages_key, images_key=images_key).add_to(builder, "download")
    if approve:
        builder.add_node("approve", ApprovalNode("draw", messages_key=messages_key), destinations=("draw", END))
    builder.add_edge(START, "approve" if approve else "draw")
    if tools:
        builder.add_node("tools", ToolNode(tools, messages_key=messages_key))
        builder.add_edge("tools", "draw")
        builder.add_conditional_edges("draw", lambda state: _after(state[messages_key][-1]), ["tools", "download"])
    else:
        builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    return builder


def _after(answer: Any) -> Literal["tools", "download"]:
    return "tools" if answer.tool_calls else "download"
