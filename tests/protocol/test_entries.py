"""What Mistral sends is read, whatever is missing, null, new or in another shape."""

from __future__ import annotations

import json
import traceback

import pytest

from langchain_mistral_imagegen._protocol.entries import (
    ConversationResponse,
    ToolExecutionEntry,
    Unknown,
    read_response,
)
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import InvalidResponseError


def response_of(*outputs, usage=None) -> ConversationResponse:
    body = {"conversation_id": "conv_1", "outputs": list(outputs), "usage": usage}
    return read_response(ConversationResponse, json.dumps(body).encode())


def output(**entry):
    return response_of(entry).outputs[0]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({}, ""),
        ({"arguments": None}, ""),
        ({"arguments": "{}"}, "{}"),
        ({"arguments": {"prompt": "é"}}, '{"prompt": "é"}'),
    ],
)
def test_arguments_may_be_missing_null_text_or_an_object(given, read):
    entry = output(type="tool.execution", name="image_generation", **given)
    assert (type(entry), entry.arguments) == (ToolExecutionEntry, read)


@pytest.mark.parametrize(
    "info", [{}, {"info": None}, {"info": {}}, {"info": {"result": [{"type": "text", "text": "x"}]}}]
)
def test_a_tool_execution_needs_no_result(info):
    assert isinstance(output(type="tool.execution", name="x", **info), ToolExecutionEntry)


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("hi", "hi"),
        (None, ""),
        ([], []),
        ({"type": "text", "text": "hi"}, ["TextChunk"]),
        ([{"type": "new"}], ["Unknown"]),
    ],
)
def test_content_may_be_text_a_list_one_chunk_or_nothing(content, read):
    entry = output(type="message.output", content=content)
    found = entry.content if isinstance(entry.content, str) else [type(chunk).__name__ for chunk in entry.content]
    assert found == read


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "dream", "depth": 3},
        {"no": "type"},
        {"type": "function.call"},
        {"type": "message.output", "content": 5},
        7,
    ],
)
def test_what_is_unknown_or_does_not_fit_is_kept_as_it_was_sent(entry):
    (kept,) = response_of(entry).outputs
    assert (type(kept), kept.raw) == (Unknown, entry)


def test_an_unknown_chunk_among_known_ones_can_be_written_again():
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "hologram", "beams": [1]}]
    sent = output(type="message.output", content=content).as_sent()
    assert [chunk["type"] for chunk in sent["content"]] == ["thinking", "hologram"]


def test_new_fields_are_kept():
    assert output(type="message.output", content="x", mood="good").as_sent()["mood"] == "good"


def test_a_chunk_without_its_file_id_is_unknown_not_an_error():
    entry = output(type="message.output", content=[{"type": "tool_file", "file_id": None}])
    assert entry.content == [Unknown(type="tool_file", raw={"type": "tool_file", "file_id": None})]


@pytest.mark.parametrize(
    ("usage", "connectors"),
    [
        ({}, None),
        ({"connectors": {"image_generation": 2}}, {"image_generation": 2}),
        ({"connectors": {"x": "?"}}, None),
    ],
)
def test_usage_may_be_empty_or_odd(usage, connectors):
    assert response_of(usage=usage).usage.connectors == connectors


def test_usage_may_be_missing_or_unreadable():
    assert response_of(usage=None).usage is None
    assert response_of(usage={"prompt_tokens": "many"}).usage is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"outputs": "https://x?sig=SECRET"}'])
def test_an_unreadable_response_is_an_error_without_its_content(body):
    with pytest.raises(InvalidResponseError, match="ConversationResponse cannot be read") as caught:
        read_response(ConversationResponse, body)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_an_entry_without_a_signed_url_is_its_own_redacted_form():
    entry = output(type="message.output", id="m", content=[{"type": "text", "text": "See https://a.test/?q=1"}], new={})
    assert entry.redacted(SignedUrls()) is entry


def test_a_signed_url_is_replaced_wherever_it_stands_and_nothing_else_changes():
    signed = "https://mistralaiblackforestprod.blob.core.windows.net/i.jpg?sig=SECRET"
    chunk, new = {"type": "text", "text": f"![cat]({signed})"}, {"deep": [{"er": signed}]}
    entry = output(type="message.output", id="m", content=[{"type": "text", "text": "One"}, chunk], new=new)
    redacted = entry.redacted(SignedUrls())
    expected = {"content": [{"type": "text", "text": "One"}, {**chunk, "text": "![cat](mistral-image:m)"}]}
    assert redacted.as_sent() == {**entry.as_sent(), **expected, "new": {"deep": [{"er": "mistral-image:m"}]}}
