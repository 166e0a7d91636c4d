"""Chat completions as the second endpoint: a turn becomes its messages, its answers become conversation events.

Nothing is stored there, and images come as signed URLs instead of files.
https://docs.mistral.ai/api, chat
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._messages.inputs import Inputs
from langchain_mistral_imagegen._messages.tool_results import short_call_id
from langchain_mistral_imagegen._protocol.entries import (
    Json,
    JsonText,
    OrNone,
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
_TOOL_BY_FUNCTION = {"generate_image": "image_generation", "edit_image": "image_generation"}


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
    metadata: Annotated[Json | None, OrNone] = None


class Choice(Wire):
    """An answer: several messages where tools ran on the server."""

    message: Message | None = None
    delta: Message | None = None
    messages: list[Annotated[Message, OrUnknown]] | None = None
    finish_reason: Annotated[str | None, OrNone] = None


class ChatCompletion(Wire):
    """A completion, or a chunk of one."""

    id: str = ""
    created: Any = None
    model: str | None = None
    choices: Annotated[list[Annotated[Choice, OrUnknown]], Field(default_factory=list)]
    usage: Usage = None


@dataclass(eq=False)
class _Begun:
    """A call whose first piece has arrived.

    Attributes:
        id: The call's id from here on, unlike that of any other call.
        given: The id that the server sent, or nothing.
        name: The function's name.
        entry: Id of the message that it is a part of.
        index: Its place, if the server sent one.
        has_result: Whether the server sent its result.
    """

    id: str
    given: str
    name: str
    entry: str
    index: int | None
    has_result: bool = False

    def continues(self, call: Call, entry: str) -> bool:
        """Return whether a call is a further piece of this one."""
        given = _given_id(call)
        is_named = bool(call.function.name) and not given and call.index is None
        return (entry, call.index) == (self.entry, self.index) and given in {"", self.given} and not is_named


def _given_id(call: Call) -> str:
    # Mistral sends the text "null" where there is no id.
    return call.id if call.id and call.id != "null" else ""


class CompletionEvents:
    """Converts completions, whole or in chunks, into the events of a conversation.

    Args:
        functions: Names of the functions that the client runs; any other call is of a tool that the server ran.
    """

    def __init__(self, functions: set[str]) -> None:
        self._functions = functions
        self._calls: list[_Begun] = []
        self._tools: dict[str, str] = {}
        self._finish_reason: str | None = None
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
            if not chunk.choices and not chunk.usage:
                yield _other_event(data)
            elif "created" in chunk.model_fields_set:  # the one without repeats the last message
                yield from self._choices(chunk)
            else:
                self._count(chunk)

    def completion(self, content: bytes) -> Iterator[Event]:
        """Yield the events of a whole completion.

        Raises:
            InvalidResponseError: If it is no chat completion.
        """
        completion = read_response(ChatCompletion, content)
        if not completion.choices and not completion.usage:
            raise InvalidResponseError("The server's ChatCompletion cannot be read: choices and usage are missing")
        yield from self._choices(completion)
        yield self._done()

    def _choices(self, completion: ChatCompletion) -> Iterator[Event]:
        self._count(completion)
        for choice in completion.choices:
            if isinstance(choice, Unknown):
                yield choice
                continue
            self._finish_reason = choice.finish_reason or self._finish_reason
            for place, message in enumerate(choice.messages or [choice.message or choice.delta or Message()]):
                if isinstance(message, Unknown):
                    yield message
                    continue
                entry = f"{completion.id}.{place if message.index is None else message.index}"
                yield from self._events(message, {"id": entry, "model": completion.model})

    def _count(self, completion: ChatCompletion) -> None:
        if completion.usage:
            self._usages[completion.id] = completion.usage

    def _events(self, message: Message, common: Json) -> Iterator[Event]:
        if message.role == "tool":
            call_id = self._answered(message.tool_call_id or "")
            if (message.metadata or {}).get("tool_type") == "image":
                self._tools[call_id] = "image_generation"
            done = {"type": "tool.execution.done", "info": {"result": message.content}}
            yield as_event({**common, **done, "id": call_id, "name": self._tools.get(call_id, "")})
            return
        earlier = list(self._calls)  # two calls of one message are never pieces of one
        for call in message.tool_calls or ():
            yield call if isinstance(call, Unknown) else self._call(call, common, earlier)
        if message.content:
            yield as_event({**common, "type": "message.output.delta", "content": message.content})

    def _call(self, call: Call, common: Json, earlier: list[_Begun]) -> Event:
        begun = next((one for one in reversed(earlier) if one.continues(call, common["id"])), None)
        if begun is None:
            begun = self._begin(call, common["id"])
        else:
            earlier.remove(begun)
        call_id, name = begun.id, begun.name
        piece = {**common, "arguments": call.function.arguments}
        if name in self._functions:
            return as_event({**piece, "type": "function.call.delta", "tool_call_id": call_id, "name": name})
        self._tools[call_id] = _TOOL_BY_FUNCTION.get(name, name)
        started = {"id": call_id, "name": self._tools[call_id], "function": name}
        return as_event({**piece, **started, "type": "tool.execution.delta"})

    def _begin(self, call: Call, entry: str) -> _Begun:
        given = _given_id(call)
        is_new = given and all(given != one.id for one in self._calls)
        call_id = given if is_new else short_call_id(f"{entry}.{len(self._calls)}")
        begun = _Begun(call_id, given, call.function.name or "", entry, call.index)
        self._calls.append(begun)
        return begun

    def _answered(self, given: str) -> str:
        """Return the id of the call that a result is for; calls with equal or missing ids get theirs in order."""
        given = "" if given == "null" else given
        waiting = (one for one in self._calls if one.id in self._tools and not one.has_result and one.given == given)
        if begun := next(waiting, None):
            begun.has_result = True
            return begun.id
        return given

    def _done(self) -> Event:
        """Make the last event, with the usage of all runs of the model."""
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        usage: Json = {name: sum(getattr(one, name) for one in self._usages.values()) for name in names}
        tools = list(self._tools.values())
        counted = {"connectors": {tool: tools.count(tool) for tool in tools}} if tools else {}
        reason = {"finish_reason": self._finish_reason} if self._finish_reason else {}
        return as_event({"type": "conversation.response.done", "usage": {**usage, **counted}, **reason})


def _other_event(data: bytes) -> Event:
    """Read data that is no chunk: an error, or something unknown."""
    try:
        sent = read_json(data)
    except ValueError:
        sent = data.decode("utf-8", "replace")
    untyped = isinstance(sent, dict) and "type" not in sent and "message" in sent
    typed = isinstance(sent, dict) and str(sent.get("object")).lower() == "error"
    return as_event({**sent, "type": "conversation.response.error"} if untyped or typed else sent)
