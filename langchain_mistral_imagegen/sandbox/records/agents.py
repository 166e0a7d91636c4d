"""Agents: their versions and aliases."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.problems import not_found, unprocessable
from langchain_mistral_imagegen.sandbox.records.validation import AGENT_KEYS, check_keys, check_tools

Json = dict[str, Any]
_ALIAS = re.compile(r"[a-z](?:[a-z0-9_-]{0,62}[a-z0-9])?")


@dataclass
class Agent:
    """An agent with all its versions, oldest first."""

    versions: list[Json]
    current: int = 0
    aliases: dict[str, Json] = field(default_factory=dict)

    def as_json(self, version: int | None = None) -> Json:
        """Return Mistral's agent object."""
        known = list(range(len(self.versions)))
        return {**self.versions[self.current if version is None else version], "versions": known}


@dataclass
class Agents:
    """All agents by id."""

    by_id: dict[str, Agent] = field(default_factory=dict)

    def create(self, body: Json) -> Json:
        """Create an agent with version 0."""
        for key in ("model", "name"):
            if not body.get(key):
                raise unprocessable("missing", (key,), "Field required")
        _check(body)
        agent = Agent([])
        self.by_id[new_id := ids.new_id("ag")] = agent
        return self._add_version(agent, {"id": new_id, "created_at": ids.now(), **_defaults(), **body})

    def update(self, agent_id: str, body: Json) -> Json:
        """Create a new version."""
        _check(body)
        agent = self.get(agent_id)
        return self._add_version(agent, {**agent.versions[-1], **body})

    def get(self, agent_id: str) -> Agent:
        """Return an agent."""
        if agent_id not in self.by_id:
            raise not_found("Agent", agent_id)
        return self.by_id[agent_id]

    def version(self, agent_id: str, version: str | int | None) -> Json:
        """Return one version of an agent, by number or alias; by default the current one."""
        agent = self.get(agent_id)
        if version is None:
            return agent.as_json()
        if str(version) in agent.aliases:
            version = agent.aliases[str(version)]["version"]
        if not str(version).isdigit() or int(version) >= len(agent.versions):
            raise not_found("Agent version", str(version))
        return agent.as_json(int(version))

    def switch(self, agent_id: str, version: str) -> Json:
        """Make a version the current one."""
        chosen = self.version(agent_id, version)
        self.get(agent_id).current = chosen["version"]
        return chosen

    def put_alias(self, agent_id: str, alias: str, version: str) -> Json:
        """Name a version."""
        if not _ALIAS.fullmatch(alias):
            message = f"String should match pattern '{_ALIAS.pattern}'"
            raise unprocessable("string_pattern_mismatch", ("alias",), message, alias, "query")
        number = self.version(agent_id, version)["version"]
        aliases = self.get(agent_id).aliases
        created_at = aliases.get(alias, {}).get("created_at", ids.now())
        aliases[alias] = {"alias": alias, "version": number, "created_at": created_at, "updated_at": ids.now()}
        return aliases[alias]

    def find(self, name: str | None, search: str | None, agent_id: str | None, metadata: Json | None) -> list[Json]:
        """Return the agents that fit."""
        found = [agent.as_json() for agent in self.by_id.values()]
        found = [one for one in found if name in {None, one["name"]} and agent_id in {None, one["id"]}]
        found = [one for one in found if (search or "").lower() in f"{one['name']} {one['id']}".lower()]
        return [one for one in found if (metadata or {}).items() <= (one["metadata"] or {}).items()]

    @staticmethod
    def _add_version(agent: Agent, content: Json) -> Json:
        agent.current = len(agent.versions)
        agent.versions.append({**content, "version": agent.current, "updated_at": ids.now()})
        return agent.as_json()


def _check(body: Json) -> None:
    check_keys(body, AGENT_KEYS)
    # These two may be left out, but not be null.
    check_tools(body.get("tools", []), body.get("model") or "", body.get("completion_args", {}))
    if body.get("handoffs") == []:
        raise unprocessable("too_short", ("handoffs",), "List should have at least 1 item after validation", [])


def _defaults() -> Json:
    return {
        "object": "agent", "deployment_chat": False, "source": "api", "description": None, "instructions": None,
        "tools": [], "completion_args": {"temperature": 0.3, "top_p": 0.95, "tool_choice": "auto"}, "handoffs": None,
        "metadata": None, "guardrails": None, "version_message": None,
    }  # fmt: skip
