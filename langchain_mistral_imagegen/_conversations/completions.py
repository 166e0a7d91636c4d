"""Chat completions as the second endpoint: a turn becomes its messages, its answers become conversation events.

Nothing is stored there, and images come as signed URLs instead of files.
https://docs.mistral.ai/api, chat
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._messages.inputs import Inputs
from langchain_mistral_imagegen._messages.tool_results import short_call_id
from langchain_mistral_imagegen._protocol.entries import (
    Json,
    JsonText,
    OrUnknown,
    Unknown,
    Usage,
    Wire,
    read_json,
    read_response,
)
from langchain_mistral_imagegen._protocol.events import Event, as_event
from langchain_mistral_imagegen._protocol.requests import Request, complete_chat
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidResponseError

_TOOLS = frozenset({"function", "image_generation", "document_library", "connector"})
_TOOL_BY_FUNCTION = {"generate_image": "image_generation"}


def completion_request(turn: Turn) -> Request:
    """Build the request that sends a turn's whole history.

    Raises:
        InvalidInputError: If it holds something that only conversations take.
    """
    if unknown := sorted({tool["type"] for tool in turn.target["tools"]} - _TOOLS):
        raise InvalidInputError(f"Chat completions have no {', '.join(unknown)}: use transport='conversations'")
    settings = {name: turn.labels[name] for name in ("guardrails",) if name in turn.labels}
    body = {
        **turn.target,
        **turn.options.get("completion_args", {}),
        **settings,
        "messages": list(_messages(turn.inputs)),
    }
    return complete_chat(body, stream=turn.stream)


def _messages(inputs: Inputs) -> Iterator[Json]:
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
            "Chat completions do not know files: pass the image itself, with `image.content_block()`, "
            "or use transport='conversations'"
        )
    return {"role": entry["role"], "content": entry["content"]}


def _call(entry: Json) -> Json:
    function = {"name": entry["name"], "arguments": entry["arguments"]}
    return {"id": _call_id(entry["tool_call_id"]), "type": "function", "function": function}


def _call_id(given: str) -> str:
    """Return an id of the form that the server demands (code 3280): nine letters and digits."""
    return given if re.fullmatch("[a-zA-Z0-9]{9}", given) else short_call_id(given)


# --- what the server answers ---


class Function(Wire):
    """A function and (a piece of) its arguments."""

    name: str | None = None
    arguments: JsonText = ""


class Call(Wire):
    """A call of a function, to be run by the client or the server."""

    id: str | None = None
    index: int | None = None
    function: Function = Function()


class Message(Wire):
    """A message of the model or of a tool, or a piece of one."""

    role: str | None = None
    index: int | None = None
    content: Any = None
    tool_calls: list[Annotated[Call, OrUnknown]] | None = None
    tool_call_id: str | None = None


class Choice(Wire):
    """An answer: several messages where tools ran on the server."""

    message: Message | None = None
    delta: Message | None = None
    messages: list[Annotated[Message, OrUnknown]] | None = None


class ChatCompletion(Wire):
    """A completion, or a chunk of one."""

    id: str = ""
    created: Any = None
    model: str | None = None
    choices: list[Annotated[Choice, OrUnknown]]
    usage: Usage = None


class CompletionEvents:
    """Converts completions, whole or in chunks, into the events of a conversation.

    Args:
        functions: Names of the functions that the client runs; any other call is of a tool that the server ran.
    """

    def __init__(self, functions: set[str]) -> None:
        self._functions = functions
        self._calls: dict[tuple[Any, ...], tuple[str, str]] = {}
        self._tools: dict[str, str] = {}
        self._usages: dict[str, Usage] = {}

    def chunk(self, data: bytes) -> Iterator[Event]:
        """Yield the events of one chunk of a stream."""
        if data == b"[DONE]":
            yield self._done()
            return
        try:
            chunk = read_response(ChatCompletion, data)
        except InvalidResponseError:
            yield _other_event(data)
        else:
            if "created" in chunk.model_fields_set:  # the one without repeats the last message
                yield from self._choices(chunk)

    def completion(self, content: bytes) -> Iterator[Event]:
        """Yield the events of a whole completion.

        Raises:
            InvalidResponseError: If it is no chat completion.
        """
        yield from self._choices(read_response(ChatCompletion, content))
        yield self._done()

    def _choices(self, completion: ChatCompletion) -> Iterator[Event]:
        if completion.usage:
            self._usages[completion.id] = completion.usage
        for choice in completion.choices:
            if isinstance(choice, Unknown):
                yield choice
                continue
            for place, message in enumerate(choice.messages or [choice.message or choice.delta or Message()]):
                if isinstance(message, Unknown):
                    yield message
                    continue
                entry = f"{completion.id}.{place if message.index is None else message.index}"
                yield from self._events(message, {"id": entry, "model": completion.model})

    def _events(self, message: Message, common: Json) -> Iterator[Event]:
        if message.role == "tool":
            call_id = message.tool_call_id or ""
            done = {"type": "tool.execution.done", "info": {"result": message.content}}
            yield as_event({**common, **done, "id": call_id, "name": self._tools.get(call_id, "")})
            return
        for call in message.tool_calls or ():
            yield call if isinstance(call, Unknown) else self._call(call, common)
        if message.content:
            yield as_event({**common, "type": "message.output.delta", "content": message.content})

    def _call(self, call: Call, common: Json) -> Event:
        place = (common["id"], call.id if call.index is None else call.index)
        call_id, name = self._calls.setdefault(place, (call.id or "", call.function.name or ""))
        piece = {**common, "arguments": call.function.arguments}
        if name in self._functions:
            return as_event({**piece, "type": "function.call.delta", "tool_call_id": call_id, "name": name})
        self._tools[call_id] = _TOOL_BY_FUNCTION.get(name, name)
        started = {"id": call_id, "name": self._tools[call_id], "function": name}
        return as_event({**piece, **started, "type": "tool.execution.delta"})

    def _done(self) -> Event:
        """Make the last event, with the usage of all runs of the model."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage: Json = {name: sum(getattr(one, name) for one in self._usages.values()) for name in names}
        tools = list(self._tools.values())
        counted = {"connectors": {tool: tools.count(tool) for tool in tools}} if tools else {}
        return as_event({"type": "conversation.response.done", "usage": {**usage, **counted}})


def _other_event(data: bytes) -> Event:
    """Read data that is no chunk: an error, or something unknown."""
    try:
        sent = read_json(data)
    except ValueError:
        sent = data.decode("utf-8", "replace")
    if not isinstance(sent, dict) or "message" not in sent:
        return Unknown.of(sent)
    status = sent.get("raw_status_code") or sent.get("code")
    return as_event({**sent, "type": "conversation.response.error", "code": status})
