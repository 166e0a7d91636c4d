"""The request that makes the remote conversation equal to the local history: start, append or restart.

- Nothing to continue, or settings or history have changed: start, with the whole history.
- The remote conversation ends with our last answer: append.
- It was continued elsewhere, or another turn is being added: restart a copy of it, from our last answer.
- It is gone, or does not hold our answer: start, with the whole history.
- Another process appended to it in the moment in which we did: start, with the whole history, and report it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from langchain_mistral_imagegen._conversations.history import is_input
from langchain_mistral_imagegen._conversations.turn import ContinuationPoint, Turn
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._protocol.flows import Flow, history, send
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidRequestError, NotFoundError, OutcomeUnknownError

Way: TypeAlias = Literal["start", "append", "restart"]
_log = package_logger()
_NO_RESTART = "Conversation %.100s cannot be restarted; its history is replayed into a new one: %s"
_MIXED = (
    "Another process appended to conversation %.100s while an earlier turn was being answered, so that its answer may "
    "answer both; the history is replayed into a new conversation"
)


class Claims:
    """The conversations that are being continued right now; of two branches only one may append."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[tuple[int, str, str]] = set()

    @contextmanager
    def claim(self, turn: Turn, server: str) -> Iterator[bool]:
        """Yield whether no other turn continues the conversation, and keep others from it meanwhile."""
        point = turn.continues
        if point is None:
            yield True
            return
        claimed = os.getpid(), server, point.conversation_id  # a forked process has not its parent's claims
        with self._lock:
            is_free = claimed not in self._taken
            self._taken.add(claimed)
        try:
            yield is_free
        finally:
            if is_free:
                with self._lock:
                    self._taken.remove(claimed)


CLAIMS = Claims()
"""Of this process: two models may continue one conversation."""


MIXED = "mixed_with"
"""Name in `response_metadata` of the ids of inputs that another process appended before an earlier answer of ours."""


def ask(turn: Turn, notes: MutableMapping[str, Any], *, is_alone: bool = True) -> Flow[Response]:
    """Send a turn, in whichever way fits.

    Args:
        turn: The turn.
        notes: Takes what is to be reported with the answer.
        is_alone: Whether no other turn is being added to the same conversation.

    Raises:
        InvalidInputError: If a confirmed call is no longer waiting.
        APIError: The server's error.
    """
    point = turn.continues
    if point and turn.continuation == "append":
        way: Way = "append"
    else:
        remote = (yield from _entries(point)) if point else []
        way = way_of(point, list(map(_id, remote)), is_alone=is_alone)
        if point and way != "start" and not turn.confirms and (strangers := _strangers(turn, point, remote)):
            _log.warning(_MIXED, point.conversation_id)
            notes[MIXED], way = strangers, "start"
    if turn.confirms and way != "append":
        raise InvalidInputError(
            "These calls are no longer waiting for confirmation: the conversation was continued without it"
        )
    if point and way == "append":
        try:
            return (yield from send(turn.append(point)))
        except OutcomeUnknownError as error:
            error.conversation_id = point.conversation_id
            raise
    if point and way == "restart":
        try:
            return (yield from send(turn.restart(point)))
        except (InvalidRequestError, NotFoundError) as error:
            _log.warning(_NO_RESTART, point.conversation_id, error)
    return (yield from send(turn.start()))


def way_of(point: ContinuationPoint | None, remote: Sequence[str], *, is_alone: bool) -> Way:
    """Decide how to continue.

    Args:
        point: What to continue from, if anything.
        remote: Ids of the entries of its conversation on the server.
        is_alone: Whether no other turn is being added to it.
    """
    if point is None or point.head not in remote:
        return "start"
    return "append" if remote[-1] == point.head and is_alone else "restart"


def _strangers(turn: Turn, point: ContinuationPoint, remote: Sequence[Any]) -> list[str]:
    """Return the ids of inputs that others appended after our last answer but one: our last one answers them, too.

    The API has no conditional append, so that two processes that look and append in the same moment mix their turns.
    """
    before, ids = turn.point_before(point), list(map(_id, remote))
    if before is None or before.head not in ids:
        return []
    appended = remote[ids.index(before.head) + 1 : ids.index(point.head)]
    inputs = [_id(entry) for entry in appended if is_input(entry)]
    return inputs[: max(0, len(inputs) - len(turn.between(before, point).entries))]  # ours are right before our answer


def _entries(point: ContinuationPoint) -> Flow[Sequence[Any]]:
    try:
        return (yield from history(point.conversation_id)).entries
    except NotFoundError as error:
        if error.from_proxy:
            raise
        _log.warning("Conversation %.100s is gone; its history is replayed into a new one", point.conversation_id)
        return []


def _id(entry: Any) -> str:
    return getattr(entry, "id", "")
