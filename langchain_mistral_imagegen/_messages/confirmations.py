"""Calls that wait for confirmation: of tools with `tool_configuration: {"requires_confirmation": [...]}`.

Nothing runs, and no image is paid for, before such a call is allowed.
https://docs.mistral.ai/studio-api/agents/agent-tools
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import BaseMessage, HumanMessage, ToolCall

from langchain_mistral_imagegen._messages.message_like import MessageLike, as_messages
from langchain_mistral_imagegen.errors import InvalidInputError

CONFIRMATION = "tool_confirmation"
"""Type of the content block that allows or denies a call."""


def pending_calls(message: MessageLike) -> list[ToolCall]:
    """Return the calls of an answer that wait for confirmation; `[]` if there are none.

    Such an answer's `response_metadata["finish_reason"]` is `confirmation`, and its `tool_calls` leave these calls out,
    because they are not (yet) the client's to run.
    """
    (answer,) = as_messages(message)
    return waiting_calls(answer)


def waiting_calls(answer: BaseMessage) -> list[ToolCall]:
    """Return the calls of a message that wait for confirmation; see `pending_calls`."""
    if answer.response_metadata.get("finish_reason") != "confirmation":
        return []
    blocks = cast("list[dict[str, Any]]", answer.content_blocks)
    waiting = [block for block in blocks if block.get("extras", {}).get("confirmation_status") == "pending"]
    return [ToolCall(name=block["name"], args=block["args"], id=block["id"]) for block in waiting]


def confirm(message: MessageLike, *, allow: bool | Mapping[str, bool]) -> HumanMessage:
    """Make the message that allows or denies the waiting calls of an answer; append it right after the answer.

    Args:
        message: The answer.
        allow: For all calls, or for each by its id.

    Raises:
        InvalidInputError: If no call waits, or `allow` leaves one out.

    Example:
        In a LangGraph node, a human decides: `confirm(answer, allow=interrupt(pending_calls(answer)))`.
    """
    calls = [str(call["id"]) for call in pending_calls(message)]
    if not calls:
        raise InvalidInputError("No call of this message is waiting for confirmation")
    allowed = allow if isinstance(allow, Mapping) else dict.fromkeys(calls, allow)
    if left_out := [call for call in calls if call not in allowed]:
        raise InvalidInputError(f"`allow` needs True or False for each waiting call; it has none for {left_out}")
    names = {True: "allow", False: "deny"}
    return HumanMessage(
        [{"type": CONFIRMATION, "tool_call_id": call, "confirmation": names[bool(allowed[call])]} for call in calls]
    )
