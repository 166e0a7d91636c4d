"""Messages as input entries."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen._messages.inputs import check_results, join, read, with_missing_results
from langchain_mistral_imagegen.errors import InvalidInputError

PROVIDER = {"model_provider": "mistralai_conversations"}
CALL = {"name": "add", "args": {"a": 1}, "id": "call00001"}


def to_inputs(messages, **options):
    return join(with_missing_results(messages, [read(message, **options) for message in messages]))


def content(*blocks):
    return to_inputs([HumanMessage(list(blocks))]).entries[0]["content"]


def summary(entries):
    """Return entries in short."""
    values = {
        "message.input": lambda e: (e["role"], e["content"]),
        "message.output": lambda e: ("says", e["content"][-1]["text"]),
        "function.call": lambda e: ("calls", e["name"], e["arguments"], e["tool_call_id"]),
        "function.result": lambda e: ("gets", e["result"], e["tool_call_id"]),
    }
    return [values[entry["type"]](entry) for entry in entries]


def test_system_messages_are_instructions_wherever_they_stand():
    inputs = to_inputs([SystemMessage("A"), HumanMessage("x"), SystemMessage("B")])
    assert inputs.instructions == "A\n\nB"
    assert summary(inputs.entries) == [("user", "x")]


def test_to_an_agent_they_are_a_users_in_their_places():
    inputs = to_inputs([SystemMessage("A"), HumanMessage("x"), SystemMessage("B")], system_as_user=True)
    assert inputs.instructions == ""
    assert summary(inputs.entries) == [("user", "A"), ("user", "x"), ("user", "B")]


def test_a_history_is_replayed_in_order():
    history = [HumanMessage("x"), AIMessage("y", tool_calls=[CALL]), ToolMessage("1", tool_call_id="call00001")]
    assert summary(to_inputs(history).entries) == [
        ("user", "x"),
        ("says", "y"),
        ("calls", "add", '{"a": 1}', "call00001"),
        ("gets", "1", "call00001"),
    ]


NATIVE = [
    {"type": "thinking", "thinking": "Hm.", "index": 0},
    {"type": "text", "text": "Let me draw.", "index": 1},
    {
        "type": "tool.execution",
        "id": "tool_exec_1",
        "name": "image_generation",
        "function": "generate_image",
        "arguments": '{"prompt":"a cat"}',
        "tool": "image_generation",
        "info": {"result": '{"url": "mistral-image:tool_exec_1"}'},
        "status": "success",
        "index": 2,
    },
    {"type": "text", "text": "Here.", "index": 3},
    {"type": "tool_file", "tool": "image_generation", "file_id": "f", "index": 4},
    {"type": "agent.handoff", "id": "h", "index": 5},
]


def test_a_tool_that_the_server_ran_is_replayed_as_a_call_with_its_result():
    answer = AIMessage(NATIVE, response_metadata=PROVIDER)
    one, call, result, two = summary(to_inputs([answer]).entries)
    assert (one, two) == (("says", "Let me draw."), ("says", "Here."))
    assert call[:3] == ("calls", "generate_image", '{"prompt": "a cat"}')
    assert result == ("gets", "The image was generated and shown to the user.", call[3])
    assert call[3].isalnum()
    assert len(call[3]) == 9


def test_standard_blocks_are_replayed_like_native_ones():
    native = AIMessage(NATIVE, response_metadata=PROVIDER)
    standard = AIMessage(native.content_blocks, response_metadata={**PROVIDER, "output_version": "v1"})
    assert to_inputs([standard]) == to_inputs([native])


def test_a_failed_tool_is_replayed_with_its_reason():
    failed = {**NATIVE[2], "info": {"result": "Tool call timed out."}, "status": "error"}
    _, result = summary(to_inputs([AIMessage([failed], response_metadata=PROVIDER)]).entries)
    assert result[:2] == ("gets", "Tool call timed out.")


def test_of_another_providers_answer_text_and_calls_are_replayed():
    foreign = AIMessage(
        [{"type": "text", "text": "Yes."}, {"type": "web_search_call", "id": "ws_1", "status": "completed"}],
        response_metadata={"model_provider": "openai"},
        tool_calls=[CALL],
    )
    assert summary(to_inputs([foreign]).entries) == [("says", "Yes."), ("calls", "add", '{"a": 1}', "call00001")]


def test_images_that_functions_return_come_after_the_last_result():
    image = {"type": "image", "base64": "AA==", "mime_type": "image/png"}
    history = [
        ToolMessage([{"type": "text", "text": "one"}, image], tool_call_id="a"),
        ToolMessage("two", tool_call_id="b"),
        HumanMessage("And?"),
    ]
    chunk = {"type": "image_url", "image_url": "data:image/png;base64,AA=="}
    assert summary(to_inputs(history).entries) == [
        ("gets", "one", "a"),
        ("gets", "two", "b"),
        ("user", [chunk]),
        ("user", "And?"),
    ]
    assert summary(to_inputs(history[:1]).entries) == [("gets", "one", "a"), ("user", [chunk])]


def test_confirmations_are_no_entries():
    block = {"type": "tool_confirmation", "tool_call_id": "c", "confirmation": "allow"}
    inputs = to_inputs([HumanMessage([block])])
    assert inputs.entries == []
    assert inputs.confirmations == [{"tool_call_id": "c", "confirmation": "allow"}]


@pytest.mark.parametrize(
    ("block", "chunk"),
    [
        ({"type": "text", "text": "x"}, {"type": "text", "text": "x"}),
        ("x", {"type": "text", "text": "x"}),
        ({"type": "image_url", "image_url": {"url": "https://x"}}, {"type": "image_url", "image_url": "https://x"}),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
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
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            {
                "type": "document_url",
                "document_url": "data:application/pdf;base64,AA==",
                "document_name": "a.pdf",
            },
        ),
        ({"type": "text-plain", "text": "x", "mime_type": "text/plain"}, {"type": "text", "text": "x"}),
        ({"type": "tool_file", "tool": "t", "file_id": "f"}, {"type": "tool_file", "tool": "t", "file_id": "f"}),
    ],
)
def test_blocks_become_chunks(block, chunk):
    assert content(block) == [chunk]


@pytest.mark.parametrize(
    ("block", "reason"),
    [({"type": "audio", "base64": "A"}, "type 'audio'"), ({"type": "image"}, "needs 'url', 'base64' or 'file_id'")],
)
def test_what_cannot_be_sent_is_named(block, reason):
    with pytest.raises(InvalidInputError, match=reason):
        content(block)


def test_a_call_that_cannot_be_read_gets_a_result_with_the_reason():
    broken = {"type": "invalid_tool_call", "name": "add", "args": "{oops", "id": "call00001", "error": None}
    history = [AIMessage("", invalid_tool_calls=[broken]), HumanMessage("Go on.")]
    assert summary(to_inputs(history).entries) == [
        ("calls", "add", "{oops", "call00001"),
        ("gets", "The arguments are not valid JSON.", "call00001"),
        ("user", "Go on."),
    ]
    own = ToolMessage("My mistake.", tool_call_id="call00001")
    assert summary(to_inputs([history[0], own]).entries)[1] == ("gets", "My mistake.", "call00001")


def test_missing_results_are_named():
    history = [
        AIMessage("", tool_calls=[CALL, {**CALL, "id": "call00002"}]),
        ToolMessage("1", tool_call_id="call00001"),
    ]
    with pytest.raises(InvalidInputError, match=r"add \(call00002\).*ToolMessage"):
        check_results(history)
    check_results([*history, ToolMessage("2", tool_call_id="call00002")])
