"""Events are read, or kept as they were sent."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._protocol.entries import Unknown
from langchain_mistral_imagegen._protocol.events import (
    MessageOutputEvent,
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
