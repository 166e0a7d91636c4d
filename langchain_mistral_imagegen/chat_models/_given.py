"""What users pass as `model`: to nodes, tool, middleware and notebook."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableBinding

from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import InvalidInputError


def unbound(model: Any) -> Any:
    """Return the model inside `model.bind(...)`, `model.bind_tools(...)` and the like."""
    while isinstance(model, RunnableBinding):
        model = model.bound
    return model


def conversations_model(model: Any, user: str) -> ChatMistralConversations:
    """Check a `model` argument, and return it.

    Args:
        model: What was passed.
        user: Name of the class or function it was passed to, for the error.

    Raises:
        InvalidInputError: If it is something else, such as another provider's model or a model's name.
    """
    if isinstance(model, ChatMistralConversations):
        return model
    if isinstance(model, str):
        remedy = f"{model!r}; pass ChatMistralConversations(model={model!r})"
    elif model is ChatMistralConversations:
        remedy = "the class itself; pass an instance, ChatMistralConversations()"
    else:
        remedy = f"of type {type(model).__name__}; pass a ChatMistralConversations"
    raise InvalidInputError(f"{user} needs a ChatMistralConversations as its model, but it is {remedy}")
