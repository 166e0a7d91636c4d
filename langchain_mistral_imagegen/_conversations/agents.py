"""`ensure_agent`: settings are declared in a program, and an agent at Mistral follows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.resources import Agent
from langchain_mistral_imagegen.errors import InvalidInputError, NotFoundError

T = TypeVar("T")

MARK = "langchain_mistral_imagegen"
"""Metadata key of the agents that are ours; its value is the fingerprint of their settings."""

# Named one by one: it is not documented whether a new version's arguments replace the old ones or are merged into them.
# `tool_choice` is the only one that may not be null.
_NO_COMPLETION_ARGS: Mapping[str, Any] = {
    "stop": None,
    "presence_penalty": None,
    "frequency_penalty": None,
    "temperature": None,
    "top_p": None,
    "max_tokens": None,
    "random_seed": None,
    "prediction": None,
    "response_format": None,
    "tool_choice": "auto",
    "reasoning_effort": None,
}


@dataclass(frozen=True, kw_only=True)
class AgentSettings:
    """What an agent shall be like; what is not given it shall not have."""

    name: str
    model: str
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    completion_args: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    handoffs: Sequence[str] | None = None

    def options(self) -> api.AgentOptions:
        """Return the settings as Mistral takes them, and the mark: what is absent is sent as absent, to be reset."""
        return {
            "instructions": self.instructions,
            "tools": list(self.tools),
            "completion_args": {**_NO_COMPLETION_ARGS, **self.completion_args},
            "description": self.description,
            "handoffs": list(self.handoffs or ()) or None,  # Mistral refuses an empty list
            "metadata": {MARK: self.fingerprint},
        }

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell these settings from others."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def ensure_agent(settings: AgentSettings) -> Flow[Agent]:
    """Find the agent of this name that is ours, or make it; if its settings are others, give it a new version.

    Programs that start at the same time end up with the same agent. After an `OutcomeUnknownError` it can be called
    again: what was made after all is found.
    """
    ours = yield from _ours(settings.name)
    agent = _oldest(ours) if ours else (yield from _create(settings))
    if (agent.metadata or {}).get(MARK) == settings.fingerprint:
        return agent
    return (yield from api.update_agent(agent.id, model=settings.model, **settings.options()))


def after_check(then: Flow[T], whom: Mapping[str, Any], functions: set[str], known: set[str]) -> Flow[T]:
    """Do something once it is certain that an agent has these functions; its tools cannot be changed by a request.

    Args:
        then: What to do.
        whom: Names the agent by `agent_id`, and perhaps `agent_version`.
        functions: Names of the functions it must have.
        known: Names of those that it was seen to have; more are added.

    Raises:
        InvalidInputError: Naming the functions it lacks.
    """
    if not functions <= known:
        agent = yield from api.get_agent(whom["agent_id"], version=whom.get("agent_version"))
        known |= {tool["function"]["name"] for tool in agent.tools or () if tool.get("type") == "function"}
    if missing := sorted(functions - known):
        raise InvalidInputError(
            f"Agent {whom['agent_id']!r} has no function {', '.join(missing)}, and a request cannot add to its tools: "
            "give them to it with `ensure_agent` or `api.update_agent`"
        )
    return (yield from then)


def _ours(name: str) -> Flow[list[Agent]]:
    # It is not documented whether the server's filter wants the whole name.
    found = yield from api.list_agents(name=name)
    return [agent for agent in found if agent.name == name and MARK in (agent.metadata or {})]


def _oldest(agents: Sequence[Agent]) -> Agent:
    return min(agents, key=lambda agent: (agent.created_at or "", agent.id))


def _create(settings: AgentSettings) -> Flow[Agent]:
    """Make an agent, and take it back if somebody else was first: no lock is shared, but all see the same oldest."""
    made = yield from api.create_agent(name=settings.name, model=settings.model, **settings.options())
    rivals = [agent for agent in (yield from _ours(settings.name)) if agent.id != made.id]
    winner = _oldest([made, *rivals])
    if winner is not made:
        yield from _delete(made)
    return winner


def _delete(agent: Agent) -> Flow[None]:
    try:
        yield from api.delete_agent(agent.id)
    except NotFoundError:
        return  # a repeated deletion finds nothing left
