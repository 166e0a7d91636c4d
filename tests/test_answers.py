"""Answers as messages: whole ones from entries, streams from events, and both alike."""

from __future__ import annotations

import functools
import json

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._answers import AnswerStream, Asked, fingerprint, to_message
from langchain_mistral_imagegen._events import read_event
from langchain_mistral_imagegen._signed_urls import SignedUrls
from langchain_mistral_imagegen._wire import ConversationResponse, read_response
from langchain_mistral_imagegen.errors import APIConnectionError, RateLimitError, ServerError, StreamInterruptedError

URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a/image.jpg?se=x&sp=r&sig=SECRET"
USAGE = {
    "prompt_tokens": 129,
    "completion_tokens": 94,
    "total_tokens": 292,
    "connector_tokens": 69,
    "connectors": {"image_generation": 1},
}
STARTED = {"type": "conversation.response.started", "conversation_id": "conv_1"}
DONE = {"type": "conversation.response.done", "usage": USAGE}
FILE = {
    "type": "tool_file",
    "tool": "image_generation",
    "file_id": "f1",
    "file_name": "image_generated_0",
    "file_type": "png",
}


def execution(place, result, arguments='{"prompt": "a cat"}'):
    info = {} if result is None else {"result": result}
    name = {"name": "image_generation", "function": "generate_image"}
    entry = {"type": "tool.execution", "id": f"tool_{place}", **name, "arguments": arguments, "info": info}
    common = {"id": f"tool_{place}", "output_index": place, **name}
    events = [{"type": "tool.execution.started", **common, "model": "m", "arguments": ""}]
    events += [
        {"type": "tool.execution.delta", **common, "arguments": piece} for piece in (arguments[:9], arguments[9:])
    ]
    return {**entry, "model": "m"}, [*events, {"type": "tool.execution.done", **common, "info": info}]


def message(place, *chunks):
    """Make a message entry, and events in which each text comes letter by letter."""
    content = chunks[0]["text"] if len(chunks) == 1 and chunks[0]["type"] == "text" else list(chunks)
    events = []
    for index, chunk in enumerate(chunks):
        for piece in chunk["text"] if chunk["type"] == "text" else [chunk]:
            where = {"id": f"msg_{place}", "output_index": place, "content_index": index, "model": "m"}
            events.append({"type": "message.output.delta", **where, "content": piece})
    return {"type": "message.output", "id": f"msg_{place}", "content": content, "model": "m"}, events


def text(value):
    return {"type": "text", "text": value}


def call(place, name, arguments):
    common = {"id": f"fc_{place}", "name": name, "tool_call_id": f"call{place:05}"}
    pieces = [arguments[:3], arguments[3:]]
    events = [{"type": "function.call.delta", **common, "output_index": place, "arguments": piece} for piece in pieces]
    return {"type": "function.call", **common, "arguments": arguments}, events


def pending(place, name, arguments):
    entry, events = call(place, name, arguments)
    waiting = {"confirmation_status": "pending"}
    return {**entry, **waiting}, [{**event, **waiting} for event in events]


def source(title):
    return {"type": "tool_reference", "tool": "web_search", "title": title, "url": f"https://e.x/{title}"}


def handoff(place):
    previous = {"previous_agent_id": "ag_1", "previous_agent_name": "Host"}
    following = {"next_agent_id": "ag_2", "next_agent_name": "Painter"}
    events = [
        {"type": "agent.handoff.started", "id": f"h_{place}", "output_index": place, **previous},
        {"type": "agent.handoff.done", "id": f"h_{place}", "output_index": place, **following},
    ]
    return {"type": "agent.handoff", "id": f"h_{place}", **previous, **following}, events


RESULT = json.dumps({"url": URL})
ANSWERS = {
    "shape A": [execution(0, RESULT), message(1, text("Here it is:\n\n"), FILE)],
    "shape B": [execution(0, RESULT), message(1, text("Here it is."))],
    "shape C": [message(0, text(f"Here: ![a cat]({URL}) - with love"))],
    "text only": [message(0, text("No picture today, oh well http"))],
    "several images": [
        execution(0, RESULT),
        execution(1, RESULT.replace("/a/", "/b/")),
        message(2, FILE, text("and"), {**FILE, "file_id": "f2"}, {**FILE, "file_id": "f3"}),
    ],
    "a timeout first": [
        execution(0, "Tool call timed out. Please try again."),
        execution(1, RESULT),
        message(2, text("x")),
    ],
    "text between tools": [
        message(0, text("First.")),
        execution(1, RESULT),
        message(2, text("Second.")),
        execution(3, None),
    ],
    "documentation": [execution(0, None, ""), message(1, text("Here"), FILE)],
    "parallel calls": [message(0, text("Let me see.")), call(1, "add", '{"a": 1}'), call(2, "add", '{"a": 2}')],
    "malformed call": [call(0, "add", '{"a": [1, '), call(1, "add", "not json"), call(2, "add", "")],
    "handoff": [handoff(0), execution(1, RESULT), message(2, text("Done."), FILE)],
    "citations": [
        message(0, source("A"), text("Cats."), source("B"), source("C"), text(" Dogs."), source("D")),
        message(1, source("E")),
    ],
    "a citation before a tool": [message(0, text("Cats."), source("A")), execution(1, RESULT)],
    "reasoning": [message(0, {"type": "thinking", "thinking": [text("Hm.")], "closed": True}, text("Yes."))],
    "reasoning with sources": [
        message(
            0,
            {
                "type": "thinking",
                "thinking": [text("See "), source("A"), text("and "), {"type": "hologram", "at": URL}],
            },
            {"type": "thinking", "thinking": [text("it."), source("B")]},
            text("Yes."),
        )
    ],
    "calls that wait": [pending(0, "image_generation", '{"prompt": "a cat"}'), pending(1, "add", '{"a": 1}')],
    "a handoff at the end": [message(0, text("I ask the painter.")), handoff(1)],
    "unknown chunk": [message(0, text("Look:"), {"type": "hologram", "beams": [1]}, FILE)],
    "other pictures": [
        message(
            0,
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "document_url", "document_url": "https://e.x/d"},
        )
    ],
}


def asked() -> Asked:
    return Asked(model="asked", urls=SignedUrls(), fingerprint="before")


def whole(answer) -> AIMessage:
    body = {"conversation_id": "conv_1", "outputs": [entry for entry, _ in answer], "usage": USAGE}
    response = read_response(ConversationResponse, json.dumps(body).encode())
    return to_message(response, asked())


def chunks_of(*events) -> list[AIMessageChunk]:
    stream = AnswerStream(asked())
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
        ("other pictures", ["msg_0"]),
    ],
)
def test_pictures_are_found_once_in_every_shape(name, ids):
    assert [ref["id"] for ref in images_of(whole(ANSWERS[name]))] == ids
    assert [ref["id"] for ref in images_of(merged(ANSWERS[name]))] == ids


def test_the_metadata_tells_what_continuing_needs():
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
def test_the_finish_reason_tells_whose_turn_it_is(name, reason):
    assert whole(ANSWERS[name]).response_metadata["finish_reason"] == reason


def test_a_fingerprint_changes_with_what_was_said_before_the_text_and_the_calls():
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


def test_a_handoff_of_which_only_the_start_is_told_is_kept():
    (started, _) = handoff(0)[1]
    *_, told, _ = chunks_of(STARTED, started, DONE)
    assert told.content[0]["previous_agent_name"] == "Host"


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
    stream = AnswerStream(asked())
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
        AnswerStream(asked()).complete(),
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
