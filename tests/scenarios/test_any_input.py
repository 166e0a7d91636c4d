"""Whatever arrives: nothing raises but the package's own errors, and nothing that is unknown is lost."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import any_input
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_chunk_to_message

from langchain_mistral_imagegen import images_of, to_portable_messages
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._conversations.completions import completion_request
from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._messages.confirmations import confirm, pending_calls
from langchain_mistral_imagegen._protocol.entries import (
    AgentHandoffEntry,
    ConversationHistory,
    ConversationResponse,
    FunctionCallEntry,
    MessageOutputEntry,
    ToolExecutionEntry,
    Unknown,
    read_response,
)
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.failures import is_success, raise_for_status
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen._protocol.resources import Agent, AgentAlias, Conversation, DeletedFile, File, Listing
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder
from langchain_mistral_imagegen.errors import APIError, InvalidResponseError, MistralImagegenError
from langchain_mistral_imagegen.sandbox import Behavior
from langchain_mistral_imagegen.sandbox.routes.streaming import events_of

URL = re.compile(r"https?://\S*SECRET")
TARGET = {"model": "m", "tools": []}


def context() -> AnswerContext:
    return AnswerContext(
        model="m", urls=SignedUrls(), fingerprint=Turn(messages=[HumanMessage("x")], target=TARGET).fingerprint
    )


def sent(value: Any) -> bytes:
    """Write JSON; by hand where it nests deeper than Python can."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def answering(*outputs: Any) -> dict[str, Any]:
    return {**any_input.RESPONSE, "outputs": list(outputs)}


def use(message: AIMessage, source: Any) -> None:
    """Do with an answer whatever is done with answers."""
    assert message.model_dump_json()
    assert message.text is not None
    facts = message.response_metadata
    assert isinstance(facts.get("model_name", ""), str)
    assert facts.get("finish_reason", "stop") in {"stop", "tool_calls", "confirmation", "handoff"}
    assert any_input.names_a_secret(source) or not URL.search(
        repr(message) + message.pretty_repr() + repr(message.content_blocks)
    )
    images_of(message)
    results = [ToolMessage("x", tool_call_id=call["id"] or "") for call in message.tool_calls]
    following = confirm(message, allow=True) if pending_calls(message) else HumanMessage("And now?")
    history = [HumanMessage("x"), message, *results, following]
    turn = Turn(messages=history, target=TARGET)
    requests = [turn.start()]
    requests += [turn.append(turn.continues), turn.restart(turn.continues)] if turn.continues else []
    requests += [] if turn.confirms else [completion_request(turn)]
    for request in requests:
        assert json.dumps(request.json, ensure_ascii=False).encode()
    to_portable_messages(history)


def unknown_values(message: AIMessage) -> list[Any]:
    return [block["value"] for block in message.content if block["type"] == "non_standard"]


def raws(response: ConversationResponse) -> list[Any]:
    """Return what is unknown in a response, without signed URLs."""
    found = []
    for entry in response.outputs:
        parts = entry.content if isinstance(entry, MessageOutputEntry) else [entry]
        found += [part.raw for part in parts if isinstance(part, Unknown)]
    return context().urls.redact(found, "")


@example(answering({"type": "message.input", "id": "m", "model": [1], "agent_id": {}}))
@example(answering({"type": "message.output", "content": [{**any_input.FILE, "extras": 5}]}))
@example(answering({**any_input.FUNCTION_CALL, "arguments": '{"a": "\\ud800"}'}))
@example(answering({**any_input.FUNCTION_CALL, "tool_call_id": "", "name": ""}))
@example(answering(any_input.nested(150)))
@example(answering(*any_input.ENTRIES))
@example(any_input.nested(100_000))
@example({**answering(any_input.ENTRIES[1]), "conversation_id": ""})
@given(any_input.any_response)
def test_any_response_is_a_message_or_an_error_of_ours(body):
    try:
        response = read_response(ConversationResponse, sent(body))
    except InvalidResponseError:
        return
    message = to_message(response, context())
    use(message, body)
    shown = unknown_values(message)
    assert [raw for raw in raws(response) if raw not in shown and "mistral-image:" not in repr(raw)] == []


def stream_of(events: list[Any]) -> list[Any]:
    answer, chunks, failed = AnswerStream(context()), [], None
    try:
        with answer.complete():
            for event in events:
                chunks += answer.feed(event)
    except MistralImagegenError as error:
        failed = error
    assert failed is None or (failed.partial is None) == (not chunks)
    assert "SECRET" not in str(failed)
    return chunks


def merged(chunks: list[Any]) -> AIMessage:
    return message_chunk_to_message(functools.reduce(lambda left, right: left + right, chunks))


@pytest.mark.slow
@example([any_input.DONE, any_input.DONE, any_input.EVENTS[0]])
@example([{**any_input.FUNCTION_EVENT, "arguments": '{"a": "\\ud800"}'}, any_input.DONE])
@example([{**any_input.STARTED, "id": [1], "model": 5}, any_input.DONE])
@example([{"type": "conversation.response.error", "message": None, "code": "x"}])
@example([event for event in any_input.STREAMS[0] if event != any_input.STARTED])
@example([any_input.nested(100_000)])
@given(any_input.any_events)
def test_any_events_are_a_message_or_an_error_of_ours(events):
    read = [read_event(sent(event)) for event in events]
    chunks = stream_of(read)
    for chunk in chunks:
        assert chunk.model_dump_json()
        assert any_input.names_a_secret(events) or not URL.search(repr(chunk) + repr(chunk.content_blocks))
    if chunks:
        use(merged(chunks), events)


@given(st.lists(st.binary(max_size=20) | any_input.any_event.map(sent), max_size=4), st.randoms(use_true_random=False))
def test_any_bytes_in_any_pieces_are_the_same_events(parts, random):
    body = b"".join(b"data: " + part + random.choice([b"\n\n", b"\r\n\r\n", b"\n"]) for part in parts)
    cuts = sorted(random.randint(0, len(body)) for _ in range(5))
    whole, pieces = EventStreamDecoder(), EventStreamDecoder()
    expected = [*whole.feed(body), *whole.flush()]
    cut = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert [data for piece in cut for data in pieces.feed(piece)] + list(pieces.flush()) == expected
    for data in expected:
        read_event(data)


@pytest.mark.slow
@given(st.lists(any_input.any_entry, max_size=4))
def test_a_stream_of_mutated_entries_is_their_message(outputs):
    outputs = [entry for entry in outputs if isinstance(entry, dict)]
    for place, entry in enumerate(outputs):
        entry |= {name: f"{name}_{place}" for name in ("id", "tool_call_id") if name in entry}
    response = {**any_input.RESPONSE, "outputs": outputs}
    read = read_response(ConversationResponse, sent(response))
    known = MessageOutputEntry, ToolExecutionEntry, FunctionCallEntry, AgentHandoffEntry
    assume(all(isinstance(entry, known) for entry in read.outputs))
    assume(all("SECRET" not in repr(entry.model_extra) for entry in read.outputs))  # events have no further fields
    assume(all(isinstance(entry.get("arguments", ""), str) for entry in outputs))  # events hold them as text
    contents = [entry["content"] for entry in outputs if not isinstance(entry.get("content", ""), str)]
    assume(all(isinstance(content, list) for content in contents))
    assume(all(isinstance(chunk, dict) for content in contents for chunk in content))  # they hold chunks one by one
    try:
        events = list(events_of(response, Behavior()))
    except (KeyError, TypeError, AttributeError, IndexError):
        assume(False)  # the sandbox cannot send this
    assume({event.get("output_index") for event in events} >= set(range(len(outputs))))  # nor nothing at all
    chunks = stream_of([read_event(sent(event)) for event in events])
    streamed, whole = merged(chunks), to_message(read, context())
    assert streamed.content_blocks == whole.content_blocks
    for message in (streamed, whole):
        message.response_metadata.pop("created_at", None)  # of the first event, which is not that of the entry
    assert streamed.model_dump() == whole.model_dump()


@example([{**any_input.CHUNKS[0], "choices": 5}])
@example([{**any_input.CHUNKS[0], "choices": [5]}])
@example([{**any_input.CHUNKS[0], "usage": {"prompt_tokens": {}}}])
@example([{**any_input.CHUNKS[0], "choices": [{"delta": [1]}]}])
@example([{**any_input.CHUNKS[0], "choices": [{"delta": {"tool_calls": [5, {"index": []}]}}]}])
@example([{**any_input.CHUNKS[0], "choices": [{"delta": {"tool_calls": [{"function": 5}]}}]}])
@example([any_input.nested(100_000)])
@given(any_input.any_chunks)
def test_any_chunks_of_completions_are_a_message_or_an_error_of_ours(bodies):
    reader = CompletionEvents({"add"})
    events = [event for body in bodies for event in reader.chunk(sent(body))]
    chunks = stream_of([*events, *reader.chunk(b"[DONE]")])
    if chunks:
        use(merged(chunks), bodies)


@example({"choices": []})
@example({"choices": None})
@example(any_input.nested(100_000))
@given(any_input.any_completion)
def test_any_completion_is_a_message_or_an_error_of_ours(body):
    try:
        events = list(CompletionEvents({"add"}).completion(sent(body)))
    except InvalidResponseError:
        return
    chunks = stream_of(events)
    use(merged(chunks), body)


DATE = "Mon, 23 Nov 2026 09:00:10 GMT"
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "mistral-correlation-id", "x-ratelimit-remaining-x-day"]),
    st.text(st.characters(codec="latin-1"), max_size=6)
    | st.sampled_from(["²", "-0", "1e9", "nan", "9" * 400, DATE, DATE.replace("GMT", "-0000")])
    | st.builds("Mon, 23 Nov {} {}:00:10 {}".format, st.integers(), st.integers(), st.integers()),
)


@example(429, b"", {"retry-after": "²"})
@example(429, b"", {"retry-after": DATE, "date": DATE.replace("GMT", "-0000")})
@example(422, b'{"detail": [{"loc": 5}]}', {})
@example(400, sent({"message": "x", "code": {"url": any_input.URL}}), {})
@example(500, sent(any_input.nested(100_000)), {})
@example(400, b'{"message": "\\ud800"}', {})
@given(st.integers(100, 599), any_input.any_problem.map(sent) | st.binary(max_size=30), headers)
def test_any_refusal_is_an_error_of_ours(status, content, given):
    if is_success(status):
        return
    with pytest.raises(APIError) as caught:
        raise_for_status(Response(status=status, headers=given, content=content))
    assert "SECRET" not in str(caught.value) + repr(caught.value.__dict__)
    assert str(caught.value).encode()
    assert caught.value.retry_after is None or caught.value.retry_after >= 0


KINDS = [ConversationHistory, Listing[Agent], Listing[Conversation], Listing[File], Agent, AgentAlias, Conversation]


@pytest.mark.parametrize("kind", [*KINDS, File, DeletedFile], ids=lambda kind: kind.__name__)
@given(any_input.any_response | st.binary(max_size=40))
def test_any_resource_is_read_or_an_error_of_ours(kind, body):
    data = body if isinstance(body, bytes) else sent(body)
    try:
        found = read_response(kind, data)
    except InvalidResponseError:
        return
    assert json.dumps(found.as_sent())
