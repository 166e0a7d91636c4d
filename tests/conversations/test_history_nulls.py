"""A stored conversation that is read: a field that may be missing may also be null, and changes nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mistralai.client import models
from nulls import Path, changed, everywhere, fields, left_out

from langchain_mistral_imagegen import ChatMistralConversations, images_of
from langchain_mistral_imagegen._conversations.history import messages_of
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls

COMMON = {"object": "entry", "created_at": "2026-11-23T09:00:00Z", "completed_at": "2026-11-23T09:00:01Z"}
MADE = {**COMMON, "model": "m", "agent_id": "a"}
URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a.jpg?sp=r&sig=SECRET"
PHOTO = {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}}
PAPER = {"type": "document_url", "document_url": "https://e.org/a.pdf", "document_name": "a"}
ENTRIES = [
    {**COMMON, "type": "message.input", "id": "in1", "role": "user", "prefix": False, "content": "Draw a cat."},
    {**MADE, "type": "tool.execution", "id": "t", "name": "image_generation", "arguments": "{}", "info": {"result": URL}},
    {**MADE, "type": "message.output", "id": "out1", "role": "assistant", "content": "Here it is."},
    {**COMMON, "type": "message.input", "id": "in2", "role": "user", "prefix": False,
     "content": [{"type": "text", "text": "And this?"}, PHOTO, PAPER]},
    {**COMMON, "type": "agent.handoff", "id": "h", "previous_agent_id": "a", "previous_agent_name": "one",
     "next_agent_id": "b", "next_agent_name": "two"},
    {**MADE, "type": "function.call", "id": "f", "tool_call_id": "Ab3dE5fG7", "name": "look", "arguments": "{}",
     "confirmation_status": "allowed"},
    {**COMMON, "type": "function.result", "id": "r", "tool_call_id": "Ab3dE5fG7", "result": "A dog."},
    {**MADE, "type": "message.output", "id": "out2", "role": "assistant", "content": [{"type": "text", "text": "A dog."}]},
]  # fmt: skip
HISTORY = {"object": "conversation.history", "conversation_id": "conv_1", "entries": ENTRIES}
CONVERSATION = {
    "object": "conversation", "id": "conv_1", "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
    "model": "m", "instructions": None, "tools": [{"type": "image_generation"}], "completion_args": None,
    "guardrails": None, "name": "n", "description": "d", "metadata": {"a": "b"},
}  # fmt: skip
NEEDED = frozenset(
    {"type", "text", "image_url", "url", "document_url", "content", "tool_call_id", "function.call name", "result"}
    | {"entries", "tool.execution info", "function.call arguments"}
)


def essence(history: Any, conversation: Any = CONVERSATION) -> Any:
    settings = ChatMistralConversations(api_key="k", model="m")._turn_settings({})
    reading = messages_of("conv_1", settings, SignedUrls())
    next(reading)
    try:
        reading.send(Response(status=200, headers={}, content=json.dumps(conversation).encode()))
        reading.send(Response(status=200, headers={}, content=json.dumps(history).encode()))
    except StopIteration as end:
        messages = end.value
    assert "SECRET" not in repr(messages)
    calls = [getattr(message, "tool_calls", getattr(message, "tool_call_id", None)) for message in messages]
    kinds = [[block["type"] for block in one.content] if isinstance(one.content, list) else "text" for one in messages]
    return [*map(type, messages)], [str(one.text) for one in messages], kinds, calls, len(images_of(messages))


@pytest.mark.slow
@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("path", list(fields(HISTORY, NEEDED)), ids=str)
def test_a_field_of_a_history(path: Path, null: bool) -> None:
    assert essence(changed(HISTORY, path, null=null)) == essence(HISTORY)


@pytest.mark.parametrize("name", sorted({str(path[-1]) for path in fields(HISTORY, NEEDED)} - {"name"}))
def test_a_field_that_is_null_everywhere(name: str) -> None:
    assert essence(everywhere(HISTORY, name)) == essence(HISTORY)


@pytest.mark.parametrize("null", [True, False], ids=["null", "missing"])
@pytest.mark.parametrize("name", [name for name in CONVERSATION if name != "id"])
def test_a_field_of_the_conversation(name: str, null: bool) -> None:
    assert essence(HISTORY, changed(CONVERSATION, (name,), null=null)) == essence(HISTORY)


def test_the_examples_have_every_field_of_the_official_sdk() -> None:
    types, texts, _, _, images = essence(HISTORY)
    assert [kind.__name__ for kind in types] == ["HumanMessage", "AIMessage", "HumanMessage", "AIMessage",
                                                 "ToolMessage", "AIMessage"]  # fmt: skip
    assert (texts[0], texts[-1], images) == ("Draw a cat.", "A dog.", 1)
    history = models.ConversationHistory.model_validate(HISTORY)
    assert len({type(entry).__name__ for entry in history.entries}) == 6
    assert list(left_out(history)) == []
    unset = models.ModelConversation.model_fields.keys() - CONVERSATION.keys()
    assert unset == set()
