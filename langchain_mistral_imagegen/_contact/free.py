"""Questions that draw no image: they cost a few hundred tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._contact.outlines import body_outline
from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.visit import MARK, Answer, Visit
from langchain_mistral_imagegen._messages.tool_names import RESERVED, to_wire
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.entries import read_response
from langchain_mistral_imagegen._protocol.failures import is_success, quotas, raise_for_status
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.regional_hosts import is_regional
from langchain_mistral_imagegen._protocol.requests import Request, Response, resource
from langchain_mistral_imagegen.errors import APIError, InvalidRequestError, NotFoundError

IMAGE_TOOL: Mapping[str, Any] = {"type": "image_generation"}
_LONG = (
    "Repeat these words and add nothing: amber birch cedar dune ember fern grove heath iris jade kelp lark moss nettle "
    "oak pine quartz reed sage thyme umber vale willow yarrow zinnia."
)
_SHORT = "Once more."
_NO_FILE = "00000000-0000-4000-8000-000000000000"
_NO_CONVERSATION = "conv_" + 32 * "0"


def _first(visit: Visit) -> Flow[Answer]:
    """Start the conversation that most questions look at."""
    return visit.once("first", lambda: visit.start(_LONG, tools=[IMAGE_TOOL]))


def _copy(visit: Visit) -> Flow[Answer]:
    first = yield from _first(visit)
    body = {"inputs": _SHORT, "metadata": visit.metadata(copy="yes")}
    request = requests.restart_conversation(first.conversation_id, first.head, body)
    return (yield from visit.once("copy", lambda: visit.converse(request)))


# --- key, model, host ---


def _key(_: Visit) -> Flow[Finding]:
    agents = yield from api.list_agents(limit=1)
    return Finding(answer="yes", fits=True, evidence={"agents on the first page": len(agents)})


def _model(visit: Visit) -> Flow[Finding]:
    answer = yield from _first(visit)
    name = answer.message.response_metadata.get("model_name")
    return Finding(answer=f"yes, {name} answered", fits=True, evidence=_usage(answer))


def _usage(answer: Answer) -> dict[str, int]:
    return {f"{kind} tokens": answer.tokens(kind) for kind in ("input", "output")}


def _region(visit: Visit) -> Flow[Finding]:
    try:
        yield from _first(visit)
    except InvalidRequestError as error:
        return Finding(answer=f"no: {error}", fits=True)
    return Finding(answer="yes", fits=False)


# --- agents ---


def _agents(visit: Visit) -> Flow[Finding]:
    body = {"name": visit.agent_name, "model": visit.model, "tools": [IMAGE_TOOL], "metadata": visit.metadata()}
    response = yield from visit.make(resource("POST", "agents", body=body, creates=True))
    agent = read_response(api.Agent, response.content)
    visit.agents.add(agent.id)
    listed = yield from api.list_agents(name=visit.agent_name)
    is_found = agent.id in {one.id for one in listed}
    has_metadata = any((one.metadata or {}).get(MARK) == visit.mark for one in listed)
    yield from api.delete_agent(agent.id)
    is_deleted = yield from _is_gone(api.get_agent(agent.id))
    facts = {"found by its name": is_found, "keeps its metadata": has_metadata, "gone when deleted": is_deleted}
    return _facts(facts, body_outline(response.content))


def _is_gone(read: Flow[Any]) -> Flow[bool]:
    try:
        yield from read
    except NotFoundError:
        return True
    return False


def _facts(facts: Mapping[str, bool], evidence: Any = None) -> Finding:
    answer = ", ".join(name if holds else f"NOT {name}" for name, holds in facts.items())
    return Finding(answer=answer, fits=all(facts.values()), evidence=evidence)


# --- lists of conversations ---


def _filter(visit: Visit) -> Flow[Finding]:
    first = yield from _first(visit)
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
    first, second = (yield from _first(visit)), (yield from _copy(visit))
    listed = [one.id for one in (yield from api.list_conversations(limit=100))]
    if not {first.conversation_id, second.conversation_id} <= set(listed):
        return Finding(answer="two new conversations are not among the first 100", fits=False)
    is_newest_first = listed.index(second.conversation_id) < listed.index(first.conversation_id)
    return Finding(answer="newest first" if is_newest_first else "oldest first", fits=is_newest_first)


# --- append and restart ---


def _restart_id(visit: Visit) -> Flow[Finding]:
    first, copy = (yield from _first(visit)), (yield from _copy(visit))
    is_new = first.conversation_id != copy.conversation_id
    return Finding(answer="yes" if is_new else "no, the copy has the id of the original", fits=is_new)


def _restart_entry(visit: Visit) -> Flow[Finding]:
    first, copy = (yield from _first(visit)), (yield from _copy(visit))
    evidence = {"first": _usage(first), "restarted": _usage(copy), "new question": f"{len(_SHORT.split())} words"}
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


# --- refusals ---


def _reserved(visit: Visit) -> Flow[Finding]:
    refused: dict[str, str] = {}
    for name in sorted(RESERVED):
        if reason := (yield from _refusal(visit, name)):
            refused[name] = reason
    renamed = yield from _refusal(visit, to_wire("generate_image"))
    answer = f"refused: {', '.join(refused) or 'none'}"
    if renamed:
        answer = f"{answer}; also the name that the package sends instead: {renamed}"
    return Finding(answer=answer, fits=bool(refused) and renamed is None, evidence=refused)


def _refusal(visit: Visit, name: str) -> Flow[str | None]:
    function = {"name": name, "description": "Does nothing.", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    try:
        yield from visit.start("Reply with one word.", tools=tools, completion_args={"max_tokens": 5})
    except InvalidRequestError as error:
        return f"{error.status_code} {error}"
    return None


def _errors(visit: Visit) -> Flow[Finding]:
    unknown_field = {"model": visit.model, "inputs": "Reply with one word.", "size": 1, "metadata": visit.metadata()}
    requested: Sequence[tuple[str, int, Request]] = (
        ("unknown conversation", 404, resource("GET", "conversations", _NO_CONVERSATION)),
        ("unknown file", 404, resource("GET", "files", _NO_FILE)),
        ("unknown field", 422, requests.start_conversation(unknown_field)),
    )
    answers, fits, evidence = [], True, {}
    for what, expected, request in requested:
        # Not `send`, which would turn the body into an error.
        response = cast("Response", (yield request))
        visit.under_way += request.paid and is_success(response.status)  # the field was ignored: it is deleted later
        error = _error(response)
        answers.append(f"{what}: {response.status} {_reading(error)}")
        fits = fits and response.status == expected and "unreadable" not in answers[-1]
        evidence[what] = {"status": response.status, "body": body_outline(response.content), "words": str(error)}
    return Finding(answer="; ".join(answers), fits=fits, evidence=evidence)


def _error(response: Response) -> APIError | None:
    try:
        raise_for_status(response)
    except APIError as error:
        return error
    return None


def _reading(error: APIError | None) -> str:
    """Describe what the package reads of an error."""
    if error is None:
        return "is no error"
    code = "" if error.code is None else f", code {error.code}"
    return ("unreadable" if str(error).startswith("HTTP ") else "readable") + code


def _headers(visit: Visit) -> Flow[Finding]:
    answer = yield from _first(visit)
    left = quotas(answer.headers)
    names = sorted(name for name in answer.headers if name.startswith(("x-ratelimit-", "retry-", "mistral-")))
    fits = {"image-generation-minute", "image-generation-day"} <= left.keys()
    quota = ", ".join(f"{name} {quota['remaining']}/{quota.get('limit', '?')}" for name, quota in sorted(left.items()))
    return Finding(answer=quota or "no quota headers", fits=fits, evidence=names)


FREE = (
    Question(
        name="model",
        text="Does the model answer, with the image tool among its tools?",
        assumes="yes",
        otherwise="choose another model with --model, such as mistral-medium-latest",
        find=_model,
    ),
    Question(
        name="region",
        text="Does the regional host take the image tool?",
        assumes="no",
        otherwise="the documentation of base_url warns without need",
        find=_region,
        applies=lambda visit: is_regional(visit.host),
    ),
    Question(
        name="agents",
        text="Can agents be made, found and deleted?",
        assumes="found by its name, keeps its metadata, gone when deleted",
        otherwise="ensure_agent may make a second agent of the same name",
        find=_agents,
    ),
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
    Question(
        name="reserved",
        text="Which function names are refused?",
        assumes="the names of Mistral's own functions; not with the prefix local_",
        otherwise="works all the same if no name is refused; if a name with the prefix is, rename the function",
        find=_reserved,
    ),
    Question(
        name="errors",
        text="What do errors look like?",
        assumes="404, 404 and 422, each with a readable message",
        otherwise="error messages may be less clear, or of another class",
        find=_errors,
    ),
    Question(
        name="headers",
        text="Which quotas do headers report?",
        assumes="image-generation, by minute and day (all optional)",
        otherwise="works all the same, but a day's quota cannot be distinguished from a minute's",
        find=_headers,
    ),
)
"""Questions that draw no image."""

KEY = Question(
    name="key",
    text="Is the API key accepted?",
    assumes="yes",
    otherwise="check MISTRAL_API_KEY",
    find=_key,
)
"""The first question; without its answer none of the others makes sense."""
