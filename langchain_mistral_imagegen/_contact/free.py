"""Questions that draw no image: they cost a few hundred tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._contact.conversations import CONVERSATIONS, IMAGE_TOOL, first_answer, tokens_of
from langchain_mistral_imagegen._contact.outlines import body_outline
from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.refusals import REFUSALS
from langchain_mistral_imagegen._contact.visit import MARK, Visit
from langchain_mistral_imagegen._protocol.entries import read_response
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.regional_hosts import is_regional
from langchain_mistral_imagegen._protocol.requests import resource
from langchain_mistral_imagegen.errors import InvalidRequestError, NotFoundError


def _key(_: Visit) -> Flow[Finding]:
    agents = yield from api.list_agents(limit=1)
    return Finding(answer="yes", fits=True, evidence={"agents on the first page": len(agents)})


def _model(visit: Visit) -> Flow[Finding]:
    answer = yield from first_answer(visit)
    name = answer.message.response_metadata.get("model_name")
    return Finding(answer=f"yes, {name} answered", fits=True, evidence=tokens_of(answer))


def _region(visit: Visit) -> Flow[Finding]:
    try:
        yield from first_answer(visit)
    except InvalidRequestError as error:
        return Finding(answer=f"no: {error}", fits=True)
    return Finding(answer="yes", fits=False)


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
    *CONVERSATIONS,
    *REFUSALS,
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
