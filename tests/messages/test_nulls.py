"""A field that may be missing may also be null: text, images, calls and usage stay the same, streamed or not."""

import itertools
import json
from typing import Any

import pytest
from mistralai.client import models
from nulls import Path, changed, everywhere, fields, left_out

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls

TIME = "2026-11-23T09:00:00Z"
FILE = {"type": "tool_file", "tool": "image_generation", "file_id": "f", "file_name": "cat", "file_type": "png"}
SOURCE = {"type": "tool_reference", "tool": "web_search", "title": "t", "url": "https://e.org", "favicon": "f",
          "description": "d"}  # fmt: skip
COMMON = {"object": "entry", "created_at": TIME, "completed_at": None, "model": "m", "agent_id": "a"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s", "closed": True}
CALL = {"tool_call_id": "abcdefghi", "name": "look", "arguments": "{}", "confirmation_status": None}
RUN = {"id": "run", "name": "image_generation", "function": "generate_image", "metadata": {"tool_type": "image"}}
SEARCH = {"id": "find", "name": "web_search", "function": "web_search"}
WORDS = [THOUGHT, {"type": "text", "text": "Here: "}, FILE, SOURCE]
USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "connector_tokens": 0, "connectors": {}}
URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a.jpg?sp=r&sig=SECRET"
RESULT = {"result": json.dumps({"url": URL})}
FROM = {"previous_agent_id": "a", "previous_agent_name": "one"}
TO = {"next_agent_id": "b", "next_agent_name": "two"}
COMMON_LESS = {name: COMMON[name] for name in ("object", "created_at", "completed_at")}
ANSWER = {
    "object": "conversation.response",
    "conversation_id": "c",
    "outputs": [
        {**COMMON, "type": "tool.execution", **RUN, "arguments": "{}", "info": {"result": "done"}},
        {**COMMON, "type": "tool.execution", **SEARCH, "arguments": "{}", "info": {"result": "found"}},
        {**COMMON_LESS, "type": "agent.handoff", "id": "hand", **FROM, **TO},
        {**COMMON, "type": "message.output", "id": "msg", "role": "assistant", "content": WORDS},
        {**COMMON, "type": "function.call", "id": "call", **CALL},
    ],
    "usage": USAGE,
    "guardrails": None,
}
URL_ANSWER = {
    **ANSWER,
    "outputs": [
        {**COMMON, "type": "tool.execution", **RUN, "arguments": "{}", "info": RESULT},
        {**COMMON, "type": "message.output", "id": "msg", "role": "assistant", "content": "Here."},
    ],
}
DELTA = {"type": "message.output.delta", "created_at": TIME, "output_index": 1, "id": "msg", "model": "m", "role": "assistant",
        "agent_id": "a"}  # fmt: skip
STARTED = {"type": "conversation.response.started", "created_at": TIME, "conversation_id": "c"}
DONE = {"type": "conversation.response.done", "created_at": TIME, "usage": USAGE}
BEGUN = {"created_at": TIME, "output_index": 0, "model": "m", "agent_id": "a", **RUN, "arguments": ""}
EVENTS = [
    STARTED,
    {"type": "tool.execution.started", **BEGUN},
    {"type": "tool.execution.delta", "created_at": TIME, "output_index": 0, **RUN, "arguments": "{}"},
    {"type": "tool.execution.done", "created_at": TIME, "output_index": 0, **RUN, "info": {"result": "done"}},
    {**DELTA, "content_index": 0, "content": "He"},
    {**DELTA, "content_index": 0, "content": "re: "},
    {**DELTA, "content_index": 1, "content": FILE},
    {**DELTA, "content_index": 2, "content": "after"},
    {"type": "agent.handoff.started", "created_at": TIME, "output_index": 3, "id": "hand", **FROM},
    {"type": "agent.handoff.done", "created_at": TIME, "output_index": 3, "id": "hand", **TO},
    {"type": "function.call.delta", "created_at": TIME, "output_index": 2, "id": "call", "model": "m", "agent_id": "a",
     **CALL},
    DONE,
]  # fmt: skip
URL_EVENTS = [
    STARTED,
    {"type": "tool.execution.started", **BEGUN},
    {"type": "tool.execution.done", "created_at": TIME, "output_index": 0, **RUN, "info": RESULT},
    {**DELTA, "content_index": 0, "content": "Here."},
    DONE,
]
# Without these the answer is another one.
NEEDED = frozenset(
    {"type", "conversation_id", "text", "thinking", "file_id", "tool_call_id", "result", "outputs", "content", "usage"}
    | {f"function.call{event} {name}" for event in ("", ".delta") for name in ("name", "arguments")}
    | {"tool.execution info", "tool.execution.done info"}
)


def whole(answer: Any) -> Any:
    response = read_response(ConversationResponse, json.dumps(answer).encode())
    return to_message(response, AnswerContext(model="m", urls=SignedUrls()))


def streamed(events: Any) -> Any:
    stream = AnswerStream(AnswerContext(model="m", urls=SignedUrls()))
    for event in events:
        stream.feed(read_event(json.dumps(event).encode()))
    return stream.message


def essence(message: Any) -> Any:
    assert "SECRET" not in repr(message)
    files = [(ref.get("file_id"), ref["status"]) for ref in images_of(message)]
    # One text may arrive as two blocks, where only one of its pieces has a place.
    kinds = [kind for kind, _ in itertools.groupby(block["type"] for block in message.content)]
    return message.text, files, kinds, message.tool_calls, message.usage_metadata


@pytest.mark.slow
@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(ANSWER, NEEDED)), ids=str)
def test_a_null_or_missing_field_of_an_answer_changes_nothing_else(path: Path, null: bool) -> None:
    assert essence(whole(changed(ANSWER, path, null=null))) == essence(whole(ANSWER))


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(URL_ANSWER, NEEDED)), ids=str)
def test_a_null_or_missing_field_loses_no_image_that_is_a_url(path: Path, null: bool) -> None:
    assert essence(whole(changed(URL_ANSWER, path, null=null))) == essence(whole(URL_ANSWER))


@pytest.mark.slow
@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(EVENTS, NEEDED)), ids=str)
def test_a_null_or_missing_field_of_an_event_changes_nothing_else(path: Path, null: bool) -> None:
    assert essence(streamed(changed(EVENTS, path, null=null))) == essence(streamed(EVENTS))


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(URL_EVENTS, NEEDED)), ids=str)
def test_a_null_or_missing_field_of_an_event_loses_no_image_that_is_a_url(path: Path, null: bool) -> None:
    assert essence(streamed(changed(URL_EVENTS, path, null=null))) == essence(streamed(URL_EVENTS))


EVERY_NAME = sorted({str(path[-1]) for example in (ANSWER, EVENTS) for path in fields(example, NEEDED)} - {"arguments"})


@pytest.mark.parametrize("name", [name for name in EVERY_NAME if name != "name"])
def test_a_field_that_is_null_everywhere_changes_nothing_else(name: str) -> None:
    for answer in (ANSWER, URL_ANSWER):
        assert essence(whole(everywhere(answer, name))) == essence(whole(answer))
    for events in (EVENTS, URL_EVENTS):
        assert essence(streamed(everywhere(events, name))) == essence(streamed(events))


def test_the_examples_hold_an_image_and_every_field_of_the_official_sdk() -> None:
    assert essence(whole(ANSWER))[:2] == ("Here: ", [("f", "remote")])
    assert [essence(whole(URL_ANSWER))[:2], essence(streamed(URL_EVENTS))[:2]] == 2 * [("Here.", [(None, "remote")])]
    sdk = models.ConversationResponse.model_validate(ANSWER)
    assert {type(entry).__name__ for entry in sdk.outputs} > {"AgentHandoffEntry", "FunctionCallEntry"}
    assert list(left_out(sdk)) == []
    for event in EVENTS:
        read = models.ConversationEvents.model_validate({"event": event["type"], "data": event}).data
        assert not type(read).__name__.startswith("Unknown")
        assert list(left_out(read)) == []


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


@pytest.mark.parametrize("lacks", [(), (1,), (3,), (1, 2)])
@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
def test_a_run_keeps_the_name_that_one_of_its_events_has(lacks: tuple[int, ...], null: bool) -> None:
    """A failed attempt is known by the tool's name."""
    events = changed(EVENTS, (3, "metadata"), null=null)
    events[3]["info"]["result"] = "Tool call timed out. Please try again."
    for place in lacks:
        for name in ("name", "function", "metadata"):
            events = changed(events, (place, name), null=null) if name in events[place] else events
    block = streamed(events).content[0]
    assert (block["name"], block["tool"], block["status"]) == ("image_generation", "image_generation", "error")


@pytest.mark.parametrize("missing", [{}, {"id": None}])
def test_nulls_inside_unknown_chunks_and_arguments_are_kept(missing):
    chunk, arguments = {"type": "weather", "wind": None, "days": [{"rain": None}]}, {"city": None}
    call = {**CALL, "arguments": arguments}
    outputs = [{"type": "message.output", "content": [chunk], **missing}, {"type": "function.call", **call, **missing}]
    events = [
        STARTED,
        {"type": "message.output.delta", "output_index": 0, "content": chunk, **missing},
        {"type": "function.call.delta", "output_index": 1, **call, **missing},
        DONE,
    ]
    for message in (whole({**ANSWER, "outputs": outputs}), streamed(events)):
        assert [block["value"] for block in message.content if block["type"] == "non_standard"] == [chunk]
        assert [found["args"] for found in message.tool_calls] == [arguments]
