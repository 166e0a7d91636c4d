"""Calls that wait to be allowed: of tools with `tool_configuration: {"requires_confirmation": [...]}`.

Nothing runs, and no picture is paid for, before such a call is allowed.
https://docs.mistral.ai/studio-api/agents/agent-tools
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, HumanMessage, ToolCall

import langchain_mistral_imagegen._messages.standard_blocks  # noqa: F401  # registers the translator of our own blocks
from langchain_mistral_imagegen.errors import InvalidInputError

CONFIRMATION = "tool_confirmation"
"""Type of the content block that allows or denies a call."""


def pending_calls(message: AIMessage) -> list[ToolCall]:
    """Return the calls of an answer that wait to be allowed or denied; `[]` if there are none.

    Such an answer's `response_metadata["finish_reason"]` is `confirmation`, and its `tool_calls` leave these calls out,
    because they are not (yet) the client's to run.
    """
    if message.response_metadata.get("finish_reason") != "confirmation":
        return []
    blocks = cast("list[dict[str, Any]]", message.content_blocks)
    waiting = [block for block in blocks if block.get("extras", {}).get("confirmation_status") == "pending"]
    return [ToolCall(name=block["name"], args=block["args"], id=block["id"]) for block in waiting]


def confirm(message: AIMessage, *, allow: bool | Mapping[str, bool]) -> HumanMessage:
    """Make the message that answers the waiting calls of an answer; put it right after the answer.

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
        raise InvalidInputError("No call of this message waits to be allowed")
    allowed = allow if isinstance(allow, Mapping) else dict.fromkeys(calls, allow)
    if left_out := [call for call in calls if call not in allowed]:
        raise InvalidInputError(f"`allow` must say yes or no to each waiting call; it leaves out {left_out}")
    words = {True: "allow", False: "deny"}
    return HumanMessage(
        [{"type": CONFIRMATION, "tool_call_id": call, "confirmation": words[bool(allowed[call])]} for call in calls]
    )
