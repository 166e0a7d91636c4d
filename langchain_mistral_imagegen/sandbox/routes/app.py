"""The ASGI application: authorization, behavior and the log of requests, around the routes of the other modules."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from langchain_mistral_imagegen.sandbox.behavior import Behavior, Operation
from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.problems import Problem, typical
from langchain_mistral_imagegen.sandbox.records.state import RecordedRequest, State
from langchain_mistral_imagegen.sandbox.routes.agents import AgentRoutes
from langchain_mistral_imagegen.sandbox.routes.completions import CompletionRoutes
from langchain_mistral_imagegen.sandbox.routes.conversations import ConversationRoutes
from langchain_mistral_imagegen.sandbox.routes.files import FileRoutes
from langchain_mistral_imagegen.sandbox.routes.reading import Handler, misbehave, read_behavior


class Api:
    """The endpoints.

    Args:
        state: What the sandbox keeps.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def app(self) -> Starlette:
        """Return the ASGI application."""
        state = self._state
        conversations, completions = ConversationRoutes(state), CompletionRoutes(state)
        agents, files = AgentRoutes(state.agents), FileRoutes(state.files)
        table = [*conversations.table(), *completions.table(), *agents.table(), *files.table()]
        routes = [Route(path, self._endpoint(on, handler), methods=[method]) for method, path, on, handler in table]
        return Starlette(routes=routes, exception_handlers={404: self._no_route, 405: self._no_route})

    def _endpoint(self, operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            received = await _recorded(request)
            with self._state.log.receive(received) as record:
                try:
                    self._authorize(request)
                    behavior = self._behavior(request, self._operations(request, operation, received.json))
                    await asyncio.sleep(behavior.delay)
                    misbehave(behavior)
                    response = await handler(request, behavior)
                    response.headers.update(behavior.headers)
                except Problem as problem:
                    response = _problem(problem)
                record(response.status_code)
                return response

        return endpoint

    async def _no_route(self, request: Request, _: Exception) -> Response:
        with self._state.log.receive(await _recorded(request)) as record:
            record(404)
        body = {"message": "no Route matched with those values", "request_id": ids.new_id("")[1:]}
        return JSONResponse(body, 404)

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if request.url.path.startswith("/blob/"):
            if given:
                raise Problem(400, "InvalidAuthenticationInfo: a key was sent to the blob host")
            return
        key = given.removeprefix("Bearer ").strip()
        if not given.startswith("Bearer ") or not key:
            raise typical(401)
        if self._state.api_key not in {None, key}:
            raise Problem(401, {"detail": "Invalid API Key"})

    def _operations(self, request: Request, operation: Operation, body: Any) -> set[Operation]:
        if operation != "converse":
            return {operation, "any"}
        kept = self._state.conversations.by_id.get(request.path_params.get("id", ""))
        return {operation, "any", "image" if self._has_image_tool(kept.settings if kept else body) else "text"}

    def _has_image_tool(self, settings: Any) -> bool:
        match settings:
            case {"agent_id": str(agent_id)} if agent := self._state.agents.by_id.get(agent_id):
                return self._has_image_tool({"tools": agent.as_json()["tools"]})
            case {"tools": [*tools]}:
                return any(isinstance(tool, dict) and tool.get("type") == "image_generation" for tool in tools)
        return False

    def _behavior(self, request: Request, operations: set[Operation]) -> Behavior:
        if header := request.headers.get("x-sandbox-behavior"):
            return read_behavior(header)
        queued = self._state.queue.take(operations)
        if queued:
            return queued
        kept = self._state.conversations.by_id.get(request.path_params.get("id", ""))
        metadata = (kept.settings.get("metadata") or {}) if kept else {}
        usual = self._state.behavior
        if "sandbox" in metadata:
            return read_behavior(metadata["sandbox"])
        return usual if usual.on in operations else Behavior()


async def _recorded(request: Request) -> RecordedRequest:
    headers = {**request.headers, **({"authorization": "***"} if "authorization" in request.headers else {})}
    content = _json_or_none(await request.body())
    return RecordedRequest(request.method, request.url.path, dict(request.query_params), headers, content, status=0)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _problem(problem: Problem) -> Response:
    headers = {"mistral-correlation-id": ids.new_id("")[1:], **problem.headers}
    kind = PlainTextResponse if isinstance(problem.body, str) else JSONResponse
    response: Response = kind(problem.body, problem.status)
    response.headers.update(headers)
    return response
