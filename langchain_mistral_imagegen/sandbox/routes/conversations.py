"""Routes of conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.conversations import Conversation
from langchain_mistral_imagegen.sandbox.records.problems import Problem, typical, unprocessable
from langchain_mistral_imagegen.sandbox.records.state import State
from langchain_mistral_imagegen.sandbox.records.validation import (
    APPEND_KEYS,
    RESTART_KEYS,
    as_entries,
    check_completion_args,
    check_confirmations,
    check_function_results,
    check_image_inputs,
    check_keys,
    check_start,
)
from langchain_mistral_imagegen.sandbox.replies import answering
from langchain_mistral_imagegen.sandbox.routes import streaming
from langchain_mistral_imagegen.sandbox.routes.reading import (
    ConnectionCut,
    Json,
    Table,
    metadata_filter,
    misbehave,
    page,
    read_behavior,
    read_json,
)


class ConversationRoutes:
    """Start, append, restart, and read their entries."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._conversations = state.conversations

    def table(self) -> Table:
        """Return the routes."""
        return [
            ("POST", "/v1/conversations", "converse", self.start),
            ("GET", "/v1/conversations", "list", self.list_conversations),
            ("POST", "/v1/conversations/{id}", "converse", self.append),
            ("GET", "/v1/conversations/{id}", "history", self.get_conversation),
            ("DELETE", "/v1/conversations/{id}", "history", self.delete_conversation),
            ("POST", "/v1/conversations/{id}/restart", "converse", self.restart),
            ("GET", "/v1/conversations/{id}/history", "history", self.history),
            ("GET", "/v1/conversations/{id}/messages", "history", self.messages),
        ]

    async def start(self, request: Request, behavior: Behavior) -> Response:
        """Start a conversation."""
        body = await read_json(request)
        check_start(body)
        if body.get("agent_id"):
            self._state.agents.version(body["agent_id"], body.get("agent_version"))
        if "sandbox" in (body.get("metadata") or {}):
            behavior = read_behavior(body["metadata"]["sandbox"])
            misbehave(behavior)
        return await self._converse(Conversation(body), body, behavior)

    async def append(self, request: Request, behavior: Behavior) -> Response:
        """Continue a conversation."""
        body = await read_json(request)
        check_keys(body, APPEND_KEYS)
        check_completion_args(body.get("completion_args") or {})
        check_confirmations(body.get("tool_confirmations") or [])
        return await self._converse(self._conversations.get(request.path_params["id"]), body, behavior)

    async def restart(self, request: Request, behavior: Behavior) -> Response:
        """Continue a copy of a conversation from one of its entries."""
        body = await read_json(request)
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
        check_image_inputs(inputs, str(conversation.settings.get("model") or ""))
        conversation = conversation.draft()
        conversation.add_inputs(inputs)
        if behavior.writing and body.get("store") is not False:
            self._conversations.by_id[conversation.id] = conversation
            await asyncio.sleep(behavior.writing)
        response = answering.answer(self._state, conversation, body, behavior)
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
            **self._state.quota.headers(),
        }

    async def list_conversations(self, request: Request, behavior: Behavior) -> Response:
        """List conversations, newest first."""
        wanted = metadata_filter(request) if behavior.filters_metadata else None
        found = self._conversations.find(wanted)[::-1]
        return JSONResponse(page(request, found, 100))

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
        messages = [entry for entry in conversation.entries if str(entry.get("type")).startswith("message.")]
        kind = {"object": "conversation.messages", "conversation_id": conversation.id}
        return JSONResponse({**kind, "messages": messages})
