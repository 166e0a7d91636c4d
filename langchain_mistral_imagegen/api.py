"""Mistral's agents, conversations and files: one function per endpoint.

Each function returns an operation, which a model's client runs, synchronously or asynchronously:

    from langchain_mistral_imagegen import ChatMistralConversations, api

    model = ChatMistralConversations()
    agents = model.client.run(api.list_agents(name="Painter"))
    history = await model.async_client.run(api.conversation_history("conv_..."))

An operation runs once. Errors are those of `errors`: a 404 is a `NotFoundError`. Reads, deletions and switches are
retried up to the model's `max_retries`. Creating an agent or a version is not retried once the request may have been
processed: it raises `OutcomeUnknownError` if no response arrives.

Docs: https://docs.mistral.ai/api (beta.agents, beta.conversations, files)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from typing_extensions import TypedDict

from langchain_mistral_imagegen._protocol import flows
from langchain_mistral_imagegen._protocol.entries import ConversationHistory, WireT, read_response
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.requests import Request, resource
from langchain_mistral_imagegen._protocol.resources import (
    Agent,
    AgentAlias,
    Conversation,
    DeletedFile,
    File,
    Listing,
    ResourceT,
)

__all__ = [
    "Agent",
    "AgentAlias",
    "AgentChanges",
    "AgentOptions",
    "Conversation",
    "ConversationHistory",
    "DeletedFile",
    "File",
    "agent_aliases",
    "agent_versions",
    "conversation_history",
    "create_agent",
    "delete_agent",
    "delete_agent_alias",
    "delete_conversation",
    "delete_file",
    "get_agent",
    "get_conversation",
    "get_file",
    "list_agents",
    "list_conversations",
    "list_files",
    "set_agent_alias",
    "switch_agent_version",
    "update_agent",
]

_PAGE = 100  # the most that every one of the lists gives at once


class AgentOptions(TypedDict, total=False):
    """Settings of an agent besides its name and model; Mistral's `CreateAgentRequest` documents them."""

    instructions: str | None
    tools: Sequence[Mapping[str, Any]]
    completion_args: Mapping[str, Any]
    description: str | None
    handoffs: Sequence[str] | None
    guardrails: Sequence[Mapping[str, Any]] | None
    metadata: Mapping[str, Any] | None
    version_message: str | None


class AgentChanges(AgentOptions, total=False):
    """Settings of an agent that can be changed; Mistral's `UpdateAgentRequest` documents them."""

    name: str
    model: str
    deployment_chat: bool | None


# --- conversations ---


def list_conversations(
    *, metadata: Mapping[str, Any] | None = None, limit: int | None = None
) -> Flow[list[Conversation]]:
    """List the conversations that the API key's owner has started.

    Args:
        metadata: Only those whose metadata has these items.
        limit: How many to list at most; all by default.
    """
    return _pages(Conversation, ["conversations"], {"metadata": metadata}, limit)


def get_conversation(conversation_id: str) -> Flow[Conversation]:
    """Read a conversation's settings; its entries are returned by `conversation_history`."""
    return _one(Conversation, resource("GET", "conversations", conversation_id))


def conversation_history(conversation_id: str) -> Flow[ConversationHistory]:
    """Read all entries of a conversation, as sent: they may hold signed URLs, which grant access to images."""
    return flows.history(conversation_id)


def delete_conversation(conversation_id: str) -> Flow[None]:
    """Delete a conversation."""
    return _done(resource("DELETE", "conversations", conversation_id))


# --- files ---


def list_files(
    *,
    search: str | None = None,
    purpose: str | None = None,
    source: str | None = None,
    limit: int | None = None,
) -> Flow[list[File]]:
    """List the files of the organisation.

    Args:
        search: Only those with this in their name.
        purpose: Only those for this purpose, such as `batch`.
        source: Only those of this origin: `upload`, `repository` or `mistral`.
        limit: How many to list at most; all by default.
    """
    return _pages(File, ["files"], {"search": search, "purpose": purpose, "source": source}, limit)


def get_file(file_id: str) -> Flow[File]:
    """Read a file's name, size and other properties, without its content."""
    return _one(File, resource("GET", "files", file_id))


def delete_file(file_id: str) -> Flow[DeletedFile]:
    """Delete a file; an image that is stored nowhere else is lost."""
    return _one(DeletedFile, resource("DELETE", "files", file_id))


# --- agents ---


def list_agents(
    *,
    name: str | None = None,
    search: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> Flow[list[Agent]]:
    """List the agents that the API key may see, by `GET /v1/agents/pages`.

    Args:
        name: Only those with this name.
        search: Only those with this in their name or id.
        metadata: Only those whose metadata has these items.
        limit: How many to list at most; all by default.
    """
    query: dict[str, Any] = {"name": name, "search": search, "metadata": metadata, "page_size": _page_size(limit)}
    found: list[Agent] = []
    while limit is None or len(found) < limit:
        page = yield from _one(Listing[Agent], resource("GET", "agents", "pages", query=query))
        found += page.items
        query["page_token"] = page.next_page_token
        if not page.next_page_token:
            break
    return found[:limit]


def get_agent(agent_id: str, version: int | str | None = None) -> Flow[Agent]:
    """Read an agent.

    Args:
        agent_id: The agent.
        version: Number or alias; by default the current version.
    """
    return _one(Agent, resource("GET", "agents", agent_id, query={"agent_version": version}))


def create_agent(*, name: str, model: str, **options: Unpack[AgentOptions]) -> Flow[Agent]:
    """Create an agent, with version 0.

    Raises:
        OutcomeUnknownError: No response arrived; the agent may exist.
    """
    return _one(Agent, resource("POST", "agents", body={"name": name, "model": model, **options}, creates=True))


def update_agent(agent_id: str, **changes: Unpack[AgentChanges]) -> Flow[Agent]:
    """Create a new version of an agent; settings that are not given stay.

    Raises:
        OutcomeUnknownError: No response arrived; the version may exist.
    """
    return _one(Agent, resource("PATCH", "agents", agent_id, body=changes, creates=True))


def delete_agent(agent_id: str) -> Flow[None]:
    """Delete an agent with all its versions."""
    return _done(resource("DELETE", "agents", agent_id))


def agent_versions(agent_id: str, *, limit: int | None = None) -> Flow[list[Agent]]:
    """List the versions of an agent, each with all its settings.

    Args:
        agent_id: The agent.
        limit: How many to list at most; all by default.
    """
    return _pages(Agent, ["agents", agent_id, "versions"], {}, limit)


def switch_agent_version(agent_id: str, version: int) -> Flow[Agent]:
    """Make another version the current one, which conversations use unless they name another."""
    return _one(Agent, resource("PATCH", "agents", agent_id, "version", query={"version": version}))


def set_agent_alias(agent_id: str, alias: str, version: int) -> Flow[AgentAlias]:
    """Give a version an alias, or move the alias to it.

    Args:
        agent_id: The agent.
        alias: 1 to 64 of a-z, 0-9, `_` and `-`; a letter first, a letter or digit last.
        version: The version's number.
    """
    query = {"alias": alias, "version": version}
    return _one(AgentAlias, resource("PUT", "agents", agent_id, "aliases", query=query))


def agent_aliases(agent_id: str) -> Flow[list[AgentAlias]]:
    """List the aliases of an agent's versions."""
    page = yield from _one(Listing[AgentAlias], resource("GET", "agents", agent_id, "aliases"))
    return page.items


def delete_agent_alias(agent_id: str, alias: str) -> Flow[None]:
    """Delete an alias; the version stays."""
    return _done(resource("DELETE", "agents", agent_id, "aliases", query={"alias": alias}))


# --- how they run ---


def _one(kind: type[WireT], request: Request) -> Flow[WireT]:
    response = yield from flows.send(request)
    return read_response(kind, response.content)


def _done(request: Request) -> Flow[None]:
    yield from flows.send(request)


def _pages(
    kind: type[ResourceT], path: Sequence[str], query: Mapping[str, Any], limit: int | None
) -> Flow[list[ResourceT]]:
    """Read pages by number, until one is not full."""
    found: list[ResourceT] = []
    size = _page_size(limit)
    while limit is None or len(found) < limit:
        parameters = {**query, "page": len(found) // size, "page_size": size}
        page = yield from _one(Listing[kind], resource("GET", *path, query=parameters))  # type: ignore[valid-type]
        found += page.items
        if len(page.items) < size:
            break
    return found[:limit]


def _page_size(limit: int | None) -> int:
    return min(_PAGE, limit or _PAGE)
