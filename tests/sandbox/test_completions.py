"""Chat completions of the sandbox, with the official SDK as judge."""

from __future__ import annotations

import json

import httpx
import pytest
from mistralai.client import Mistral

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CAT = [{"role": "user", "content": "Generate an orange cat in an office."}]
IMAGE = [{"type": "image_generation"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
    },
}


@pytest.fixture
def chat(sandbox: Sandbox):
    with Mistral(api_key="k", server_url=sandbox.url) as client:
        yield client.chat


def post(sandbox: Sandbox, **body) -> httpx.Response:
    return httpx.post(f"{sandbox.url}/v1/chat/completions", json=body, headers={"authorization": "Bearer k"})


def test_an_image_comes_as_several_messages_with_a_url(chat, sandbox):
    answer = chat.complete(model="mistral-medium-latest", messages=CAT, tools=IMAGE)
    (choice,) = answer.choices
    assert (answer.object, choice.message, choice.finish_reason) == ("chat.multi_completion", None, "stop")
    call, result, reply = choice.messages
    assert call.tool_calls[0].function.name == "generate_image"
    assert "/blob/" in result.content
    url = reply.content[-1].image_url
    assert httpx.get(url).content[:3] == b"\xff\xd8\xff"
    assert (sandbox.paid, answer.usage.prompt_tokens + answer.usage.completion_tokens) == (1, answer.usage.total_tokens)


def test_a_stream_has_the_same_and_repeats_its_last_message(chat):
    chunks = [event.data for event in chat.stream(model="mistral-medium-latest", messages=CAT, tools=IMAGE)]
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert [delta.tool_calls[0].function.name for delta in deltas if delta.tool_calls] == ["generate_image"]
    assert "".join(
        d.content for d in deltas[:-1] if isinstance(d.content, str) and d.content and "/blob/" not in d.content
    )
    assert sum("image_url" in str(delta.content) for delta in deltas) == 2
    assert len({chunk.id for chunk in chunks}) == 2


def test_text_is_an_ordinary_completion(chat):
    answer = chat.complete(model="mistral-medium-latest", messages=[{"role": "user", "content": "Hello"}])
    assert (answer.object, answer.choices[0].message.content) == ("chat.completion", "Hello! How can I help you today?")


def test_functions_are_called_and_answered(chat):
    question = {"role": "user", "content": "Use add for 3 and 4."}
    answer = chat.complete(model="m", messages=[question], tools=[ADD])
    called = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "7"}
    final = chat.complete(model="m", messages=[question, called.model_dump(exclude_none=True), result], tools=[ADD])
    assert final.choices[0].message.content == "The result is: 7"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "m"}, 422, "messages"),
        ({"model": "m", "messages": CAT, "inputs": "x"}, 422, "extra_forbidden"),
        ({"model": "m", "messages": CAT, "tools": [{"type": "web_search"}]}, 422, "web_search"),
        ({"model": "codestral-latest", "messages": CAT, "tools": IMAGE}, 400, "3004"),
        ({"model": "m", "messages": [{"role": "robot", "content": "x"}]}, 422, "robot"),
        ({"model": "m", "messages": [{"role": "tool", "tool_call_id": "short", "content": "x"}]}, 400, "3280"),
        (
            {"model": "m", "messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "Ab3dE5fG7"}]}]},
            400,
            "not both",
        ),
        ({"model": "m", "messages": [{"role": "tool", "content": "x"}]}, 422, "tool_call_id"),
        ({"model": "m", "messages": [{"role": "tool", "tool_call_id": 7, "content": "x"}]}, 422, "valid string"),
        ({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"id": "Ab3dE5fG7"}]}]}, 422, "function"),
        (
            {"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "add"}}]}]},
            422,
            "valid string",
        ),
    ],
)
def test_what_the_real_server_refuses_is_refused(sandbox, body, status, text):
    response = post(sandbox, **body)
    assert (response.status_code, text in response.text) == (status, True)


def test_nothing_is_stored(sandbox):
    post(sandbox, model="m", messages=CAT, tools=IMAGE)
    assert sandbox.conversations.by_id == {}


def test_it_answers_also_as_the_documentation_prints_it(sandbox):
    sandbox.behave(Behavior(documentation=True))
    assert post(sandbox, model="m", messages=CAT, tools=IMAGE).status_code == 200


def test_it_misbehaves_on_demand(sandbox):
    sandbox.behave(Behavior(quota="day"))
    assert post(sandbox, model="m", messages=CAT, tools=IMAGE).status_code == 429
    sandbox.behave(Behavior(cut_after=2))
    with pytest.raises(httpx.RemoteProtocolError):
        post(sandbox, model="m", messages=CAT, tools=IMAGE, stream=True)


def streamed(sandbox, **knobs):
    body = {"model": "m", "messages": CAT, "tools": IMAGE, "stream": True}
    headers = {"authorization": "Bearer k", "x-sandbox-behavior": json.dumps(knobs)}
    return httpx.post(f"{sandbox.url}/v1/chat/completions", json=body, headers=headers).text


def test_a_stream_ends_with_an_error_where_it_is_wanted(sandbox):
    *before, last = streamed(sandbox, error_after=2).strip().split("\n\n")
    assert len(before) == 2
    assert json.loads(last.removeprefix("data: "))["error"]["message"] == "Internal error"


def test_events_are_streamed_as_they_are(sandbox):
    assert streamed(sandbox, events="data: 1\n\n") == "data: 1\n\n"


def test_an_image_is_not_among_the_files(chat, sandbox):
    chat.complete(model="m", messages=CAT, tools=IMAGE)
    assert (sandbox.paid, sandbox.files.by_id) == (1, {})


def test_each_run_has_used_something(sandbox):
    chunks = [json.loads(line[6:]) for line in streamed(sandbox).splitlines() if line.startswith("data: {")]
    usages = [chunk["usage"] for chunk in chunks if "usage" in chunk]
    assert len(usages) == 2
    assert all(usage[name] > 0 for usage in usages for name in usage)
