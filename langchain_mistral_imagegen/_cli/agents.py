"""`mistral-imagegen agents`: the agents of an API key."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._cli.exit_codes import DONE, UsageError
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen._cli.session import session
from langchain_mistral_imagegen._conversations.agents import MARK
from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen.chat_models import ChatMistralConversations

_NEEDS_KEY = "Agents belong to an API key; the sandbox has none, and ends with the command."


@dataclass(frozen=True)
class AgentsCommand:
    """Lists, creates or deletes agents."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Run the action, print the agents, and return the exit code."""
        async with session(self.args, self.report.notice, needs_key=_NEEDS_KEY) as connected:
            agents = await self._agents(connected.model)
        for agent in agents:
            self.report.print(json.dumps(agent.as_sent()) if self.args.json else _line(agent))
        return DONE

    async def _agents(self, model: ChatMistralConversations) -> Sequence[api.Agent]:
        """Run the action and return the agents to print."""
        run = model.async_client.run
        match self.args.action:
            case "list":
                return await run(api.list_agents())
            case "ensure":
                agent = await model.aensure_agent(self.args.name, description=self.args.description)
                return [await run(api.get_agent(str(agent.agent_id)))]
            case _:
                await run(api.delete_agent(_agent_id(self.args.agent, await run(api.list_agents()))))
                return []


def _agent_id(given: str, agents: Sequence[api.Agent]) -> str:
    """Return the id of an agent that is given by its name or id.

    Raises:
        UsageError: If several agents have the name.
    """
    found = [agent.id for agent in agents if agent.name == given and agent.id]
    if len(found) > 1:
        raise UsageError(f"Several agents are called {given!r}: choose one of {', '.join(found)}")
    return found[0] if found else given


def _line(agent: api.Agent) -> str:
    version = "" if agent.version is None else f"version {agent.version}"
    tools = ", ".join(str(tool.get("type")) for tool in agent.tools or ())
    managed = "managed by ensure" if MARK in (agent.metadata or {}) else ""
    parts = (agent.id, agent.name, agent.model, version, tools, managed)
    return "  ".join(one_line(str(part)) for part in parts if part)
