"""Native blocks as LangChain's standard blocks."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

import langchain_mistral_imagegen.chat_models  # noqa: F401  # registers the translator

PROVIDER = {"model_provider": "mistralai_conversations"}


def blocks(*content, kind=AIMessage, **fields):
    return kind(content=list(content), response_metadata=PROVIDER, **fields).content_blocks


@pytest.mark.parametrize(
    ("native", "standard"),
    [
        (
            {"type": "text", "text": "x", "id": "m", "index": 3},
            {"type": "text", "text": "x", "id": "m", "index": "lc_txt_3"},
        ),
        (
            {"type": "tool_file", "tool": "image_generation", "file_id": "f"},
            {
                "type": "image",
                "id": "f",
                "file_id": "f",
                "mime_type": "image/png",
                "extras": {"tool": "image_generation"},
            },
        ),
        (
            {"type": "tool_file", "tool": "code_interpreter", "file_id": "f", "file_name": "a.csv", "file_type": "csv"},
            {
                "type": "file",
                "id": "f",
                "file_id": "f",
                "extras": {"tool": "code_interpreter", "file_name": "a.csv", "file_type": "csv"},
            },
        ),
        (
            {"type": "thinking", "thinking": "hm", "signature": "s", "references": [{"type": "tool_reference"}]},
            {
                "type": "reasoning",
                "reasoning": "hm",
                "extras": {"signature": "s", "references": [{"type": "tool_reference"}]},
            },
        ),
        ({"type": "image_url", "image_url": {"url": "https://x"}}, {"type": "image", "url": "https://x"}),
        (
            {"type": "document_url", "document_url": "https://x", "document_name": "n"},
            {"type": "file", "url": "https://x", "extras": {"document_name": "n"}},
        ),
        (
            {"type": "agent.handoff", "id": "h", "index": 1},
            {"type": "non_standard", "value": {"type": "agent.handoff", "id": "h"}, "index": "lc_oth_1"},
        ),
        (
            {"type": "non_standard", "value": {"type": "new"}, "index": 2},
            {"type": "non_standard", "value": {"type": "new"}, "index": "lc_oth_2"},
        ),
        (
            {"type": "text", "text": "", "annotations": [{"type": "citation", "title": "already standard"}]},
            {"type": "text", "text": "", "annotations": [{"type": "citation", "title": "already standard"}]},
        ),
        (
            {"type": "reasoning", "reasoning": "already standard"},
            {"type": "reasoning", "reasoning": "already standard"},
        ),
    ],
)
def test_each_native_block_has_its_standard_form(native, standard):
    assert blocks(native) == blocks(native) == [standard]
    assert blocks(native, kind=AIMessageChunk) == [standard]
    assert blocks(standard) == [standard]


@pytest.mark.parametrize(
    "piece", [{}, {"name": "n"}, {"arguments": "{"}, {"info": {}, "status": "success"}, {"id": "t"}]
)
def test_any_piece_of_a_tool_execution_can_be_shown(piece):
    shown = blocks({"type": "tool.execution", "index": 0, **piece}, kind=AIMessageChunk)
    assert {block["type"] for block in shown} <= {"server_tool_call_chunk", "server_tool_result"}


def test_unreadable_arguments_are_kept_in_the_extras():
    (block,) = blocks({"type": "tool.execution", "id": "t", "name": "n", "arguments": "not json"})
    assert (block["args"], block["extras"]) == ({}, {"arguments": "not json"})


def test_tool_calls_come_last():
    shown = blocks({"type": "text", "text": "x"}, tool_calls=[{"name": "add", "args": {}, "id": "1"}])
    assert [block["type"] for block in shown] == ["text", "tool_call"]
