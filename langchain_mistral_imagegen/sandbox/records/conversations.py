"""Conversations and their entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.problems import not_found
from langchain_mistral_imagegen.sandbox.records.steps import Step

Json = dict[str, Any]


@dataclass
class Conversation:
    """One conversation.

    Attributes:
        settings: What it was started with: model or agent_id, instructions, tools, completion_args, metadata, ...
        pending: Steps that wait for a confirmation, by tool call id.
    """

    settings: Json
    id: str = field(default_factory=lambda: ids.new_id("conv"))
    created_at: str = field(default_factory=ids.now)
    updated_at: str = field(default_factory=ids.now)
    entries: list[Json] = field(default_factory=list)
    pending: dict[str, Step] = field(default_factory=dict)

    def as_json(self) -> Json:
        """Return Mistral's conversation object."""
        kept = {name: self.settings.get(name) for name in ("name", "description", "metadata")}
        named = ("agent_id", "agent_version") if self.settings.get("agent_id") else (
            "model", "instructions", "tools", "completion_args", "guardrails",
        )  # fmt: skip
        chosen = {name: self.settings[name] for name in named if self.settings.get(name) is not None}
        times = {"created_at": self.created_at, "updated_at": self.updated_at}
        return {"object": "conversation", "id": self.id, **times, **kept, **chosen}

    def draft(self) -> Conversation:
        """Return a copy to answer in, so that a refusal in the middle leaves no trace."""
        return replace(self, entries=list(self.entries), pending=dict(self.pending))

    def add_inputs(self, entries: Sequence[Json]) -> None:
        """Add the inputs of a request."""
        for entry in entries:
            stamped = {"created_at": ids.now(), "id": ids.new_id("msg"), **entry}
            if stamped["type"] == "message.input":
                stamped.setdefault("prefix", False)
            self.entries.append(stamped)


@dataclass
class Conversations:
    """All conversations that are stored."""

    by_id: dict[str, Conversation] = field(default_factory=dict)

    def get(self, conversation_id: str) -> Conversation:
        """Return a conversation that is kept."""
        if conversation_id not in self.by_id:
            raise not_found("Conversation", conversation_id)
        return self.by_id[conversation_id]

    def keep(self, conversation: Conversation, *, store: bool) -> None:
        """Store an answered conversation, or remove it."""
        if store:
            self.by_id[conversation.id] = conversation
        else:
            self.by_id.pop(conversation.id, None)

    def find(self, metadata: Json | None) -> list[Json]:
        """Return the conversations whose metadata has these items."""
        found = [one for one in self.by_id.values() if _has(one.settings.get("metadata"), metadata)]
        return [one.as_json() for one in found]

    def restart(self, conversation_id: str, entry_id: str, settings: Json, *, inclusive: bool) -> Conversation:
        """Return a new conversation with the entries of another one up to an entry."""
        old = self.get(conversation_id)
        places = [place for place, entry in enumerate(old.entries) if entry["id"] == entry_id]
        if not places:
            raise not_found("Entry", entry_id)
        new = Conversation({**old.settings, **settings})
        new.entries = [dict(entry) for entry in old.entries[: places[0] + inclusive]]
        return new


def _has(metadata: Json | None, wanted: Json | None) -> bool:
    return (wanted or {}).items() <= (metadata or {}).items()
