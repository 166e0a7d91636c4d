"""What chat completions answer, whole or in chunks, as the events of a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

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
from langchain_mistral_imagegen._protocol.image_tool import tool_name
from langchain_mistral_imagegen.errors import InvalidResponseError


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
        entry: Id of the message that it is a part of, or nothing.
        place: Its index, or nothing if the server sent none.
        has_result: Whether the server sent its result.
    """

    id: str
    given: str
    name: str
    entry: str
    place: int | Literal[""]
    has_result: bool = False

    def continues(self, call: Call, entry: str) -> bool:
        """Return whether a call is a further piece of this one."""
        given = _given_id(call)
        if call.function.name and call.index is None and (not given or given != self.given):
            return False  # it begins a call
        pairs = (entry, self.entry), (given, self.given), ("" if call.index is None else call.index, self.place)
        return all(mine == its or "" in {mine, its} for mine, its in pairs)


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
        self._id = ""
        self._indexes: dict[str, int] = {}
        self._has_heads = False

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
            elif self._is_repeat(chunk):
                self._count(chunk)
            else:
                yield from self._choices(chunk)

    def _is_repeat(self, chunk: ChatCompletion) -> bool:
        """Return whether a chunk repeats the last message, as the last one does, which alone lacks these fields."""
        has_head = not {"created", "object"}.isdisjoint(chunk.model_fields_set)
        self._has_heads |= has_head
        return self._has_heads and not has_head

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
                entry = self._entry(completion.id, message.index, place if choice.messages else None)
                yield from self._events(message, {"id": entry, "model": completion.model})

    def _entry(self, run: str, index: int | None, place: int | None) -> str:
        """Return the id of the message that a piece is of; without an index it goes on with the message before."""
        found = index if index is not None else place if place is not None else self._indexes.get(run, 0)
        self._indexes[run] = found
        return f"{run}.{found}" if run else ""

    def _count(self, completion: ChatCompletion) -> None:
        self._id = completion.id or self._id
        if completion.usage:
            self._usages[self._id] = completion.usage

    def _events(self, message: Message, common: Json) -> Iterator[Event]:
        if message.role == "tool" or (message.role is None and message.tool_call_id):
            call_id = self._answered(message.tool_call_id or "")
            if name := tool_name(self._tools.get(call_id, ""), metadata=message.metadata):
                self._tools[call_id] = name
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
        self._tools[call_id] = tool_name(name)
        started = {"id": call_id, "name": self._tools[call_id], "function": name}
        return as_event({**piece, **started, "type": "tool.execution.delta"})

    def _begin(self, call: Call, entry: str) -> _Begun:
        given = _given_id(call)
        is_new = given and all(given != one.id for one in self._calls)
        call_id = given if is_new else short_call_id(f"{entry}.{len(self._calls)}")
        begun = _Begun(call_id, given, call.function.name or "", entry, "" if call.index is None else call.index)
        self._calls.append(begun)
        return begun

    def _answered(self, given: str) -> str:
        """Return the id of the call that a result is for; calls with equal or missing ids get theirs in order."""
        given = "" if given == "null" else given
        waiting = [one for one in self._calls if one.id in self._tools and not one.has_result]
        alike = [one for one in waiting if one.given == given] or [one for one in waiting if not (one.given and given)]
        if not alike:
            return given
        alike[0].has_result = True
        return alike[0].id

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
