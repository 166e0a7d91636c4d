"""`ensure_agent`: an agent at Mistral with the settings that a program declares."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._messages.tool_names import from_wire
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
    """The settings of an agent; it has nothing that is not given."""

    name: str
    model: str
    instructions: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    completion_args: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    handoffs: Sequence[str] | None = None

    def options(self) -> api.AgentOptions:
        """Return the settings as Mistral takes them, with the mark; what is not given is sent as null, to reset it."""
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
        """16 hex digits that identify these settings."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def ensure_agent(settings: AgentSettings) -> Flow[Agent]:
    """Find our agent of this name or create it; give it a new version if its settings differ.

    Programs that start at the same time end up with the same agent. After an `OutcomeUnknownError` call it
    again: it finds what was created after all.
    """
    ours = yield from _ours(settings.name)
    agent = _oldest(ours) if ours else (yield from _create(settings))
    if (agent.metadata or {}).get(MARK) == settings.fingerprint:
        return agent
    return (yield from api.update_agent(agent.id, model=settings.model, **settings.options()))


def after_check(then: Flow[T], target: Mapping[str, Any], functions: set[str], known: set[str]) -> Flow[T]:
    """Run a flow after checking that an agent has these functions; a request cannot add to its tools.

    Args:
        then: The flow.
        target: Names the agent by `agent_id`, and perhaps `agent_version`.
        functions: Names of the functions it must have.
        known: Names of those that it is known to have; more are added.

    Raises:
        InvalidInputError: Naming the functions it lacks.
    """
    if not functions <= known:
        agent = yield from api.get_agent(target["agent_id"], version=target.get("agent_version"))
        sent = {tool["function"]["name"] for tool in agent.tools or () if tool.get("type") == "function"}
        known |= sent | {from_wire(name) for name in sent}
    if missing := sorted(functions - known):
        raise InvalidInputError(
            f"Agent {target['agent_id']!r} has no function {', '.join(missing)}, and a request cannot add tools to it: "
            "give them to it with `ensure_agent` or `api.update_agent`"
        )
    return (yield from then)


def _ours(name: str) -> Flow[list[Agent]]:
    # It is not documented whether the server's filter matches whole names only.
    found = yield from api.list_agents(name=name)
    return [agent for agent in found if agent.name == name and MARK in (agent.metadata or {})]


def _oldest(agents: Sequence[Agent]) -> Agent:
    return min(agents, key=lambda agent: (agent.created_at or "", agent.id))


def _create(settings: AgentSettings) -> Flow[Agent]:
    """Create an agent, and delete it again if another program was first: all see the same oldest."""
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
