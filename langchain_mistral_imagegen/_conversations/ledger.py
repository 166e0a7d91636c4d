"""Not paying twice: an intent is written before a conversation is asked, and whoever finds one looks for its answer.

A crash between paying and remembering leaves the intent behind, and the answer at Mistral. A new or restarted
conversation is found by the key in its metadata; an append, which takes no metadata, by its own words at the end of the
conversation it was added to. A fork may say the same words, so an intent also says whether it is to be appended.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._conversations.history import is_input, response_of
from langchain_mistral_imagegen._conversations.turn import Answer, Turn
from langchain_mistral_imagegen._files import incoming_file
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, Wire
from langchain_mistral_imagegen._protocol.flows import Flow, Pause, blocking
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen.errors import ImageStoreError, NotFoundError
from langchain_mistral_imagegen.stores import ImageStore

KEY = "langchain_mistral_imagegen_key"
"""Name of the key in a conversation's metadata."""
_POLL = 1.0  # seconds between two looks for an answer that may still be drawn


@dataclass(frozen=True)
class Intent:
    """What is known of the first intent with a key.

    Attributes:
        age: Seconds since it was written; `None` if that was just now.
        appends: Whether the turn was to be appended to its conversation.
    """

    age: float | None
    appends: bool


@dataclass(frozen=True)
class Intents:
    """Records in an image store that something is about to be paid for."""

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
        """Take an intent back, if it can be; one that stays only makes the next attempt wait."""
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
        # A store keeps what is there already, so of several that write at once only one reads its own words.
        kept = json.loads(self.store.get(place))
        age = (datetime.now(UTC) - datetime.fromisoformat(kept["at"])).total_seconds()
        return Intent(None if kept["by"] == mine else age, kept.get("appends", True))


def _place(key: str) -> str:
    return f"_intents/{key}.json"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How to look for an answer.

    Attributes:
        timeout: Seconds that an answer may take; while an intent is younger, its answer is waited for.
        always: Whether to look even if no intent is found.
    """

    timeout: float
    always: bool = False


def answer_of(turn: Turn, key: str, intents: Intents, patience: Patience) -> Flow[ConversationResponse | None]:
    """Announce a turn, and return the answer that it has got already.

    Args:
        turn: What is to be said.
        key: Tells this very turn from all others, also over retries and crashes.
        intents: Where intents are written.
        patience: How to look.
    """
    appends = yield from _appends(turn)
    intent = yield from blocking(lambda: intents.announce(key, appends=appends))
    if intent.age is None and not patience.always:
        return None
    by_words = intent.appends or intent.age is None  # an intent that got lost may have been any
    wait = 0.0 if intent.age is None else patience.timeout - intent.age
    return (yield from look(turn, key, wait, by_words=by_words))


def withdraw(key: str, intents: Intents, error: Exception) -> Flow[None]:
    """Take an intent back after an error that proves that nothing was drawn: then there is nothing to wait for."""
    if is_unpaid(error):
        yield from blocking(lambda: intents.withdraw(key))


def look(turn: Turn, key: str, wait: float, *, by_words: bool) -> Flow[ConversationResponse | None]:
    """Look for the answer to a turn that was sent with a key, and for so many seconds again and again.

    Args:
        turn: What was said.
        key: In the metadata of the conversation, if one was started or restarted.
        wait: Seconds.
        by_words: Whether the turn was, or may have been, appended to the conversation that it continues.
    """
    waited = 0.0
    while (found := (yield from _find(turn, key, by_words=by_words))) is None and waited < wait:
        yield Pause(_POLL)
        waited += _POLL
    return found


def lost_answer(turn: Turn, context: AnswerContext, wait: float, *, by_words: bool) -> Flow[AIMessage | None]:
    """Look for the answer to a turn that did not arrive; see `look`."""
    found = yield from look(turn, turn.labels["metadata"][KEY], wait, by_words=by_words)
    return to_message(found, context) if found else None


def _appends(turn: Turn) -> Flow[bool]:
    """Tell whether the conversation of a turn still ends with the answer that the turn continues."""
    if not turn.continues or turn.continuation == "append":
        return bool(turn.continues)
    entries = yield from _entries(turn.continues.conversation_id)
    return bool(entries) and getattr(entries[-1], "id", "") == turn.continues.head


def _find(turn: Turn, key: str, *, by_words: bool) -> Flow[ConversationResponse | None]:
    found = yield from _started(key)
    if found is None and by_words and turn.continues:
        found = yield from _appended(turn, turn.continues)
    return found


def _started(key: str) -> Flow[ConversationResponse | None]:
    """Return the newest answer of the conversation that was started or restarted with a key."""
    # The server's filter is not documented well enough to be trusted alone.
    for conversation in (yield from api.list_conversations(metadata={KEY: key})):
        if (conversation.metadata or {}).get(KEY) == key:
            entries = yield from _entries(conversation.id)
            inputs = [place for place, entry in enumerate(entries) if is_input(entry)]
            if outputs := entries[inputs[-1] + 1 :] if inputs else []:
                return response_of(conversation.id, outputs)
    return None


def _appended(turn: Turn, answer: Answer) -> Flow[ConversationResponse | None]:
    """Return what was answered to a turn's own words after the answer that it continues."""
    entries = yield from _entries(answer.conversation_id)
    ids = [getattr(entry, "id", "") for entry in entries]
    place = ids.index(answer.head) + 1 if answer.head in ids else len(entries)
    outputs = _outputs(entries[place:], turn.since(answer).entries)
    return response_of(answer.conversation_id, outputs) if outputs else None


def _entries(conversation_id: str) -> Flow[list[Any]]:
    try:
        return (yield from api.conversation_history(conversation_id)).entries
    except NotFoundError:
        return []


def _outputs(entries: Sequence[Any], said: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return what was answered to these inputs, if the entries begin with them."""
    begins = len(entries) > len(said) and all(map(_is_same, entries, said))
    outputs: list[Any] = []
    for entry in entries[len(said) :] if begins else ():
        if is_input(entry):
            break
        outputs.append(entry)
    return outputs


def _is_same(entry: Wire, said: Mapping[str, Any]) -> bool:
    sent = entry.as_sent()
    return all(_words(sent.get(name)) == _words(said.get(name)) for name in ("type", "role", "content", "tool_call_id"))


def _words(content: Any) -> Any:
    """Return content in one form: a text may come back as a list of chunks."""
    if isinstance(content, list):
        return "".join(str(chunk.get("text", "")) for chunk in content)
    return content
