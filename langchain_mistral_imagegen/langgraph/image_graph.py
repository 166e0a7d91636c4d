"""`create_image_graph`: a graph of this package's nodes, to extend and compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NotRequired, get_type_hints

from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import RetryPolicy, Send
from typing_extensions import TypedDict

from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model, unbound
from langchain_mistral_imagegen.langgraph._node import part_of
from langchain_mistral_imagegen.langgraph.approval_node import ApprovalNode
from langchain_mistral_imagegen.langgraph.conversation_node import ConversationNode
from langchain_mistral_imagegen.langgraph.state import ImageState
from langchain_mistral_imagegen.langgraph.tool_file_node import ToolFileNode
from langchain_mistral_imagegen.stores import ImageStore


def create_image_graph(  # noqa: PLR0913  # all but one by name
    model: ChatMistralConversations | str,
    *,
    image_store: ImageStore | str | None = None,
    tools: Sequence[BaseTool | Callable[..., Any]] = (),
    approve: bool = False,
    state_schema: type[Any] = ImageState,
    input_schema: type[Any] | None = None,
    messages_key: str = "messages",
    images_key: str = "images",
    public_url: str | None = None,
) -> StateGraph[Any]:
    """Build a graph that generates and stores images, and does not pay twice.

    `START -> approve -> draw -> download -> END`. The node `approve` exists only with `approve=True`. While the model
    calls functions, `draw` and `tools` alternate.

    Args:
        model: The chat model, or the name of a model, such as `mistral-medium-latest`.
        image_store: A store, a path, or an fsspec URL, for images and the ledger; by default `generated_images`, or
            `$MISTRAL_IMAGEGEN_STORE`.
        tools: Functions that the model may call; they run in the node `tools`.
        approve: Whether a human approves each prompt first (needs a checkpointer).
        state_schema: `ImageState`, a class that extends it, or any class with the same channels: a `TypedDict`,
            pydantic class or dataclass.
        input_schema: What callers of the graph may pass; by default everything in the state except images, so that
            clients cannot write references. In a parent graph whose state has images, pass `ImageState` here, too;
            otherwise images of earlier turns are downloaded again.
        messages_key: Channel of the messages.
        images_key: Channel of the references.
        public_url: URL below which the program serves the image store, as with `web.image_routes`; each stored
            reference then has a `url` below it.

    Returns:
        A builder: extend it, then `compile` it, with a checkpointer.

    Raises:
        InvalidInputError: If the state lacks a channel with a reducer, or if `model` or `image_store` cannot be used.

    Example:
        ```python
        from langgraph.checkpoint.memory import InMemorySaver

        graph = create_image_graph(model, image_store="memory://images").compile(checkpointer=InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        state = graph.invoke({"messages": [("user", "Draw a boat.")]}, thread)
        ```
    """
    chat_model: Any = ChatMistralConversations(model=model) if isinstance(model, str) else model
    downloader = conversations_model(unbound(chat_model), "create_image_graph")
    builder: StateGraph[Any] = StateGraph(
        state_schema, input_schema=input_schema or _without_channel(state_schema, images_key)
    )
    policy = RetryPolicy(retry_on=ConversationNode.retry_on)
    with_tools = chat_model.bind_tools(tools) if tools else chat_model
    draw = ConversationNode(with_tools, image_store=image_store, messages_key=messages_key, images_key=images_key)
    draw.add_to(builder, "draw", retry_policy=policy)
    download = ToolFileNode(
        image_store=image_store,
        model=downloader,
        messages_key=messages_key,
        images_key=images_key,
        public_url=public_url,
    )
    download.add_to(builder, "download")
    if approve:
        builder.add_node(
            "approve", ApprovalNode(approved="draw", messages_key=messages_key), destinations=("draw", END)
        )
        # The decision itself goes on; the edges let a fork that begins after this node go on, too.
        builder.add_conditional_edges("approve", lambda state: _approved(part_of(state, messages_key)), ["draw", END])
    builder.add_edge(START, "approve" if approve else "draw")
    if tools:
        builder.add_node("tools", ToolNode(tools, messages_key=messages_key))
        builder.add_edge("tools", "draw")
        builder.add_conditional_edges("draw", lambda state: _after(part_of(state, messages_key)), ["tools", "download"])
    else:
        builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    return builder


def _without_channel(state_schema: type[Any], key: str) -> type[Any]:
    hints = get_type_hints(state_schema, include_extras=True)
    required: frozenset[str] = getattr(state_schema, "__required_keys__", frozenset())
    fields = {name: hint if name in required else NotRequired[hint] for name, hint in hints.items() if name != key}
    schema: type[Any] = TypedDict("ImageGraphInput", fields)  # type: ignore[misc]  # made when the program runs
    return schema


def _approved(messages: Sequence[Any]) -> str:
    return END if isinstance(messages[-1], AIMessage) else "draw"


def _after(messages: Sequence[Any]) -> list[Send] | str:
    """Run each tool call in a task of its own, so that one that interrupts repeats no other."""
    return [Send("tools", [call]) for call in messages[-1].tool_calls] or "download"
