"""Questions about conversations: how they are listed, continued and copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.visit import MARK, Answer, Visit
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.flows import Flow

IMAGE_TOOL: Mapping[str, Any] = {"type": "image_generation"}
_LONG = (
    "Repeat these words and add nothing: amber birch cedar dune ember fern grove heath iris jade kelp lark moss nettle "
    "oak pine quartz reed sage thyme umber vale willow yarrow zinnia."
)
_SHORT = "Once more."


def first_answer(visit: Visit) -> Flow[Answer]:
    """Start the conversation that most questions look at."""
    return visit.once("first", lambda: visit.start(_LONG, tools=[IMAGE_TOOL]))


def _copy(visit: Visit) -> Flow[Answer]:
    first = yield from first_answer(visit)
    body = {"inputs": _SHORT, "metadata": visit.metadata(copy="yes")}
    request = requests.restart_conversation(first.conversation_id, first.head, body)
    return (yield from visit.once("copy", lambda: visit.converse(request)))


def tokens_of(answer: Answer) -> dict[str, int]:
    """Return the tokens of an answer, as evidence."""
    return {f"{kind} tokens": answer.tokens(kind) for kind in ("input", "output")}


def _filter(visit: Visit) -> Flow[Finding]:
    first = yield from first_answer(visit)
    with_it = yield from api.list_conversations(metadata=visit.metadata(), limit=100)
    without = yield from api.list_conversations(metadata={MARK: f"not {visit.mark}"}, limit=100)
    is_found = first.conversation_id in {one.id for one in with_it}
    is_filtered = first.conversation_id not in {one.id for one in without}
    answer = "applied" if is_filtered else "ignored: conversations without the metadata are listed too"
    return Finding(
        answer=answer if is_found else "the conversation is not found by its metadata",
        fits=is_found and is_filtered,
        evidence={"with its metadata": len(with_it), "with other metadata": len(without)},
    )


def _order(visit: Visit) -> Flow[Finding]:
    first, second = (yield from first_answer(visit)), (yield from _copy(visit))
    listed = [one.id for one in (yield from api.list_conversations(limit=100))]
    if not {first.conversation_id, second.conversation_id} <= set(listed):
        return Finding(answer="two new conversations are not among the first 100", fits=False)
    is_newest_first = listed.index(second.conversation_id) < listed.index(first.conversation_id)
    return Finding(answer="newest first" if is_newest_first else "oldest first", fits=is_newest_first)


def _restart_id(visit: Visit) -> Flow[Finding]:
    first, copy = (yield from first_answer(visit)), (yield from _copy(visit))
    is_new = first.conversation_id != copy.conversation_id
    return Finding(answer="yes" if is_new else "no, the copy has the id of the original", fits=is_new)


def _restart_entry(visit: Visit) -> Flow[Finding]:
    first, copy = (yield from first_answer(visit)), (yield from _copy(visit))
    evidence = {"first": tokens_of(first), "restarted": tokens_of(copy), "new question": f"{len(_SHORT.split())} words"}
    if not (first.tokens("input") and first.tokens("output") and copy.tokens("input")):
        return Finding(answer="not known: the server reports no tokens", fits=None, evidence=evidence)
    # The copy's prompt is the first prompt, the first answer if it is in the copy, and a question of a few tokens.
    grown = copy.tokens("input") - first.tokens("input")
    includes = grown > first.tokens("output") / 2
    answer = "yes" if includes else "no, it ends before that entry"
    return Finding(answer=f"{answer} (the prompt grew by {grown} tokens)", fits=includes, evidence=evidence)


def _restart_metadata(visit: Visit) -> Flow[Finding]:
    copy = yield from _copy(visit)
    found = yield from api.list_conversations(metadata=visit.metadata(copy="yes"), limit=100)
    is_found = copy.conversation_id in {one.id for one in found if (one.metadata or {}).get("copy") == "yes"}
    return Finding(answer="yes" if is_found else "no", fits=is_found)


def _append(visit: Visit) -> Flow[Finding]:
    copy = yield from _copy(visit)
    more = yield from visit.append(copy.conversation_id, {"inputs": _SHORT})
    is_same = more.conversation_id == copy.conversation_id
    return Finding(answer="yes" if is_same else "no, the answer has a new id", fits=is_same)


CONVERSATIONS = (
    Question(
        name="filter",
        text="Is the metadata filter of conversations applied?",
        assumes="applied (checked again by the package)",
        otherwise="works all the same, but looking for a lost answer reads the whole list",
        find=_filter,
    ),
    Question(
        name="order",
        text="In which order are conversations listed?",
        assumes="newest first",
        otherwise="works all the same: the package reads the whole list",
        find=_order,
    ),
    Question(
        name="append",
        text="Does a conversation keep its id when it is continued?",
        assumes="yes",
        otherwise="works all the same: the id of the latest answer counts",
        find=_append,
    ),
    Question(
        name="restart_id",
        text="Does a restart make a copy with a new id?",
        assumes="yes",
        otherwise="going back to an earlier answer changes the original conversation",
        find=_restart_id,
    ),
    Question(
        name="restart_entry",
        text="Does the copy include the entry it is restarted from?",
        assumes="yes",
        otherwise="the model does not know its last answer when a conversation branches; set store=False",
        find=_restart_entry,
    ),
    Question(
        name="restart_metadata",
        text="Is the copy found by metadata of its own?",
        assumes="yes",
        otherwise="an answer that is lost after a restart is not found again",
        find=_restart_metadata,
    ),
)
"""Questions about conversations."""
