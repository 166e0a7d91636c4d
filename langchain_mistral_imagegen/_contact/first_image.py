"""The first image that the check draws, and what the lists show meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._contact.question import Finding
from langchain_mistral_imagegen._contact.visit import Answer, Visit
from langchain_mistral_imagegen._protocol.entries import is_finished
from langchain_mistral_imagegen._protocol.flows import Flow, Pause, now, together
from langchain_mistral_imagegen.errors import APIError, MistralImagegenError

DRAW = "Generate an image of a single orange cat on a white background."
"""The prompt of both images."""
_POLL = 1.0  # seconds; small plans allow one request a second


@dataclass
class _Watch:
    """What the lists show of an answer that is being written.

    Attributes:
        is_over: Whether the answer has arrived.
        looks: How often somebody looked before.
        listed_after: Seconds after the request left, or `None` if it was not listed before the answer arrived.
        histories: Types of the entries that its history had before, each different list once.
    """

    is_over: bool = False
    looks: int = 0
    listed_after: float | None = None
    histories: list[list[str]] = field(default_factory=list)


def first_answer(visit: Visit) -> Flow[Answer]:
    """Return the answer with the first image."""
    return visit.once("drawn", lambda: _draw_and_watch(visit))


def _draw_and_watch(visit: Visit) -> Flow[Answer]:
    watch = visit.notes["watch"] = _Watch()
    answer, watched = yield from together([_draw(visit, watch), _look_on(visit, watch)], 2)
    for outcome in (answer, watched):
        if isinstance(outcome, Exception):
            raise outcome
    visit.notes["listed"] = yield from _listed(visit)
    return answer  # type: ignore[return-value]  # the other flow returns nothing


def _draw(visit: Visit, watch: _Watch) -> Flow[Answer | None]:
    try:
        metadata = visit.metadata(image="first")
        return (yield from visit.start(DRAW, tools=[{"type": "image_generation"}], metadata=metadata))
    finally:
        watch.is_over = True


def _look_on(visit: Visit, watch: _Watch) -> Flow[Answer | None]:
    begun = yield from now()
    while not watch.is_over:
        ids = yield from _listed(visit)
        if watch.is_over:  # what was listed may be the complete answer
            break
        watch.looks += ids is not None
        for conversation_id in ids or ():
            if watch.listed_after is None:
                watch.listed_after = (yield from now()).since(begun)
            yield from _read_on(conversation_id, watch)
        yield Pause(_POLL)
    return None


def _read_on(conversation_id: str, watch: _Watch) -> Flow[None]:
    try:
        history = yield from api.conversation_history(conversation_id)
    except APIError as error:
        types = [f"status {error.status_code}"]
    except MistralImagegenError:
        return
    else:
        if is_finished(history.entries):  # and on its way to the client
            return
        types = [entry.type for entry in history.entries]
    if not watch.is_over and types not in watch.histories:
        watch.histories.append(types)


def _listed(visit: Visit) -> Flow[list[str] | None]:
    """Return the ids of the conversations with the image; `None` if the list cannot be read: the image is paid for."""
    try:
        found = yield from api.list_conversations(metadata=visit.metadata(image="first"), limit=100)
    except MistralImagegenError:
        return None
    return [one.id for one in found if (one.metadata or {}) | visit.metadata(image="first") == one.metadata]


def early(visit: Visit) -> Flow[Finding]:
    """Find out whether a conversation is listed before its answer is complete."""
    answer = yield from first_answer(visit)
    watch: _Watch = visit.notes["watch"]
    if visit.notes["listed"] is None:
        return Finding(answer="not known: the list cannot be read", fits=None)
    if answer.conversation_id not in visit.notes["listed"]:
        return Finding(answer="no, and not when the answer is complete", fits=False)
    if watch.listed_after is not None:
        return Finding(answer=f"yes, after {watch.listed_after:.1f} s", fits=True)
    if not watch.looks:
        return Finding(answer="not known: the answer came too fast to look; it is listed then", fits=None)
    return Finding(answer=f"no ({watch.looks} looks), but when the answer is complete", fits=True)


def unfinished(visit: Visit) -> Flow[Finding]:
    """Find out what the history shows while an answer is written."""
    yield from first_answer(visit)
    watch: _Watch = visit.notes["watch"]
    if not watch.histories:
        fits = None if not watch.looks else True
        return Finding(answer="no history was seen before the answer was complete", fits=fits)
    answer = "; then ".join(" + ".join(types) or "nothing" for types in watch.histories)
    outputs = {kind for types in watch.histories for kind in types} - {"message.input"}
    is_readable = not any(kind.startswith("status") for kind in outputs)
    return Finding(answer=answer, fits=not outputs if is_readable else True, evidence=watch.histories)
