"""The same model over `/v1/chat/completions`: turns as its messages, its answers as the events of a conversation.

Nothing is stored there, and pictures come as signed URLs instead of files.
https://docs.mistral.ai/api, chat
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_mistral_imagegen._events import as_event
from langchain_mistral_imagegen._inputs import Inputs, short_call_id
from langchain_mistral_imagegen._protocol import Request, complete_chat
from langchain_mistral_imagegen._turns import Turn
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidResponseError

Json = dict[str, Any]
_TOOLS = frozenset({"function", "image_generation", "document_library", "connector"})
_TOOL_BY_FUNCTION = {"generate_image": "image_generation"}


def completion_request(turn: Turn) -> Request:
    """Say a turn's whole history.

    Raises:
        InvalidInputError: If it holds what only conversations take.
    """
    if unknown := sorted({tool["type"] for tool in turn.whom["tools"]} - _TOOLS):
        raise InvalidInputError(f"Chat completions have no {', '.join(unknown)}: use transport='conversations'")
    settings = {name: turn.labels[name] for name in ("guardrails",) if name in turn.labels}
    body = {**turn.whom, **turn.options.get("completion_args", {}), **settings, "messages": list(_said(turn.inputs))}
    return complete_chat(body, stream=turn.stream)


def _said(inputs: Inputs) -> Iterator[Json]:
    if inputs.instructions:
        yield {"role": "system", "content": inputs.instructions}
    calls: list[Json] = []
    for entry in inputs.entries:
        if entry["type"] == "function.call":
            calls.append(_call(entry))
            continue
        if calls:
            yield {"role": "assistant", "content": "", "tool_calls": calls}
            calls = []
        yield _message(entry)


def _message(entry: Json) -> Json:
    match entry:
        case {"type": "function.result"}:
            return {"role": "tool", "tool_call_id": _call_id(entry["tool_call_id"]), "content": entry["result"]}
        case {"type": "message.output", "content": [{"text": text}]}:
            return {"role": "assistant", "content": text}
    if any(chunk["type"] == "tool_file" for chunk in entry["content"] if isinstance(chunk, dict)):
        raise InvalidInputError(
            "Chat completions do not know files: pass the picture itself, with `image.content_block()`, "
            "or use transport='conversations'"
        )
    return {"role": entry["role"], "content": entry["content"]}


def _call(entry: Json) -> Json:
    function = {"name": entry["name"], "arguments": entry["arguments"]}
    return {"id": _call_id(entry["tool_call_id"]), "type": "function", "function": function}


def _call_id(given: str) -> str:
    """Return an id of the form that the server demands (code 3280): nine letters and digits."""
    return given if re.fullmatch("[a-zA-Z0-9]{9}", given) else short_call_id(given)


class CompletionEvents:
    """Turns completions, whole or in chunks, into the events that a conversation would have sent.

    Args:
        functions: Names of the functions that the client runs; any other call is of a tool that the server ran.
    """

    def __init__(self, functions: set[str]) -> None:
        self._functions = functions
        self._calls: dict[tuple[Any, ...], tuple[str, str]] = {}
        self._tools: dict[str, str] = {}
        self._usages: dict[str, Json] = {}

    def chunk(self, data: bytes) -> Iterator[Any]:
        """Yield the events of one chunk of a stream."""
        if data == b"[DONE]":
            yield self._done()
            return
        chunk = _json(data)
        if chunk.get("object") == "error" or "choices" not in chunk:
            yield as_event({"type": "conversation.response.error", **chunk} if "message" in chunk else chunk)
        elif "created" in chunk:  # the other one repeats the last message
            yield from self._choices(chunk, "delta")

    def completion(self, content: bytes) -> Iterator[Any]:
        """Yield the events of a whole completion.

        Raises:
            InvalidResponseError: If it is none.
        """
        body = _json(content)
        if not isinstance(body.get("choices"), list):
            raise InvalidResponseError("The server's chat completion cannot be read: it has no choices")
        yield from self._choices(body, "message")
        yield self._done()

    def _choices(self, body: Json, name: str) -> Iterator[Any]:
        completion = str(body.get("id", ""))
        if isinstance(body.get("usage"), dict):
            self._usages[completion] = body["usage"]
        for choice in body["choices"]:
            for place, message in enumerate(choice.get("messages") or [choice.get(name) or {}]):
                entry = f"{completion}.{message.get('index', place)}"
                yield from self._events(message, {"id": entry, "model": body.get("model")})

    def _events(self, message: Json, common: Json) -> Iterator[Any]:
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id"))
            done = {"type": "tool.execution.done", "info": {"result": message.get("content")}}
            yield as_event({**common, **done, "id": call_id, "name": self._tools.get(call_id, "")})
            return
        for call in message.get("tool_calls") or ():
            yield self._call(call, common)
        if content := message.get("content"):
            yield as_event({**common, "type": "message.output.delta", "content": content})

    def _call(self, call: Json, common: Json) -> Any:
        function = call.get("function") or {}
        place = (common["id"], call.get("index", call.get("id")))
        call_id, name = self._calls.setdefault(place, (str(call.get("id")), str(function.get("name"))))
        piece = {**common, "arguments": function.get("arguments")}
        if name in self._functions:
            return as_event({**piece, "type": "function.call.delta", "tool_call_id": call_id, "name": name})
        self._tools[call_id] = _TOOL_BY_FUNCTION.get(name, name)
        started = {"id": call_id, "name": self._tools[call_id], "function": name}
        return as_event({**piece, **started, "type": "tool.execution.delta"})

    def _done(self) -> Any:
        """Sum up what each run of the model has cost."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage: Json = {name: sum(one.get(name) or 0 for one in self._usages.values()) for name in names}
        tools = list(self._tools.values())
        counted = {"connectors": {tool: tools.count(tool) for tool in tools}} if tools else {}
        return as_event({"type": "conversation.response.done", "usage": {**usage, **counted}})


def _json(data: bytes) -> Json:
    try:
        value = json.loads(data)
    except ValueError:
        return {"type": "unknown", "raw": data.decode("utf-8", "replace")}
    return value if isinstance(value, dict) else {"type": "unknown", "raw": value}
