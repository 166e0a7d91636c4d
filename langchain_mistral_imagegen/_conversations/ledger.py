"""Never paying twice: an intent is written before a conversation is asked, and whoever finds one looks for its answer.

A crash between paying and storing the answer leaves the intent behind, and the answer at Mistral. A fork may send the
same inputs, so an intent also records whether its turn was to be appended.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from langchain_mistral_imagegen._conversations.lost_answers import entries_of, look, lost_answer
from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._files import incoming_file
from langchain_mistral_imagegen._protocol.entries import ConversationResponse
from langchain_mistral_imagegen._protocol.flows import Flow, blocking
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen.errors import ImageStoreError
from langchain_mistral_imagegen.stores import ImageStore


@dataclass(frozen=True)
class Intent:
    """The first intent with a key.

    Attributes:
        age: Seconds since it was written; `None` if that was just now.
        appends: Whether the turn was to be appended to its conversation.
    """

    age: float | None
    appends: bool


@dataclass(frozen=True)
class Intents:
    """Records in an image store of what is about to be paid for."""

    store: ImageStore

    def announce(self, key: str, *, appends: bool) -> Intent:
        """Write an intent, unless there is one with this key, and return the one that is there.

        Raises:
            ImageStoreError: If it cannot be written. Nothing was paid then.
        """
        try:
            return self._announce(key, appends=appends)
        except OSError as error:
            place = self.store.location("").rstrip("/")
            raise ImageStoreError(
                f"The intent to ask could not be kept in {place}, so nothing was asked or paid: {error}"
            ) from error

    def withdraw(self, key: str) -> None:
        """Delete an intent if possible; one that stays only makes the next attempt wait."""
        with suppress(OSError):
            self.store.delete(_place(key))

    def _announce(self, key: str, *, appends: bool) -> Intent:
        mine = secrets.token_hex(8)
        place = _place(key)
        file = incoming_file(self.store.temporary_folder())
        try:
            file.write_text(json.dumps({"by": mine, "at": datetime.now(UTC).isoformat(), "appends": appends}))
            self.store.put(file, place)
        finally:
            file.unlink(missing_ok=True)
        # A store keeps what is there already, so of several that write at once only one reads its own record.
        kept = json.loads(self.store.get(place))
        age = (datetime.now(UTC) - datetime.fromisoformat(kept["at"])).total_seconds()
        return Intent(None if kept["by"] == mine else age, kept.get("appends", True))


def _place(key: str) -> str:
    return f"_intents/{key}.json"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How to look for an answer.

    Attributes:
        timeout: Seconds that an answer may take; the answer to a younger intent is waited for.
        always: Whether to look even if there is no intent.
    """

    timeout: float
    always: bool = False


def answer_of(turn: Turn, key: str, intents: Intents, patience: Patience) -> Flow[ConversationResponse | None]:
    """Announce a turn, and return the answer that it has already; `None` if it must be asked.

    Args:
        turn: The turn.
        key: Identifies this turn, also over retries and crashes.
        intents: The intents so far.
        patience: How to look.
    """
    appends = yield from _appends(turn)
    intent = yield from blocking(lambda: intents.announce(key, appends=appends))
    if intent.age is None and not patience.always:
        return None
    appended = intent.appends or intent.age is None  # an intent that got lost may have been any
    wait = 0.0 if intent.age is None else patience.timeout - intent.age
    return (yield from look(lost_answer(turn, key, appended=appended), wait))


def withdraw(key: str, intents: Intents, error: Exception) -> Flow[None]:
    """Withdraw an intent after an error that proves that nothing was paid: there is no answer to wait for."""
    if is_unpaid(error):
        yield from blocking(lambda: intents.withdraw(key))


def _appends(turn: Turn) -> Flow[bool]:
    """Return whether the conversation of a turn still ends with the answer that the turn continues."""
    if not turn.continues or turn.continuation == "append":
        return bool(turn.continues)
    entries = yield from entries_of(turn.continues.conversation_id)
    return bool(entries) and getattr(entries[-1], "id", "") == turn.continues.head
