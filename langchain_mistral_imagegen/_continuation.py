"""How to make the remote conversation equal to the local history: start a new one, or append to the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage

from langchain_mistral_imagegen._answers import MODEL_PROVIDER


@dataclass(frozen=True)
class Start:
    """Start a conversation with these messages."""

    messages: Sequence[BaseMessage]


@dataclass(frozen=True)
class Append:
    """Append these messages to a conversation."""

    conversation_id: str
    messages: Sequence[BaseMessage]


def plan(messages: Sequence[BaseMessage], *, store: bool) -> Start | Append:
    """Decide from the messages alone.

    The last AI message names its conversation; what came after it is appended. Without one, or when nothing is kept on
    the server, the whole history is sent.

    Args:
        messages: The local history, oldest first.
        store: Whether the server is asked to keep the conversation.
    """
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if isinstance(message, AIMessage):
            conversation_id = _conversation(message)
            if store and conversation_id and place + 1 < len(messages):
                return Append(conversation_id, messages[place + 1 :])
            break
    return Start(messages)


def _conversation(message: AIMessage) -> str | None:
    metadata = message.response_metadata
    if metadata.get("model_provider") != MODEL_PROVIDER or metadata.get("store") is False:
        return None
    return metadata.get("conversation_id")
