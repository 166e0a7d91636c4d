"""A field that may be missing may also be null: text, images, calls and usage stay the same, streamed or not."""

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls

FILE = {"type": "tool_file", "tool": "image_generation", "file_id": "f", "file_name": "cat", "file_type": "png"}
SOURCE = {"type": "tool_reference", "tool": "web_search", "title": "t", "url": "https://e.org", "description": "d"}
COMMON = {"object": "entry", "created_at": "2026-11-23T09:00:00Z", "completed_at": None, "model": "m", "agent_id": "a"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s", "closed": True}
CALL = {"tool_call_id": "abcdefghi", "name": "look", "arguments": "{}", "confirmation_status": None}
RUN = {"id": "run", "name": "image_generation", "function": "generate_image"}
WORDS = [THOUGHT, {"type": "text", "text": "Here: "}, FILE, SOURCE]
USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "connector_tokens": 0, "connectors": {}}
ANSWER = {
    "object": "conversation.response",
    "conversation_id": "c",
    "outputs": [
        {**COMMON, "type": "tool.execution", **RUN, "arguments": "{}", "info": {"result": "done"}},
        {**COMMON, "type": "message.output", "id": "msg", "role": "assistant", "content": WORDS},
        {**COMMON, "type": "function.call", "id": "call", **CALL},
    ],
    "usage": USAGE,
    "guardrails": None,
}
DELTA = {"type": "message.output.delta", "created_at": "x", "output_index": 1, "id": "msg", "model": "m", "role": "r"}
EVENTS = [
    {"type": "conversation.response.started", "created_at": "x", "conversation_id": "c"},
    {"type": "tool.execution.started", "created_at": "x", "output_index": 0, **RUN, "arguments": ""},
    {"type": "tool.execution.delta", "created_at": "x", "output_index": 0, **RUN, "arguments": "{}"},
    {"type": "tool.execution.done", "created_at": "x", "output_index": 0, **RUN, "info": {"result": "done"}},
    {**DELTA, "content_index": 0, "content": "He"},
    {**DELTA, "content_index": 0, "content": "re: "},
    {**DELTA, "content_index": 1, "content": FILE},
    {**DELTA, "content_index": 2, "content": "after"},
    {"type": "function.call.delta", "created_at": "x", "output_index": 2, "id": "call", "model": "m", **CALL},
    {"type": "conversation.response.done", "created_at": "x", "usage": USAGE},
]
NEEDED = {"type", "conversation_id", "text", "thinking", "file_id", "tool_call_id", "result", "outputs", "content"}
NEEDED_OF = {"function.call": {"name"}, "function.call.delta": {"name"}}
MEANING = {"name", "arguments", "usage"}  # empty without them, which is another answer


def optional(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each field that may be missing."""
    if isinstance(value, dict):
        needed = NEEDED | MEANING | NEEDED_OF.get(value.get("type", ""), set())
        for name, part in value.items():
            if name not in needed and path[-1:] != ("info",):
                yield (*path, name)
            yield from optional(part, (*path, name))
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from optional(part, (*path, place))


def changed(value: Any, path: tuple[Any, ...], *, null: bool) -> Any:
    value = copy.deepcopy(value)
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    if null:
        holder[path[-1]] = None
    else:
        del holder[path[-1]]
    return value


def whole(answer: Any) -> Any:
    response = read_response(ConversationResponse, json.dumps(answer).encode())
    return to_message(response, AnswerContext(model="m", urls=SignedUrls()))


def streamed(events: Any) -> Any:
    stream = AnswerStream(AnswerContext(model="m", urls=SignedUrls()))
    for event in events:
        stream.feed(read_event(json.dumps(event).encode()))
    return stream.message


def essence(message: Any) -> Any:
    files = [ref["file_id"] for ref in images_of(message)]
    # One text may arrive as two blocks, where only one of its pieces has a place.
    kinds = [kind for kind, _ in itertools.groupby(block["type"] for block in message.content)]
    return message.text, files, kinds, message.tool_calls, message.usage_metadata


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(optional(ANSWER)), ids=str)
def test_a_null_or_missing_field_of_an_answer_changes_nothing_else(path: tuple[Any, ...], null: bool) -> None:
    assert essence(whole(changed(ANSWER, path, null=null))) == essence(whole(ANSWER))


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(optional(EVENTS)), ids=str)
def test_a_null_or_missing_field_of_an_event_changes_nothing_else(path: tuple[Any, ...], null: bool) -> None:
    assert essence(streamed(changed(EVENTS, path, null=null))) == essence(streamed(EVENTS))


@pytest.mark.parametrize("name", ["id", "output_index", "content_index", "created_at", "model", "role"])
def test_a_field_that_is_null_in_each_event_changes_nothing_else(name: str) -> None:
    events = [{**event, name: None} if name in event else event for event in EVENTS]
    assert essence(streamed(events)) == essence(streamed(EVENTS))


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("output", [0, 1])
@pytest.mark.parametrize("name", ["id", "output_index", "content_index"])
def test_a_signed_url_with_a_piece_that_lacks_its_place_is_redacted(name: str, output: int, null: bool) -> None:
    url = "https://mistralaiblackforestprod.blob.core.windows.net/images/a.jpg?sp=r&sig=SECRET"
    common = {"type": "message.output.delta", "id": "msg", "output_index": output, "content_index": 0}
    events = [{**common, "content": letter} for letter in f"![]({url}) there"]
    events = [changed(event, (name,), null=null) if place == url.index("sig") else event
              for place, event in enumerate(events)]  # fmt: skip
    message = streamed([EVENTS[0], *events, EVENTS[-1]])
    assert "SECRET" not in message.text
    assert message.text.endswith("there")
