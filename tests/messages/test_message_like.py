"""Messages as dicts, tuples and texts: every door takes what LangChain's `convert_to_messages` takes."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen import confirm, images_of, pending_calls, to_portable_messages
from langchain_mistral_imagegen._messages.message_like import as_messages
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import GeneratedImage

CONVERSATIONS = {"model_provider": "mistralai_conversations", "conversation_id": "conv_1", "finish_reason": "stop"}
FILE = {"type": "tool_file", "tool": "image_generation", "file_id": "f", "file_name": "cat", "file_type": "png"}
ANSWER = AIMessage(
    [{"type": "text", "text": "Here:", "index": 0}, {**FILE, "index": 1}],
    id="msg_1",
    name="painter",
    response_metadata=CONVERSATIONS,
    additional_kwargs={"a": 1},
    tool_calls=[{"name": "look", "args": {"at": "sky"}, "id": "Ab3dE5fG7"}],
    invalid_tool_calls=[{"name": "go", "args": "{", "id": "Bb3dE5fG7", "error": None}],
    usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
)
STORED = {"id": "g", "status": "stored", "key": "g.jpg", "conversation_id": "conv_2"}
RESULT = ToolMessage(
    "An image.", tool_call_id="Ab3dE5fG7", id="r", name="look", status="error", artifact={"images": [STORED]},
    response_metadata={"b": 2}, additional_kwargs={"c": 3},
)  # fmt: skip
INLINE = ToolMessage("An image.", tool_call_id="Bb3dE5fG7", response_metadata={"images": [{**STORED, "id": "h"}]})
QUESTION = HumanMessage([{"type": "text", "text": "Draw."}], id="q", name="user", additional_kwargs={"d": 4})
HISTORY = [SystemMessage("Be kind."), QUESTION, ANSWER, RESULT, INLINE]

FORMS = {
    "messages": lambda message: message,
    "model_dump": lambda message: message.model_dump(),
    "JSON": lambda message: message.model_dump(mode="json"),
    "dumpd": dumpd,
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_langgraph_server_returns_becomes_the_message_that_it_was(form: str) -> None:
    given = [FORMS[form](message) for message in HISTORY]
    assert as_messages(given) == HISTORY
    assert [as_messages(one) for one in given] == [[message] for message in HISTORY]


@pytest.mark.parametrize("form", FORMS)
def test_images_are_found_in_every_form(form: str) -> None:
    given = [FORMS[form](message) for message in HISTORY]
    ids = ["f", "g", "h"]
    assert [ref["id"] for ref in images_of(given)] == ids
    assert [ref["id"] for ref in images_of({"messages": given})] == ids
    assert [ref["id"] for ref in images_of({"messages": tuple(given), "images": {"x": {**STORED, "id": "x"}}})] == [
        "x",
        *ids,
    ]
    assert [[ref["id"] for ref in images_of(one)] for one in given] == [[], [], ["f"], ["g"], ["h"]]
    assert images_of(given) == images_of(HISTORY)


@pytest.mark.parametrize("form", FORMS)
def test_a_portable_history_is_made_of_every_form(form: str) -> None:
    given = [FORMS[form](message) for message in HISTORY]
    assert to_portable_messages(given) == to_portable_messages(HISTORY)
    image = GeneratedImage.from_bytes(b"\xff\xd8\xff\xe0" + bytes(40), {"id": "f", "status": "remote"})
    inline = to_portable_messages([*given[:3], {"role": "user", "content": "What is it?"}], [image])
    assert [block["type"] for block in inline[-1].content] == ["text", "image", "text"]


def test_the_forms_of_providers_and_people_are_taken() -> None:
    forms: list[Any] = ["Draw.", ("user", "Draw."), {"role": "user", "content": "Draw."}]
    assert as_messages(forms) == 3 * [HumanMessage("Draw.")]
    assert as_messages(("user", "Draw.")) == as_messages("Draw.") == [HumanMessage("Draw.")]
    call = {"id": "Ab3dE5fG7", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
    (answer,) = as_messages({"role": "assistant", "content": None, "tool_calls": [call]})
    assert answer.tool_calls == [{"name": "look", "args": {"at": "sky"}, "id": "Ab3dE5fG7", "type": "tool_call"}]


def test_a_chunk_as_a_dict_stays_a_chunk() -> None:
    chunk = AIMessageChunk([{**FILE, "index": 0}], response_metadata=CONVERSATIONS, chunk_position="last")
    assert as_messages(chunk.model_dump()) == [chunk]
    assert [ref["id"] for ref in images_of(chunk.model_dump())] == ["f"]


def test_calls_that_wait_are_found_and_confirmed() -> None:
    call = {
        "type": "function.call",
        "id": "t",
        "name": "generate_image",
        "arguments": "{}",
        "confirmation_status": "pending",
    }
    message = AIMessage([call], response_metadata={**CONVERSATIONS, "finish_reason": "confirmation"})
    assert pending_calls(message.model_dump()) == pending_calls(message) != []
    assert confirm(message.model_dump(), allow=True) == confirm(message, allow=True)


@pytest.mark.parametrize(
    "wrong", [{"text": "x", "secret": "base64"}, 7, None, ("user", "a", "b"), {"role": "x", "content": "secret"}]
)
def test_what_is_no_message_is_refused_by_name_and_without_its_content(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="is no message; pass LangChain's messages") as refused:
        images_of([wrong])
    assert "base64" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_state_without_messages_has_no_images() -> None:
    assert images_of({}) == images_of({"messages": []}) == images_of({"messages": None, "images": None}) == []
