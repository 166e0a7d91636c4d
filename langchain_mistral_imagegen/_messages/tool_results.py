"""Results of function calls where Mistral takes them: right after their calls, each once.

Histories come from many programs: a user may write between a call and its result, a result may come twice or after a
later call, and a summary may have removed a call. Mistral refuses all of these (codes 3001 and 3230, and the validator
of its package mistral-common). One rule for both endpoints:

- The results of an answer's calls follow it, in the order of the calls; of several results of one call the last counts.
- What stood between moves behind them.
- A result without a call becomes a text of the user.
- The ids of calls that another provider made become nine letters and digits, in calls and results alike.

A user's message may follow results: Mistral's validators allow it. So an image that a function returned, or that
`ImagesMiddleware` shows, is a user's turn right after the results. Some other hosts of Mistral's models refuse that and
want an answer in between; none is invented, because the model would take it for its own words, and this package talks
to Mistral's API only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER

_VALID_ID = re.compile("[a-zA-Z0-9]{9}")


def short_call_id(given: str) -> str:
    """Make a tool call id of the form that the server demands (code 3280): nine letters and digits."""
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:9]


@dataclass
class _Call:
    """A call, the id that is sent, and its result."""

    sent_id: str
    result: ToolMessage | None = None


def arranged(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return a history in the order, and with the ids, that Mistral takes; messages are copied where they change.

    The beginning of a history is arranged as it was when nothing had followed, so answers are recognised.
    """
    calls = _calls(messages)
    if not calls and not any(isinstance(message, ToolMessage) for message in messages):
        return messages
    orphans = _assign(messages, calls)
    return list(_in_order(messages, calls, orphans))


def _calls(messages: Sequence[BaseMessage]) -> dict[int, list[_Call]]:
    """Return the calls of each answer, by its place."""
    return {
        place: list(_with_ids(message, place))
        for place, message in enumerate(messages)
        if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls)
    }


def _given_ids(answer: AIMessage) -> list[str]:
    return [call["id"] or "" for call in (*answer.tool_calls, *answer.invalid_tool_calls)]


def _with_ids(answer: AIMessage, place: int) -> Iterator[_Call]:
    is_ours = answer.response_metadata.get("model_provider") == MODEL_PROVIDER
    seen: set[str] = set()
    for number, given in enumerate(_given_ids(answer)):
        is_known = bool(given) and given not in seen and (is_ours or _VALID_ID.fullmatch(given))
        unique = given if given and given not in seen else f"{given} {place} {number}"
        seen.add(given)
        yield _Call(given if is_known else short_call_id(unique))


def _assign(messages: Sequence[BaseMessage], calls: dict[int, list[_Call]]) -> set[int]:
    """Give each call its last result, and return the places of the results that have no call."""
    waiting: dict[str, list[_Call]] = {}
    orphans = set()
    for place, message in enumerate(messages):
        if place in calls and isinstance(message, AIMessage):
            for given in set(_given_ids(message)):  # an id that comes again has a result of its own
                waiting[given] = [call for call in waiting.get(given, ()) if call.result is None]
            for given, call in zip(_given_ids(message), calls[place], strict=True):
                waiting[given].append(call)
        elif isinstance(message, ToolMessage):
            alike = waiting.get(message.tool_call_id)
            if alike is None:
                orphans.add(place)
            else:
                next((call for call in alike if call.result is None), alike[-1]).result = message
    return orphans


def _in_order(
    messages: Sequence[BaseMessage], calls: dict[int, list[_Call]], orphans: set[int]
) -> Iterator[BaseMessage]:
    for place, message in enumerate(messages):
        if place in calls and isinstance(message, AIMessage):
            yield _with_sent_ids(message, [call.sent_id for call in calls[place]])
            yield from (_result(call.result, call.sent_id) for call in calls[place] if call.result)
        elif not isinstance(message, ToolMessage):
            yield message
        elif place in orphans:
            yield _as_text(message)


def _with_sent_ids(answer: AIMessage, ids: list[str]) -> AIMessage:
    if ids == _given_ids(answer):
        return answer
    whole = [
        {**call, "id": new} for call, new in zip((*answer.tool_calls, *answer.invalid_tool_calls), ids, strict=True)
    ]
    count = len(answer.tool_calls)
    return answer.model_copy(update={"tool_calls": whole[:count], "invalid_tool_calls": whole[count:]})


def _result(result: ToolMessage, sent_id: str) -> ToolMessage:
    return result if result.tool_call_id == sent_id else result.model_copy(update={"tool_call_id": sent_id})


def _as_text(result: ToolMessage) -> HumanMessage:
    """Describe what a function returned whose call is no longer there."""
    name = f" of {result.name}" if result.name else ""
    introduction = f"The result{name}, whose call is no longer part of this conversation:"
    if isinstance(result.content, str):
        return HumanMessage(f"{introduction}\n{result.content}")
    blocks: list[Any] = [{"type": "text", "text": introduction}, *result.content]
    return HumanMessage(blocks)
