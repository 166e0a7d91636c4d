"""Messages as input entries."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen._inputs import to_inputs


def content(*blocks):
    return to_inputs([HumanMessage(list(blocks))]).entries[0]["content"]


def test_system_messages_are_instructions_wherever_they_stand():
    inputs = to_inputs([SystemMessage("A"), HumanMessage("x"), SystemMessage("B")])
    assert inputs.instructions == "A\n\nB"
    assert inputs.entries == [{"object": "entry", "type": "message.input", "role": "user", "content": "x"}]
    assert [entry["content"] for entry in inputs.as_entries()] == ["A\n\nB", "x"]


def test_a_history_is_replayed_in_order():
    call = {"name": "add", "args": {"a": 1}, "id": "call00001"}
    history = [HumanMessage("x"), AIMessage("y", tool_calls=[call]), ToolMessage("1", tool_call_id="call00001")]
    _, said, called, result = to_inputs(history).entries
    assert (said["role"], said["content"]) == ("assistant", "y")
    assert called == {"type": "function.call", "tool_call_id": "call00001", "name": "add", "arguments": '{"a": 1}'}
    assert result == {"type": "function.result", "tool_call_id": "call00001", "result": "1"}


@pytest.mark.parametrize(
    ("block", "chunk"),
    [
        ({"type": "text", "text": "x"}, {"type": "text", "text": "x"}),
        ("x", {"type": "text", "text": "x"}),
        (
            {"type": "image_url", "image_url": {"url": "https://x"}},
            {"type": "image_url", "image_url": {"url": "https://x"}},
        ),
        ({"type": "image", "url": "https://x"}, {"type": "image_url", "image_url": "https://x"}),
        (
            {"type": "image", "base64": "AA==", "mime_type": "image/png"},
            {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
        ),
        ({"type": "image", "file_id": "f"}, {"type": "tool_file", "tool": "image_generation", "file_id": "f"}),
        (
            {"type": "file", "base64": "AA==", "mime_type": "application/pdf"},
            {"type": "document_url", "document_url": "data:application/pdf;base64,AA=="},
        ),
    ],
)
def test_blocks_become_chunks(block, chunk):
    assert content(block) == [chunk]


@pytest.mark.parametrize(
    ("block", "said"),
    [({"type": "audio", "base64": "A"}, "type 'audio'"), ({"type": "image"}, "needs 'url', 'base64' or 'file_id'")],
)
def test_what_cannot_be_sent_is_named(block, said):
    with pytest.raises(ValueError, match=said):
        content(block)


def test_nothing_to_send_is_an_error():
    with pytest.raises(ValueError, match="no message to send"):
        to_inputs([])
