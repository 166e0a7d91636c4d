"""`mistral-imagegen agents`: the agents of a key."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._cli.arguments import PICTURE
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen._cli.session import session
from langchain_mistral_imagegen._conversations.agents import MARK
from langchain_mistral_imagegen.chat_models import ChatMistralConversations


@dataclass(frozen=True)
class AgentsCommand:
    """Lists, makes or deletes agents."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Do what the arguments say."""
        async with session(self.args, self.report.notice) as connected:
            self._tell(await self._agents(connected.model))
        return PICTURE

    async def _agents(self, model: ChatMistralConversations) -> Sequence[api.Agent]:
        """Return the agents that are to be told."""
        run = model.async_client.run
        match self.args.action:
            case "list":
                return await run(api.list_agents())
            case "ensure":
                agent = await model.aensure_agent(self.args.name, description=self.args.description)
                return [await run(api.get_agent(str(agent.agent_id)))]
            case _:
                await run(api.delete_agent(self.args.id))
                return []

    def _tell(self, agents: Sequence[api.Agent]) -> None:
        for agent in agents:
            self.report.say(json.dumps(agent.as_sent()) if self.args.json else _line(agent))


def _line(agent: api.Agent) -> str:
    version = "" if agent.version is None else f"version {agent.version}"
    tools = ", ".join(str(tool.get("type")) for tool in agent.tools or ())
    ours = "kept in step by ensure" if MARK in (agent.metadata or {}) else ""
    told: list[Any] = [agent.id, agent.name, agent.model, version, tools, ours]
    return "  ".join(str(one) for one in told if one)
