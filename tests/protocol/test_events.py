"""Events are read, or kept as they were sent."""

from __future__ import annotations

import json

import pytest

from langchain_mistral_imagegen._protocol.entries import Unknown
from langchain_mistral_imagegen._protocol.events import (
    MessageOutputEvent,
    ResponseErrorEvent,
    ResponseStartedEvent,
    ToolExecutionStartedEvent,
    read_event,
)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"type":"conversation.response.started","conversation_id":"c"}', ResponseStartedEvent),
        (b'{"type":"tool.execution.started","id":"t","name":"image_generation"}', ToolExecutionStartedEvent),
        (b'{"type":"message.output.delta","content":{"type":"tool_file","file_id":"f"}}', MessageOutputEvent),
        (b'{"type":"message.output.delta","content":[{"type":"text","text":"x"}]}', MessageOutputEvent),
        (b'{"type":"weather.changed"}', Unknown),
        (b'{"type":"function.call.delta"}', Unknown),
        (b"[1]", Unknown),
        (b"not json \xff", Unknown),
    ],
)
def test_events_are_read_or_kept(data, kind):
    assert type(read_event(data)) is kind


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "conversation.response.error", "error": {"message": "busy", "code": 503}},
        {"type": "conversation.response.error", "message": "busy", "code": 503},
        {"type": "error", "message": "busy", "code": "503"},
        {"error": {"message": "busy", "raw_status_code": 503}},
        {"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "busy"}]}, "code": 503},
    ],
    ids=str,
)
def test_each_form_of_an_error_in_a_stream_keeps_the_servers_words(sent: dict[str, object]) -> None:
    event = read_event(json.dumps(sent).encode())
    assert isinstance(event, ResponseErrorEvent)
    assert event.message is not None
    assert "busy" in event.message
    assert event.code == 503


def test_an_unknown_event_with_an_error_field_is_no_error() -> None:
    assert isinstance(read_event(b'{"type": "tool.execution.retried", "error": "slow"}'), Unknown)


@pytest.mark.parametrize("kind", [[], {}, ["error"]], ids=str)
def test_a_type_that_is_no_text_is_kept_as_unknown(kind: object) -> None:
    assert isinstance(read_event(json.dumps({"type": kind}).encode()), Unknown)
