"""Reasoning in a history: Mistral's own is sent back, that of other providers is left out, and neither is refused."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.block_translators import PROVIDER_TRANSLATORS
from langchain_mistralai._compat import translate_content, translate_content_chunk
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import MistralRequestValidatorV13, ValidationMode

TEXT = {"type": "text", "text": "Hello."}
CALL = {"name": "add", "args": {"a": 1}, "id": "call00001"}
SUMMARY = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "xx",
}
OWN: dict[str, tuple[str, Any]] = {
    "ours": ("mistralai_conversations", [{"type": "thinking", "thinking": "Hm.", "signature": "s", "index": 0}, TEXT]),
    "ours, as standard blocks": ("mistralai_conversations", [{"type": "reasoning", "reasoning": "Hm."}, TEXT]),
    "ChatMistralAI": ("mistralai", [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, TEXT]),
    "ChatMistralAI, as a string": ("mistralai", [{"type": "thinking", "thinking": "Hm."}, TEXT]),
}
FOREIGN: dict[str, tuple[str, Any]] = {
    "LangChain": ("", [{"type": "reasoning", "reasoning": "Hm."}, TEXT]),
    "Anthropic": ("anthropic", [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, TEXT]),
    "Anthropic, redacted": ("anthropic", [{"type": "redacted_thinking", "data": "xx"}, TEXT]),
    "Anthropic, unmarked": ("", [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, TEXT]),
    "OpenAI": ("openai", [SUMMARY, TEXT]),
    "Google": ("google_genai", [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, TEXT]),
    "DeepSeek": ("deepseek", "Hello."),
}


def answer(provider: str, content: Any, **more: Any) -> AIMessage:
    extra = {"reasoning_content": "Hm."} if provider == "deepseek" else {}
    return AIMessage(content, response_metadata={"model_provider": provider}, additional_kwargs=extra, **more)


async def sent(make_model: Any, sandbox: Any, transport: str, *history: Any) -> list[dict[str, Any]]:
    """Return the answers that a history was sent with; the sandbox took it, and Mistral's validators pass it."""
    model = make_model(tools=[], transport=transport, continuation="replay")
    await model.ainvoke([HumanMessage("Hi."), *history, HumanMessage("Go on.")])
    body = sandbox.requests[-1].json
    assert sandbox.requests[-1].status == 200
    answers = [one for one in body.get("messages") or body["inputs"] if one.get("role") == "assistant"]
    whole = [{"role": "user", "content": "Hi."}, *map(textual, answers), {"role": "user", "content": "Go on."}]
    request = ChatCompletionRequest.from_openai(messages=whole, model="m", reasoning_field_format="thinking_chunks")
    MistralRequestValidatorV13(ValidationMode.serving).validate_request(request)
    return answers


def textual(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with reasoning as mistral-common has it: as one text; the API has a list of chunks."""
    content = message["content"]
    if isinstance(content, list):
        thought = [{**one, "thinking": one["thinking"][0]["text"]} for one in content if one["type"] == "thinking"]
        content = [*thought, *(one for one in content if one["type"] != "thinking")]
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize("has_package", [False, True])
@pytest.mark.parametrize("transport", ["conversations", "completions"])
@pytest.mark.parametrize("writer", OWN)
async def test_what_a_model_of_mistral_thought_is_sent_back(
    make_model, sandbox, transport: str, writer: str, has_package: bool, monkeypatch
) -> None:
    """`ChatMistralAI`'s package registers a translator of its messages when it is imported."""
    if has_package:
        both = {"translate_content": translate_content, "translate_content_chunk": translate_content_chunk}
        monkeypatch.setitem(PROVIDER_TRANSLATORS, "mistralai", both)
    else:
        monkeypatch.delitem(PROVIDER_TRANSLATORS, "mistralai", raising=False)
    (answered,) = await sent(make_model, sandbox, transport, answer(*OWN[writer]))
    assert answered["content"] == [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, TEXT]


@pytest.mark.parametrize("transport", ["conversations", "completions"])
@pytest.mark.parametrize("writer", FOREIGN)
async def test_what_another_model_thought_is_left_out(make_model, sandbox, transport: str, writer: str) -> None:
    (answered,) = await sent(make_model, sandbox, transport, answer(*FOREIGN[writer]))
    assert answered["content"] in ("Hello.", [TEXT])
    assert "Hm." not in repr(sandbox.requests[-1].json)


@pytest.mark.parametrize("transport", ["conversations", "completions"])
@pytest.mark.parametrize("content", [[{"type": "thinking", "thinking": "Hm.", "signature": "s"}], [SUMMARY]])
async def test_an_answer_of_nothing_else_is_left_out(make_model, sandbox, transport: str, content: Any) -> None:
    assert await sent(make_model, sandbox, transport, answer("anthropic", content), answer("mistralai", "Hello.")) != []
    assert "Hm." not in repr(sandbox.requests[-1].json)
