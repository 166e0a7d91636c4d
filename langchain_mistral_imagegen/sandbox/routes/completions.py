"""Route of chat completions."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.conversations import Conversation
from langchain_mistral_imagegen.sandbox.records.state import State
from langchain_mistral_imagegen.sandbox.replies import answering
from langchain_mistral_imagegen.sandbox.replies.chat_messages import (
    ARGUMENTS,
    check_completion,
    entries_of,
    is_file,
    messages_of,
)
from langchain_mistral_imagegen.sandbox.routes.reading import ConnectionCut, Json, Table, read_json


class CompletionRoutes:
    """Answer without storing anything."""

    def __init__(self, state: State) -> None:
        self._state = state

    def table(self) -> Table:
        """Return the routes."""
        return [("POST", "/v1/chat/completions", "converse", self.complete)]

    async def complete(self, request: Request, behavior: Behavior) -> Response:
        """Answer messages."""
        body = await read_json(request)
        check_completion(body)
        conversation = Conversation({"model": body["model"], "tools": body.get("tools") or []})
        conversation.entries = entries_of(body["messages"])
        args = {name: body[name] for name in ARGUMENTS & body.keys()}
        settings = {"store": False, "completion_args": args}
        answer = answering.answer(self._state, conversation, settings, behavior)
        for file_id in _file_ids(answer["outputs"]):  # images are only behind URLs here
            self._state.files.by_id.pop(file_id, None)
        messages, usage = messages_of(answer["outputs"]), _usage(answer["usage"])
        if body.get("stream"):
            chunks = list(_chunks(body["model"], messages, usage))
            return StreamingResponse(_stream(chunks, behavior), media_type="text/event-stream; charset=utf-8")
        return JSONResponse(_completion(body["model"], messages, usage), headers=self._state.quota.headers())


def _file_ids(outputs: Sequence[Json]) -> list[str]:
    contents = [entry["content"] for entry in outputs if isinstance(entry.get("content"), list)]
    return [str(chunk.get("file_id")) for content in contents for chunk in content if is_file(chunk)]


def _usage(usage: Json) -> Json:
    prompt = usage["prompt_tokens"] + usage.get("connector_tokens", 0)
    return {**{name: usage[name] for name in ("completion_tokens", "total_tokens")}, "prompt_tokens": prompt}


def _completion(model: str, messages: Sequence[Json], usage: Json) -> Json:
    finish = "tool_calls" if messages[-1].get("tool_calls") else "stop"
    if len(messages) == 1:
        choice = {"index": 0, "finish_reason": finish, "message": messages[0]}
        return {**_head(model, "chat.completion"), "choices": [choice], "usage": usage}
    choice = {"index": 0, "finish_reason": finish, "messages": list(messages)}
    counted = {**usage, "request_count": 1 + sum(message["role"] == "tool" for message in messages)}
    return {**_head(model, "chat.multi_completion"), "choices": [choice], "usage": counted}


def _head(model: str, kind: str) -> Json:
    return {"id": f"chatcmpl-{ids.new_id('')[1:]}", "object": kind, "created": int(time.time()), "model": model}


def _chunks(model: str, messages: Sequence[Json], usage: Json) -> Iterator[Json]:
    """Yield the chunks of a stream: each run of the model has an id and a usage of its own."""
    shares = _shares(usage, sum(message["role"] == "assistant" for message in messages))
    for message in messages:
        if message["role"] == "assistant":
            head = _head(model, "chat.completion.chunk")
        where = {"role": message["role"], "index": message["index"]}
        if message["role"] == "tool":
            yield _chunk(head, message, None)
            continue
        yield _chunk(head, {**where, "content": ""}, None)
        for piece in _pieces(message["content"]):
            yield _chunk(head, {**where, "content": piece}, None)
        calls = {"tool_calls": message["tool_calls"]} if "tool_calls" in message else {"content": ""}
        finish = "tool_calls" if "tool_calls" in message else "stop"
        yield _chunk(head, {**where, **calls}, finish) | {"usage": next(shares)}
    if len(messages) > 1 and messages[-1]["content"]:
        # The real server repeats the last message in a chunk that is less complete than the others.
        yield {
            "id": head["id"],
            "model": model,
            "choices": [{"index": 0, "delta": messages[-1], "finish_reason": None}],
        }


def _shares(usage: Json, runs: int) -> Iterator[Json]:
    """Yield what each run has used; all add up to the whole."""
    for run in range(runs):
        counts = {name: usage[name] // runs for name in ("prompt_tokens", "completion_tokens")}
        if run == runs - 1:
            counts = {name: usage[name] - count * run for name, count in counts.items()}
        yield {**counts, "total_tokens": sum(counts.values())}


def _chunk(head: Json, delta: Json, finish: str | None) -> Json:
    return {**head, "p": "abcdef", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _pieces(content: Any) -> Iterator[Any]:
    for chunk in [content] if isinstance(content, str) else content or []:
        if isinstance(chunk, str):
            yield from re.findall(r"\s*\S{1,8}|\s+$", chunk)
        elif isinstance(chunk, dict) and chunk.get("type") == "text" and isinstance(chunk.get("text"), str):
            yield from re.findall(r"\s*\S{1,8}|\s+$", chunk["text"])
        else:
            yield [chunk]


async def _stream(chunks: Sequence[Json], behavior: Behavior) -> AsyncIterator[bytes]:
    if behavior.events is not None:
        yield behavior.events.encode()
        return
    for place, chunk in enumerate(chunks):
        if place == behavior.cut_after:
            raise ConnectionCut
        if place == behavior.error_after:
            failure = {"object": "error", "message": "Internal error", "type": "internal_server_error", "code": 500}
            yield f"data: {json.dumps({'error': failure})}\n\n".encode()
            return
        yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
        await asyncio.sleep(behavior.pace)
    yield b"data: [DONE]\n\n"
