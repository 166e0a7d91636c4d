"""Agents, conversations and files as Mistral sends them: frozen types, as tolerant as those of `entries.py`.

Only the identifying fields are required: Mistral's own examples lack others that its OpenAPI document requires.
Unknown fields are kept. Timestamps are as sent: text in ISO 8601, but for files whole seconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import model_validator

from langchain_mistral_imagegen._protocol.entries import Wire


class Agent(Wire):
    """A model with instructions and tools of its own, kept by Mistral in numbered versions."""

    id: str
    name: str = ""
    model: str = ""
    version: int | None = None
    versions: list[int] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    completion_args: dict[str, Any] | None = None
    handoffs: list[str] | None = None
    guardrails: list[dict[str, Any]] | None = None
    metadata: dict[str, Any] | None = None
    version_message: str | None = None


class AgentAlias(Wire):
    """A name for a version of an agent, such as `prod`."""

    alias: str
    version: int
    created_at: str | None = None
    updated_at: str | None = None


class Conversation(Wire):
    """A conversation without its entries; it has either a `model` or an `agent_id`."""

    id: str
    created_at: str | None = None
    updated_at: str | None = None
    name: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    model: str | None = None
    agent_id: str | None = None
    agent_version: int | str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    completion_args: dict[str, Any] | None = None
    guardrails: list[dict[str, Any]] | None = None


class File(Wire):
    """A file without its content. For generated images `filename` and `mimetype` may be wrong: check the bytes."""

    id: str
    bytes: int | None = None
    created_at: int | None = None
    expires_at: int | None = None
    filename: str | None = None
    mimetype: str | None = None
    purpose: str | None = None
    sample_type: str | None = None
    source: str | None = None
    visibility: str | None = None
    deleted: bool | None = None


class DeletedFile(Wire):
    """Confirmation that a file was deleted."""

    id: str
    deleted: bool | None = None


ResourceT = TypeVar("ResourceT", bound=Wire)


class Listing(Wire, Generic[ResourceT]):
    """One page of a list: an array, or an object that may have a token for the next page."""

    data: list[ResourceT] | None = None
    next_page_token: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_array(cls, sent: Any) -> Any:
        return {"data": sent} if isinstance(sent, list) else sent

    @property
    def items(self) -> list[ResourceT]:
        """What is on the page."""
        return self.data or []
