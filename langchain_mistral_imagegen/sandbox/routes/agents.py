"""Routes of agents."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records.agents import Agents
from langchain_mistral_imagegen.sandbox.routes.reading import (
    Json,
    Table,
    metadata_filter,
    number,
    page,
    read_json,
    required,
)


class AgentRoutes:
    """Agents, their versions and aliases."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    def table(self) -> Table:
        """Return the routes."""
        return [
            ("POST", "/v1/agents", "agents", self.create_agent),
            ("GET", "/v1/agents", "agents", self.list_agents),
            ("GET", "/v1/agents/pages", "agents", self.list_agent_pages),
            ("GET", "/v1/agents/{id}", "agents", self.get_agent),
            ("PATCH", "/v1/agents/{id}", "agents", self.update_agent),
            ("DELETE", "/v1/agents/{id}", "agents", self.delete_agent),
            ("PATCH", "/v1/agents/{id}/version", "agents", self.switch_version),
            ("GET", "/v1/agents/{id}/versions", "agents", self.list_versions),
            ("GET", "/v1/agents/{id}/versions/{version}", "agents", self.get_version),
            ("PUT", "/v1/agents/{id}/aliases", "agents", self.put_alias),
            ("GET", "/v1/agents/{id}/aliases", "agents", self.list_aliases),
            ("DELETE", "/v1/agents/{id}/aliases", "agents", self.delete_alias),
        ]

    async def create_agent(self, request: Request, _: Behavior) -> Response:
        """Create an agent."""
        return JSONResponse(self._agents.create(await read_json(request)))

    async def list_agents(self, request: Request, _: Behavior) -> Response:
        """List agents."""
        return JSONResponse(page(request, self._find_agents(request), 20, 1000))

    async def list_agent_pages(self, request: Request, _: Behavior) -> Response:
        """List agents by page token, which here is a place in the list."""
        found = self._find_agents(request)
        start = number(request, "page_token", 0)
        end = start + number(request, "page_size", 20, least=1, most=1000)
        token = str(end) if end < len(found) else None
        return JSONResponse({"object": "list", "data": found[start:end], "next_page_token": token})

    def _find_agents(self, request: Request) -> list[Json]:
        query = request.query_params
        return self._agents.find(query.get("name"), query.get("search"), query.get("id"), metadata_filter(request))

    async def get_agent(self, request: Request, _: Behavior) -> Response:
        """Return an agent, or one version of it."""
        wanted = request.query_params.get("agent_version")
        return JSONResponse(self._agents.version(request.path_params["id"], wanted))

    async def update_agent(self, request: Request, _: Behavior) -> Response:
        """Create a new version."""
        return JSONResponse(self._agents.update(request.path_params["id"], await read_json(request)))

    async def delete_agent(self, request: Request, _: Behavior) -> Response:
        """Delete an agent."""
        self._agents.get(request.path_params["id"])
        del self._agents.by_id[request.path_params["id"]]
        return Response(status_code=204)

    async def switch_version(self, request: Request, _: Behavior) -> Response:
        """Make a version the current one."""
        return JSONResponse(self._agents.switch(request.path_params["id"], required(request, "version")))

    async def list_versions(self, request: Request, _: Behavior) -> Response:
        """List the versions of an agent."""
        agent = self._agents.get(request.path_params["id"])
        versions = [agent.as_json(number) for number in range(len(agent.versions))]
        return JSONResponse(page(request, versions, 20, 100))

    async def get_version(self, request: Request, _: Behavior) -> Response:
        """Return one version."""
        return JSONResponse(self._agents.version(request.path_params["id"], request.path_params["version"]))

    async def put_alias(self, request: Request, _: Behavior) -> Response:
        """Name a version."""
        alias, version = required(request, "alias"), required(request, "version")
        return JSONResponse(self._agents.put_alias(request.path_params["id"], alias, version))

    async def list_aliases(self, request: Request, _: Behavior) -> Response:
        """List the names of versions."""
        return JSONResponse(list(self._agents.get(request.path_params["id"]).aliases.values()))

    async def delete_alias(self, request: Request, _: Behavior) -> Response:
        """Forget a name."""
        self._agents.get(request.path_params["id"]).aliases.pop(required(request, "alias"), None)
        return Response(status_code=204)
