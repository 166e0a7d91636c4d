"""How a turn reaches the server: by whatever makes the remote conversation equal to the local history.

- Nothing to continue, or settings or history have changed: start, with the whole history.
- The remote conversation ends with our last answer: append.
- It has gone on elsewhere, or is being continued: restart a copy of it, from our last answer.
- It is gone, or does not know our answer: start, with the whole history.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

from langchain_mistral_imagegen._conversations.turn import Answer, Turn
from langchain_mistral_imagegen._protocol.flows import Flow, history, send
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidRequestError, NotFoundError, OutcomeUnknownError

Way: TypeAlias = Literal["start", "append", "restart"]
_log = logging.getLogger("langchain_mistral_imagegen")


class Claims:
    """The conversations that are being continued right now: of two branches, only one may append."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def __deepcopy__(self, memo: dict[int, object]) -> Claims:
        """Return the same: a model's copy continues the same conversations."""
        return self

    @contextmanager
    def claim(self, turn: Turn) -> Iterator[bool]:
        """Tell whether nobody else continues the conversation of a turn, and keep others from it meanwhile."""
        claimed = {turn.continues.conversation_id} if turn.continues else set()
        with self._lock:
            is_free = not claimed & self._taken
            if is_free:
                self._taken |= claimed
        try:
            yield is_free
        finally:
            if is_free:
                with self._lock:
                    self._taken -= claimed


def ask(turn: Turn, *, is_alone: bool = True) -> Flow[Response]:
    """Have a turn answered.

    Args:
        turn: What to say, and how.
        is_alone: Whether no other turn is being added to the same conversation.

    Raises:
        InvalidInputError: If a call is confirmed that no longer waits.
        APIError: The server's error.
    """
    answer = turn.continues
    if answer and turn.continuation == "append":
        way: Way = "append"
    else:
        remote = (yield from _entry_ids(answer)) if answer else []
        way = how(answer, remote, is_alone=is_alone)
    if turn.confirms and way != "append":
        raise InvalidInputError("The calls that are confirmed here do not wait any more: the conversation went on")
    if answer and way == "append":
        try:
            return (yield from send(turn.append(answer)))
        except OutcomeUnknownError as error:
            error.conversation_id = answer.conversation_id
            raise
    if answer and way == "restart":
        try:
            return (yield from send(turn.restart(answer)))
        except (InvalidRequestError, NotFoundError) as error:
            _log.warning("Conversation %s cannot be restarted, the history is replayed: %s", answer, error)
    return (yield from send(turn.start()))


def how(answer: Answer | None, remote: Sequence[str], *, is_alone: bool) -> Way:
    """Decide how to continue after an answer.

    Args:
        answer: What to continue from, if there is anything.
        remote: Ids of the entries of its conversation on the server.
        is_alone: Whether no other turn is being added to it.
    """
    if answer is None or answer.head not in remote:
        return "start"
    return "append" if remote[-1] == answer.head and is_alone else "restart"


def _entry_ids(answer: Answer) -> Flow[list[str]]:
    try:
        entries = (yield from history(answer.conversation_id)).entries
    except NotFoundError:
        _log.warning("Conversation %s is gone, its history is replayed into a new one", answer.conversation_id)
        return []
    return [getattr(entry, "id", "") for entry in entries]
