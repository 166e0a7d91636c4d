"""The HTTP side: routes of Mistral's API, each a few lines around agents, conversations and files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from langchain_mistral_imagegen.sandbox import ids, streaming
from langchain_mistral_imagegen.sandbox.behavior import Behavior, Operation
from langchain_mistral_imagegen.sandbox.conversations import Conversation
from langchain_mistral_imagegen.sandbox.files import refusal
from langchain_mistral_imagegen.sandbox.problems import Problem, quota_exceeded, typical, unprocessable
from langchain_mistral_imagegen.sandbox.validation import (
    APPEND_KEYS,
    RESTART_KEYS,
    as_entries,
    check_completion_args,
    check_function_results,
    check_keys,
    check_start,
)

if TYPE_CHECKING:
    from langchain_mistral_imagegen.sandbox.server import Sandbox

Json = dict[str, Any]
Handler = Callable[[Request, Behavior], Awaitable[Response]]
_PIECE = 64 * 1024


class ConnectionCut(Exception):  # noqa: N818  # not an error: it is what was asked for
    """Ends a response in the middle; the server closes the connection."""


class Api:
    """The endpoints.

    Args:
        sandbox: Holds the state, the queue of behaviors and the record of requests.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._agents = sandbox.agents
        self._conversations = sandbox.conversations
        self._files = sandbox.files

    def app(self) -> Starlette:
        """Return the ASGI application."""
        table: list[tuple[str, str, Operation, Handler]] = [
            ("POST", "/v1/conversations", "converse", self.start),
            ("GET", "/v1/conversations", "list", self.list_conversations),
            ("POST", "/v1/conversations/{id}", "converse", self.append),
            ("GET", "/v1/conversations/{id}", "history", self.get_conversation),
            ("DELETE", "/v1/conversations/{id}", "history", self.delete_conversation),
            ("POST", "/v1/conversations/{id}/restart", "converse", self.restart),
            ("GET", "/v1/conversations/{id}/history", "history", self.history),
            ("GET", "/v1/conversations/{id}/messages", "history", self.messages),
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
            ("POST", "/v1/files", "files", self.upload),
            ("GET", "/v1/files", "files", self.list_files),
            ("GET", "/v1/files/{id}", "files", self.get_file),
            ("DELETE", "/v1/files/{id}", "files", self.delete_file),
            ("GET", "/v1/files/{id}/url", "files", self.sign_file),
            ("GET", "/v1/files/{id}/content", "download", self.content),
            ("GET", "/blob/{path:path}", "download", self.blob),
        ]
        routes = [Route(path, self._endpoint(on, handler), methods=[method]) for method, path, on, handler in table]
        return Starlette(routes=routes, exception_handlers={404: _no_route, 405: _no_route})

    def _endpoint(self, operation: Operation, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                self._authorize(request)
                behavior = self._behavior(request, operation)
                await asyncio.sleep(behavior.delay)
                _misbehave(behavior)
                response = await handler(request, behavior)
                response.headers.update(behavior.headers)
            except Problem as problem:
                response = _problem(problem)
            self._sandbox.record(request, body, response.status_code)
            return response

        return endpoint

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if request.url.path.startswith("/blob/"):
            if given:
                raise Problem(400, "InvalidAuthenticationInfo: a key was sent to the blob host")
            return
        key = given.removeprefix("Bearer ").strip()
        if not given.startswith("Bearer ") or not key:
            raise typical(401)
        if self._sandbox.api_key not in {None, key}:
            raise Problem(401, {"detail": "Invalid API Key"})

    def _behavior(self, request: Request, operation: Operation) -> Behavior:
        if header := request.headers.get("x-sandbox-behavior"):
            return _read_behavior(header)
        queued = self._sandbox.next_behavior(operation)
        if queued:
            return queued
        kept = self._conversations.by_id.get(request.path_params.get("id", ""))
        metadata = (kept.settings.get("metadata") or {}) if kept else {}
        usual = self._sandbox.behavior
        if "sandbox" in metadata:
            return _read_behavior(metadata["sandbox"])
        return usual if usual.on in {operation, "any"} else Behavior()

    # --- conversations ---

    async def start(self, request: Request, behavior: Behavior) -> Response:
        """Start a conversation."""
        body = await _json(request)
        check_start(body)
        if body.get("agent_id"):
            self._agents.version(body["agent_id"], body.get("agent_version"))
        if "sandbox" in (body.get("metadata") or {}):
            behavior = _read_behavior(body["metadata"]["sandbox"])
            _misbehave(behavior)
        return await self._converse(Conversation(body), body, behavior)

    async def append(self, request: Request, behavior: Behavior) -> Response:
        """Continue a conversation."""
        body = await _json(request)
        check_keys(body, APPEND_KEYS)
        check_completion_args(body.get("completion_args") or {})
        return await self._converse(self._conversations.get(request.path_params["id"]), body, behavior)

    async def restart(self, request: Request, behavior: Behavior) -> Response:
        """Continue a copy of a conversation from one of its entries."""
        body = await _json(request)
        check_keys(body, RESTART_KEYS)
        if not body.get("from_entry_id"):
            raise unprocessable("missing", ("from_entry_id",), "Field required")
        settings = {name: body[name] for name in ("metadata", "agent_version", "guardrails") if body.get(name)}
        conversation = self._conversations.restart(
            request.path_params["id"], body["from_entry_id"], settings, inclusive=behavior.restart_inclusive
        )
        return await self._converse(conversation, body, behavior)

    async def _converse(self, conversation: Conversation, body: Json, behavior: Behavior) -> Response:
        inputs = as_entries(body.get("inputs"))
        confirmed = body.get("tool_confirmations")
        if not confirmed:
            if conversation.pending:
                raise Problem(400, typical(400).body)
            check_function_results(conversation.entries, inputs)
        conversation.listen(inputs)
        response = self._conversations.answer(conversation, body, behavior)
        if not body.get("stream"):
            return JSONResponse(response, headers=self._headers())
        events = self._stream(list(streaming.events_of(response, behavior)), behavior)
        return StreamingResponse(events, media_type="text/event-stream; charset=utf-8")

    async def _stream(self, events: list[Json], behavior: Behavior) -> AsyncIterator[bytes]:
        if behavior.events is not None:
            yield behavior.events.encode()
            return
        for place, event in enumerate(events):
            if place == behavior.cut_after:
                raise ConnectionCut
            if place == behavior.error_after:
                failure = {"type": "conversation.response.error", "message": "Internal error", "code": 500}
                yield streaming.encode({**failure, "created_at": ids.now()}, behavior.framing)
                return
            yield streaming.encode(event, behavior.framing)
            await asyncio.sleep(behavior.pace)
        if behavior.framing == "done":
            yield b"data: [DONE]\n\n"

    def _headers(self) -> dict[str, str]:
        correlation = ids.new_id("")[1:]
        return {
            "mistral-correlation-id": correlation,
            "x-kong-request-id": correlation,
            "x-ratelimit-limit-tokens-minute": "2000000",
            "x-ratelimit-remaining-tokens-minute": "1999000",
            **self._conversations.quota.headers(),
        }

    async def list_conversations(self, request: Request, _: Behavior) -> Response:
        """List conversations, newest first."""
        found = self._conversations.find(_metadata(request))[::-1]
        return JSONResponse(_page(request, found, 100))

    async def get_conversation(self, request: Request, _: Behavior) -> Response:
        """Return a conversation."""
        return JSONResponse(self._conversations.get(request.path_params["id"]).as_json())

    async def delete_conversation(self, request: Request, _: Behavior) -> Response:
        """Delete a conversation."""
        conversation = self._conversations.get(request.path_params["id"])
        del self._conversations.by_id[conversation.id]
        return Response(status_code=204)

    async def history(self, request: Request, _: Behavior) -> Response:
        """Return all entries."""
        conversation = self._conversations.get(request.path_params["id"])
        kind = {"object": "conversation.history", "conversation_id": conversation.id}
        return JSONResponse({**kind, "entries": conversation.entries})

    async def messages(self, request: Request, _: Behavior) -> Response:
        """Return the messages among the entries."""
        conversation = self._conversations.get(request.path_params["id"])
        messages = [entry for entry in conversation.entries if entry["type"].startswith("message.")]
        kind = {"object": "conversation.messages", "conversation_id": conversation.id}
        return JSONResponse({**kind, "messages": messages})

    # --- agents ---

    async def create_agent(self, request: Request, _: Behavior) -> Response:
        """Create an agent."""
        return JSONResponse(self._agents.create(await _json(request)))

    async def list_agents(self, request: Request, _: Behavior) -> Response:
        """List agents."""
        return JSONResponse(_page(request, self._find_agents(request), 20))

    async def list_agent_pages(self, request: Request, _: Behavior) -> Response:
        """List agents by page token, which here is a place in the list."""
        found = self._find_agents(request)
        start = int(request.query_params.get("page_token") or 0)
        end = start + int(request.query_params.get("page_size", 20))
        token = str(end) if end < len(found) else None
        return JSONResponse({"object": "list", "data": found[start:end], "next_page_token": token})

    def _find_agents(self, request: Request) -> list[Json]:
        query = request.query_params
        return self._agents.find(query.get("name"), query.get("search"), query.get("id"), _metadata(request))

    async def get_agent(self, request: Request, _: Behavior) -> Response:
        """Return an agent, or one version of it."""
        wanted = request.query_params.get("agent_version")
        return JSONResponse(self._agents.version(request.path_params["id"], wanted))

    async def update_agent(self, request: Request, _: Behavior) -> Response:
        """Create a new version."""
        return JSONResponse(self._agents.update(request.path_params["id"], await _json(request)))

    async def delete_agent(self, request: Request, _: Behavior) -> Response:
        """Delete an agent."""
        self._agents.get(request.path_params["id"])
        del self._agents.by_id[request.path_params["id"]]
        return Response(status_code=204)

    async def switch_version(self, request: Request, _: Behavior) -> Response:
        """Make a version the current one."""
        return JSONResponse(self._agents.switch(request.path_params["id"], _required(request, "version")))

    async def list_versions(self, request: Request, _: Behavior) -> Response:
        """List the versions of an agent."""
        agent = self._agents.get(request.path_params["id"])
        versions = [agent.as_json(number) for number in range(len(agent.versions))]
        return JSONResponse(_page(request, versions, 20))

    async def get_version(self, request: Request, _: Behavior) -> Response:
        """Return one version."""
        return JSONResponse(self._agents.version(request.path_params["id"], request.path_params["version"]))

    async def put_alias(self, request: Request, _: Behavior) -> Response:
        """Name a version."""
        alias, version = _required(request, "alias"), _required(request, "version")
        return JSONResponse(self._agents.put_alias(request.path_params["id"], alias, version))

    async def list_aliases(self, request: Request, _: Behavior) -> Response:
        """List the names of versions."""
        return JSONResponse(list(self._agents.get(request.path_params["id"]).aliases.values()))

    async def delete_alias(self, request: Request, _: Behavior) -> Response:
        """Forget a name."""
        self._agents.get(request.path_params["id"]).aliases.pop(_required(request, "alias"), None)
        return Response(status_code=204)

    # --- files ---

    async def upload(self, request: Request, _: Behavior) -> Response:
        """Keep an uploaded file."""
        async with request.form() as form:
            upload = form.get("file")
            if upload is None or isinstance(upload, str):
                raise unprocessable("missing", ("file",), "Field required")
            data, name = await upload.read(), upload.filename or "file"
            file = self._files.add(name, data, str(form.get("purpose") or "batch"), upload.content_type or "")
        return JSONResponse(file.as_json())

    async def list_files(self, request: Request, _: Behavior) -> Response:
        """List files."""
        files = [await asyncio.to_thread(file.as_json) for file in list(self._files.by_id.values())]
        page = _page(request, files, 100)
        return JSONResponse({"object": "list", "data": page, "total": len(files)})

    async def get_file(self, request: Request, _: Behavior) -> Response:
        """Return what is known of a file."""
        described = await asyncio.to_thread(self._files.get(request.path_params["id"]).as_json)
        return JSONResponse({**described, "deleted": False})

    async def delete_file(self, request: Request, _: Behavior) -> Response:
        """Delete a file."""
        file = self._files.get(request.path_params["id"])
        del self._files.by_id[file.id]
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    async def sign_file(self, request: Request, _: Behavior) -> Response:
        """Return a signed URL."""
        hours = int(request.query_params.get("expiry", 24))
        if not 1 <= hours <= 168:  # noqa: PLR2004  # the documented bounds
            raise unprocessable("value_error", ("expiry",), "Input should be between 1 and 168", hours)
        return JSONResponse({"url": self._files.sign(self._files.get(request.path_params["id"]), hours * 3600)})

    async def content(self, request: Request, behavior: Behavior) -> Response:
        """Send the bytes of a file, without saying how many."""
        data = await asyncio.to_thread(self._files.get(request.path_params["id"]).read)
        return StreamingResponse(_body(data, behavior), media_type="application/octet-stream")

    async def blob(self, request: Request, behavior: Behavior) -> Response:
        """Send the bytes behind a signed URL."""
        if behavior.expired:
            raise refusal()
        read = self._files.open_blob(request.url.path, request.query_params.get("sig", ""))
        data = await asyncio.to_thread(read)
        headers = {"content-length": str(len(data))}
        return StreamingResponse(_body(data, behavior), media_type="application/octet-stream", headers=headers)


async def _body(data: bytes, behavior: Behavior) -> AsyncIterator[bytes]:
    end = len(data) if behavior.cut_after is None else min(behavior.cut_after, len(data))
    for start in range(0, end, _PIECE):
        yield data[start : min(start + _PIECE, end)]
        await asyncio.sleep(behavior.pace)
    if end < len(data):
        raise ConnectionCut


def _misbehave(behavior: Behavior) -> None:
    if behavior.quota:
        raise quota_exceeded(behavior.quota)
    if behavior.status:
        usual = typical(behavior.status)
        body = usual.body if behavior.body is None else behavior.body
        raise Problem(behavior.status, body, behavior.headers)


def _problem(problem: Problem) -> Response:
    headers = {"mistral-correlation-id": ids.new_id("")[1:], **problem.headers}
    kind = PlainTextResponse if isinstance(problem.body, str) else JSONResponse
    response: Response = kind(problem.body, problem.status)
    response.headers.update(headers)
    return response


async def _no_route(_: Request, __: Exception) -> Response:
    return JSONResponse({"message": "no Route matched with those values", "request_id": ids.new_id("")[1:]}, 404)


def _read_behavior(text: str) -> Behavior:
    try:
        return Behavior.from_json(text)
    except ValueError as error:
        raise Problem(400, {"detail": str(error)}) from error


async def _json(request: Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unprocessable("model_attributes_type", (), "Input should be a valid dictionary")
    return body


def _metadata(request: Request) -> Json | None:
    """Read the metadata filter; the official SDK sends a string where it means "no filter"."""
    try:
        wanted = json.loads(request.query_params.get("metadata", "null"))
    except ValueError:
        return None
    return wanted if isinstance(wanted, dict) else None


def _page(request: Request, items: list[Json], size: int) -> list[Json]:
    size = int(request.query_params.get("page_size", size))
    start = int(request.query_params.get("page", 0)) * size
    return items[start : start + size]


def _required(request: Request, name: str) -> str:
    if name not in request.query_params:
        raise unprocessable("missing", (name,), "Field required")
    return request.query_params[name]
