"""Finding an answer at Mistral that was paid for and did not arrive.

A new or restarted conversation is found by the key in its metadata. An append takes no metadata, so its answer is found
after its own inputs, at the end of the conversation that it continued.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._conversations.history import is_input, response_of
from langchain_mistral_imagegen._conversations.turn import KEY, Turn
from langchain_mistral_imagegen._ledger.decision import pause
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, Wire, is_finished
from langchain_mistral_imagegen._protocol.flows import Flow, Pause
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import InvalidInputError, LostAnswer, NotFoundError, OutcomeUnknownError
from langchain_mistral_imagegen.events import emitter

_POLL = 1.0  # seconds between two looks at an answer that may still be written
_log = package_logger()


def lost_answer(turn: Turn, key: str, *, appended: bool) -> LostAnswer:
    """Describe how the answer to a turn can be found.

    Args:
        turn: The turn.
        key: In the metadata of the conversation, if one was started or restarted.
        appended: Whether the turn was, or may have been, appended to the conversation that it continues.
    """
    point = turn.continues if appended else None
    return LostAnswer(
        key=key,
        model=turn.name,
        fingerprint=turn.fingerprint,
        conversation_id=point.conversation_id if point else None,
        head=point.head if point else None,
        inputs=tuple(map(_digest, turn.since(point).entries)) if point else (),
    )


def note_lost_answer(error: OutcomeUnknownError, turn: Turn) -> None:
    """Note in an error how the answer to a turn can be found, if Mistral keeps it."""
    if turn.is_stored:
        appended = bool(turn.continues and turn.continues.conversation_id == error.conversation_id)
        error.lost = lost_answer(turn, turn.labels["metadata"][KEY], appended=appended)


def reconcile(error: OutcomeUnknownError | LostAnswer, urls: SignedUrls, wait: float) -> Flow[AIMessage | None]:
    """Look for the answer that did not arrive.

    Args:
        error: The error, or its account of the lost answer.
        urls: Holds the signed URLs that are removed from the answer.
        wait: Seconds for which to look again and again.

    Raises:
        InvalidInputError: If it cannot be found, because it was not kept.
    """
    lost = error.lost if isinstance(error, OutcomeUnknownError) else error
    if lost is None:
        raise InvalidInputError(f"There is no stored conversation in which the answer could be found: {error}")
    found = yield from look(lost, wait)
    context = AnswerContext(model=lost.model, urls=urls, fingerprint=lost.fingerprint)
    return to_message(found, context) if found else None


def look(lost: LostAnswer, wait: float) -> Flow[ConversationResponse | None]:
    """Look for an answer, again and again for so many seconds, and once more at their end."""
    looks, left = 0, wait
    while (found := (yield from find(lost))) is None and left > 0:
        looks += 1
        seconds = min(left, pause(looks))
        left -= seconds
        emitter()({"type": "mistral.image.waiting", "seconds": round(left + seconds, 1)})
        _log.info("The answer is not there yet; looking again in %g s, for at most %g s", seconds, left)
        yield Pause(seconds)
    return found


def find(lost: LostAnswer) -> Flow[ConversationResponse | None]:
    """Look for an answer once, and return it when it is complete: the server may still be writing its entries.

    It is complete if it ends with a finished `message.output`, or is the same in two looks.
    """
    before: list[Any] = []
    while found := (yield from _find(lost)):
        entries = [entry.as_sent() for entry in found.outputs]
        if is_finished(found.outputs) or entries == before:
            return found
        before = entries
        yield Pause(_POLL)
    return None


def entries_of(conversation_id: str) -> Flow[list[Any]]:
    """Read the entries of a conversation; `[]` if Mistral has no such conversation."""
    try:
        return (yield from api.conversation_history(conversation_id)).entries
    except NotFoundError as error:
        if error.from_proxy:
            raise
        return []


def _find(lost: LostAnswer) -> Flow[ConversationResponse | None]:
    found = yield from _started(lost.key)
    if found is None and lost.conversation_id:
        found = yield from _appended(lost, lost.conversation_id)
    return found


def _started(key: str) -> Flow[ConversationResponse | None]:
    """Return the newest answer of the conversation that was started or restarted with a key."""
    # The server's filter is not documented well enough to be trusted alone.
    for conversation in (yield from api.list_conversations(metadata={KEY: key})):
        if (conversation.metadata or {}).get(KEY) == key:
            entries = yield from entries_of(conversation.id)
            inputs = [place for place, entry in enumerate(entries) if is_input(entry)]
            if outputs := entries[inputs[-1] + 1 :] if inputs else []:
                return response_of(conversation.id, outputs)
    return None


def _appended(lost: LostAnswer, conversation_id: str) -> Flow[ConversationResponse | None]:
    """Return the answer to the inputs that were appended after the head."""
    entries = yield from entries_of(conversation_id)
    ids = [getattr(entry, "id", "") for entry in entries]
    place = ids.index(lost.head) + 1 if lost.head in ids else len(entries)
    outputs = _outputs(entries[place:], lost.inputs)
    return response_of(conversation_id, outputs) if outputs else None


def _outputs(entries: Sequence[Wire], inputs: Sequence[str]) -> list[Wire]:
    """Return the entries that answer these inputs, if the entries begin with them."""
    if tuple(_digest(entry.as_sent()) for entry in entries[: len(inputs)]) != tuple(inputs):
        return []
    outputs: list[Wire] = []
    for entry in entries[len(inputs) :]:
        if is_input(entry):
            break
        outputs.append(entry)
    return outputs


def _digest(entry: Mapping[str, Any]) -> str:
    """Digest the part of an input entry that comes back as it was sent."""
    sent = [_text(entry.get(name)) for name in ("type", "role", "content", "tool_call_id")]
    text = json.dumps(sent, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _text(content: Any) -> Any:
    """Return content in one form: a text may come back as a list of chunks."""
    if isinstance(content, list):
        return "".join(str(chunk.get("text", "")) for chunk in content)
    return content
