"""The request that makes the remote conversation equal to the local history: start, append or restart.

- Nothing to continue, or settings or history have changed: start, with the whole history.
- The remote conversation ends with our last answer: append.
- It was continued elsewhere, or another turn is being added: restart a copy of it, from our last answer.
- It is gone, or does not hold our answer: start, with the whole history.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

from langchain_mistral_imagegen._conversations.turn import ContinuationPoint, Turn
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._protocol.flows import Flow, history, send
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidRequestError, NotFoundError, OutcomeUnknownError

Way: TypeAlias = Literal["start", "append", "restart"]
_log = package_logger()
_NO_RESTART = "Conversation %.100s cannot be restarted; its history is replayed into a new one: %s"


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


def ask(turn: Turn, *, is_alone: bool = True) -> Flow[Response]:
    """Send a turn, in whichever way fits.

    Args:
        turn: The turn.
        is_alone: Whether no other turn is being added to the same conversation.

    Raises:
        InvalidInputError: If a confirmed call is no longer waiting.
        APIError: The server's error.
    """
    point = turn.continues
    if point and turn.continuation == "append":
        way: Way = "append"
    else:
        remote = (yield from _entry_ids(point)) if point else []
        way = way_of(point, remote, is_alone=is_alone)
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


def _entry_ids(point: ContinuationPoint) -> Flow[list[str]]:
    try:
        entries = (yield from history(point.conversation_id)).entries
    except NotFoundError as error:
        if error.from_proxy:
            raise
        _log.warning("Conversation %.100s is gone; its history is replayed into a new one", point.conversation_id)
        return []
    return [getattr(entry, "id", "") for entry in entries]
