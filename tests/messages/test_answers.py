"""Answers as messages: whole ones from entries, streams from events, and both alike."""

from __future__ import annotations

import functools
import json

import pytest
from answers import (
    ANSWERS,
    DONE,
    FILE,
    RESULT,
    STARTED,
    USAGE,
    execution,
    handoff,
    message,
    source,
    text,
)
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, fingerprint, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import APIConnectionError, RateLimitError, ServerError, StreamInterruptedError


def context() -> AnswerContext:
    return AnswerContext(model="asked", urls=SignedUrls(), fingerprint="before")


def whole(answer) -> AIMessage:
    body = {"conversation_id": "conv_1", "outputs": [entry for entry, _ in answer], "usage": USAGE}
    response = read_response(ConversationResponse, json.dumps(body).encode())
    return to_message(response, context())


def chunks_of(*events) -> list[AIMessageChunk]:
    stream = AnswerStream(context())
    with stream.complete():
        return [chunk for event in events for chunk in stream.feed(read_event(json.dumps(event).encode()))]


def chunks(answer) -> list[AIMessageChunk]:
    return chunks_of(STARTED, *(event for _, events in answer for event in events), DONE)


def merged(answer) -> AIMessage:
    return message_chunk_to_message(functools.reduce(lambda left, right: left + right, chunks(answer)))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_merged_stream_is_the_message(name):
    streamed, direct = merged(ANSWERS[name]), whole(ANSWERS[name])
    assert streamed.model_dump() == direct.model_dump()
    assert streamed.content_blocks == direct.content_blocks


@pytest.mark.parametrize("name", ANSWERS)
def test_no_signature_is_in_a_message_or_any_chunk(name):
    for one in [whole(ANSWERS[name]), *chunks(ANSWERS[name])]:
        shown = one.model_dump_json() + repr(one) + repr(one.content_blocks)
        assert "SECRET" not in shown
        assert "sig=" not in shown


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("shape A", ["f1"]),
        ("shape B", ["tool_0"]),
        ("shape C", ["msg_0"]),
        ("text only", []),
        ("several images", ["f1", "f2", "f3"]),
        ("a timeout first", ["tool_1"]),
        ("text between tools", ["tool_1"]),
        ("documentation", ["f1"]),
        ("other images", ["msg_0"]),
    ],
)
def test_images_are_found_once_in_every_shape(name, ids):
    assert [ref["id"] for ref in images_of(whole(ANSWERS[name]))] == ids
    assert [ref["id"] for ref in images_of(merged(ANSWERS[name]))] == ids


def test_the_metadata_holds_what_continuing_needs():
    answer = whole(ANSWERS["shape A"])
    assert answer.id == "tool_0"
    assert answer.response_metadata == {
        "model_provider": "mistralai_conversations",
        "conversation_id": "conv_1",
        "model_name": "m",
        "entry_ids": ["tool_0", "msg_1"],
        "head": "msg_1",
        "connectors": {"image_generation": 1},
        "finish_reason": "stop",
        "fingerprint": fingerprint("before", answer),
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("shape A", "stop"),
        ("parallel calls", "tool_calls"),
        ("calls that wait", "confirmation"),
        ("handoff", "stop"),
        ("a handoff at the end", "handoff"),
    ],
)
def test_the_finish_reason_shows_whose_turn_it_is(name, reason):
    assert whole(ANSWERS[name]).response_metadata["finish_reason"] == reason


def test_a_fingerprint_changes_with_the_history_the_text_and_the_calls():
    answer, calls = AIMessage("x"), [{"name": "add", "args": {"a": 1}, "id": "c"}]
    different = [
        fingerprint("a", answer),
        fingerprint("b", answer),
        fingerprint("a", AIMessage("y")),
        fingerprint("a", AIMessage("x", tool_calls=calls)),
        fingerprint("a", AIMessage("x", tool_calls=[{**calls[0], "args": {"a": 2}}])),
    ]
    assert len(set(different)) == 5
    assert fingerprint("a", AIMessage([{"type": "text", "text": "x"}])) == fingerprint("a", answer)


def test_sources_belong_to_the_text_that_cites_them():
    blocks = whole(ANSWERS["citations"]).content_blocks
    assert [(b["text"], [c["title"] for c in b.get("annotations", ())]) for b in blocks] == [
        ("", ["A"]),
        ("Cats.", ["B", "C"]),
        (" Dogs.", ["D"]),
        ("", ["E"]),
    ]


def test_a_call_that_waits_is_nobodys_to_run():
    answer = whole(ANSWERS["calls that wait"])
    assert answer.tool_calls == []
    first, second = answer.content_blocks
    assert (first["type"], first["name"], first["args"]) == (
        "server_tool_call",
        "image_generation",
        {"prompt": "a cat"},
    )
    assert (second["id"], second["extras"]) == ("call00001", {"confirmation_status": "pending"})


def test_connector_tokens_are_input_tokens():
    assert whole(ANSWERS["shape A"]).usage_metadata == {
        "input_tokens": 198,
        "output_tokens": 94,
        "total_tokens": 292,
        "input_token_details": {"connector": 69},
    }


def test_a_failed_attempt_is_an_error_result_and_a_success_is_not():
    blocks = whole(ANSWERS["a timeout first"]).content_blocks
    assert [block["status"] for block in blocks if block["type"] == "server_tool_result"] == ["error", "success"]


def test_malformed_arguments_are_kept_as_invalid_calls():
    answer = whole(ANSWERS["malformed call"])
    assert [one["args"] for one in answer.invalid_tool_calls] == ["not json"]
    assert [one["args"] for one in answer.tool_calls] == [{"a": [1]}, {}]


def test_a_tool_of_the_server_is_never_a_call_for_the_client():
    assert not any(chunk.tool_call_chunks for chunk in chunks(ANSWERS["shape A"]))


def test_the_last_chunk_is_marked_and_empty():
    *_, last = chunks(ANSWERS["shape C"])
    assert (last.chunk_position, last.content) == ("last", [])


def test_a_handoff_of_which_only_the_start_arrives_is_kept():
    (started, _) = handoff(0)[1]
    *_, started_only, _ = chunks_of(STARTED, started, DONE)
    assert started_only.content[0]["previous_agent_name"] == "Host"


def test_without_indexes_pieces_are_joined_by_arrival():
    deltas = [("a", "x"), ("a", "y"), ("a", FILE), ("a", "z"), ("b", "w"), ("b", FILE), ("b", FILE)]
    events = [{"type": "message.output.delta", "id": entry, "content": content} for entry, content in deltas]
    joined = functools.reduce(lambda left, right: left + right, chunks_of(STARTED, *events, DONE))
    shown = [block.get("text", block["type"]) for block in joined.content]
    assert shown == ["xy", "tool_file", "z", "w", "tool_file", "tool_file"]


def test_reasoning_in_pieces_is_one_block():
    pieces = [{"type": "thinking", "thinking": [text(part)], "closed": True} for part in ("I ", "think")]
    events = [
        {"type": "message.output.delta", "id": "m", "output_index": 0, "content_index": 0, "content": p} for p in pieces
    ]
    joined = functools.reduce(lambda left, right: left + right, chunks_of(STARTED, *events, DONE))
    assert joined.content_blocks == [{"type": "reasoning", "reasoning": "I think", "index": "lc_rsn_0"}]


def test_what_reasoning_holds_besides_text_is_kept():
    (thought,) = whole([message(0, {"type": "thinking", "thinking": [text("See "), source("A"), text("it.")]})]).content
    assert thought == {"type": "thinking", "thinking": "See it.", "references": [source("A")], "index": 0}


def test_what_reasoning_in_pieces_holds_besides_text_is_kept():
    parts = [[text("See "), source("A")], [source("B"), text("it.")]]
    events = [
        {"type": "message.output.delta", "id": "m", "content": {"type": "thinking", "thinking": part}} for part in parts
    ]
    joined = functools.reduce(lambda left, right: left + right, chunks_of(STARTED, *events, DONE))
    (thought,) = joined.content_blocks
    assert (thought["reasoning"], thought["extras"]) == ("See it.", {"references": [source("A"), source("B")]})


def test_a_cut_stream_raises_with_what_had_arrived():
    stream = AnswerStream(context())
    lost = APIConnectionError("reset", sent=True)
    with pytest.raises(StreamInterruptedError, match="'conv_1'") as caught, stream.complete():
        for event in [STARTED, *message(0, text("Here"))[1]]:
            list(stream.feed(read_event(json.dumps(event).encode())))
        raise lost
    assert caught.value.partial.text == "Here"
    assert (caught.value.conversation_id, caught.value.__cause__) == ("conv_1", lost)


def test_a_stream_that_never_began_raises_the_connection_error():
    with (
        pytest.raises(APIConnectionError, match="refused"),
        AnswerStream(context()).complete(),
    ):
        raise APIConnectionError("refused", sent=False)


def test_an_error_event_raises_with_what_had_arrived():
    error = {"type": "conversation.response.error", "message": "Overloaded", "code": 503}
    with pytest.raises(StreamInterruptedError, match="Overloaded") as caught:
        chunks_of(STARTED, *execution(0, RESULT)[1], error)
    assert images_of(caught.value.partial)[0]["id"] == "tool_0"
    with pytest.raises(ServerError, match="Overloaded"):
        chunks_of(STARTED, error)


def test_an_error_event_that_refuses_keeps_its_class():
    refused = {"type": "conversation.response.error", "message": "image_generation rate limit reached.", "code": 429}
    with pytest.raises(RateLimitError, match="rate limit reached") as caught:
        chunks_of(STARTED, *execution(0, RESULT)[1], refused)
    assert images_of(caught.value.partial)[0]["id"] == "tool_0"
    assert not caught.value.is_retryable
