"""The chat model over chat completions: the same messages, nothing stored."""

from __future__ import annotations

import json

import pytest
from faces import without_ids
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_mistralai import ChatMistralAI

from langchain_mistral_imagegen import ChatMistralConversations, images_of
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream
from langchain_mistral_imagegen._protocol.events import FunctionCallEvent, ResponseDoneEvent, ToolExecutionDoneEvent
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import (
    InvalidInputError,
    InvalidResponseError,
    QuotaExceededError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def chat(make_model):
    return make_model(transport="completions", max_retries=0)


async def test_an_image_arrives_and_downloads_and_nothing_is_stored(face, chat, sandbox):
    answer = await face.call(chat, "invoke", CAT)
    assert sandbox.requests[-1].path == "/v1/chat/completions"
    assert [block["type"] for block in answer.content_blocks] == [
        "server_tool_call",
        "server_tool_result",
        "text",
        "image",
    ]
    assert answer.content_blocks[0]["args"] == {"prompt": "an orange cat in an office"}
    assert answer.text.startswith("Here is your image")
    assert answer.tool_calls == []
    assert answer.response_metadata["connectors"] == {"image_generation": 1}
    assert "conversation_id" not in answer.response_metadata
    assert "sig=" not in str(answer)
    (image,) = await face.call(chat, "images", answer)
    assert (image.mime_type, sandbox.paid) == ("image/jpeg", 1)
    assert sandbox.conversations.by_id == {}


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize(
    "behavior",
    [Behavior(), Behavior(shape="url"), Behavior(shape="markdown"), Behavior(shape="text"), Behavior(images=3), Behavior(tool_timeouts=1)],
    ids=["usual", "url", "markdown", "text", "three", "timeout"],
)  # fmt: skip
async def test_a_stream_equals_its_message(face, make_model, sandbox, behavior, output_version):
    chat = make_model(transport="completions", output_version=output_version)
    sandbox.behave(behavior, times=2)
    whole, streamed = await face.call(chat, "invoke", CAT), await face.streamed(chat, CAT)
    assert content_of(streamed) == content_of(whole)
    assert len(images_of(streamed)) == len(images_of(whole)) == {"text": 0}.get(behavior.shape, behavior.images)


def content_of(message):
    """Return a message without ids; those of entries hold the completion's, of which a stream has several."""
    blocks = [{name: value for name, value in block.items() if name != "id"} for block in message.content_blocks]
    text = without_ids(AIMessage("", usage_metadata=message.usage_metadata, tool_calls=message.tool_calls))
    for block in blocks:
        for name in ("output", "url", "tool_call_id"):
            block.pop(name, None)
        if block["type"] == "text":
            block["text"] = block["text"].partition("mistral-image:")[0]
    return json.dumps(blocks, sort_keys=True), text


async def test_the_messages_are_those_of_a_conversation(face, chat, model):
    over_chat, over_conversation = await face.call(chat, "invoke", CAT), await face.call(model, "invoke", CAT)
    assert type(over_chat) is type(over_conversation)
    assert over_chat.text == over_conversation.text
    assert over_chat.usage_metadata["total_tokens"] == over_conversation.usage_metadata["total_tokens"]
    kinds = [[block["type"] for block in message.content_blocks] for message in (over_chat, over_conversation)]
    assert kinds[0] == kinds[1]


async def test_the_whole_history_is_sent_each_time(face, chat, sandbox):
    history = [SystemMessage("Be kind."), HumanMessage(CAT)]
    history += [await face.call(chat, "invoke", history), HumanMessage("Make it blue.")]
    answer = await face.call(chat, "invoke", history)
    assert "an orange cat in an office, blue" in answer.text
    roles = [message["role"] for message in sandbox.requests[-1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_a_history_may_change_between_the_transports(face, chat, model, sandbox):
    first = await face.call(model, "invoke", CAT)
    second = await face.call(chat, "invoke", [HumanMessage(CAT), first, HumanMessage("Make it blue.")])
    history = [HumanMessage(CAT), first, HumanMessage("Make it blue."), second, HumanMessage("Make it red.")]
    third = await face.call(model, "invoke", history)
    assert "red" in third.text
    assert sandbox.requests[-1].path == f"/v1/conversations/{first.response_metadata['conversation_id']}"


async def test_functions_work_beside_the_image_tool(face, chat):
    bound = chat.bind_tools([add])
    question = HumanMessage("Use add for 3 and 4.")
    answer = await face.call(bound, "invoke", [question])
    streamed = await face.streamed(bound, [question])
    (call,) = answer.tool_calls
    assert (call["name"], call["args"], streamed.tool_calls[0]["args"]) == ("add", {"a": 3, "b": 4}, {"a": 3, "b": 4})
    final = await face.call(bound, "invoke", [question, answer, ToolMessage("7", tool_call_id=call["id"])])
    assert final.text == "The result is: 7"


async def test_ids_of_other_providers_calls_are_made_to_fit(face, chat, sandbox):
    call = {"name": "add", "args": {}, "id": "call_of_another_provider"}
    history = [HumanMessage("x"), AIMessage("", tool_calls=[call]), ToolMessage("7", tool_call_id=call["id"])]
    await face.call(chat, "invoke", history)
    _, asked, result = sandbox.requests[-1].json["messages"]
    assert asked["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 9


async def test_structured_output_works(face, chat):
    schema = {"title": "Caption", "type": "object", "properties": {"caption": {"type": "string"}}}
    assert (await face.call(chat.with_structured_output(schema), "invoke", "Caption it.")).keys() == {"caption"}


async def test_errors_are_the_same(face, chat, sandbox):
    sandbox.behave(Behavior(quota="day"))
    with pytest.raises(QuotaExceededError):
        await face.call(chat, "invoke", CAT)
    sandbox.behave(Behavior(cut_after=6))
    with pytest.raises(StreamInterruptedError) as caught:
        await face.chunks(chat, CAT)
    assert caught.value.partial.text.startswith("Here is")


async def test_what_completions_do_not_have_is_refused_before_anything_is_sent(face, chat, make_model, sandbox):
    with pytest.raises(InvalidInputError, match="no web_search: use transport='conversations'"):
        await face.call(make_model(transport="completions", tools=[{"type": "web_search"}]), "invoke", "x")
    with pytest.raises(InvalidInputError, match="do not know files"):
        await face.call(chat, "invoke", [HumanMessage([{"type": "image", "file_id": "f"}])])
    with pytest.raises(ValueError, match="'ag_1' needs transport='conversations'"):
        ChatMistralConversations(api_key="k", agent_id="ag_1", transport="completions")
    assert sandbox.requests == []


def test_what_is_no_completion_is_an_error():
    with pytest.raises(InvalidResponseError, match="ChatCompletion cannot be read"):
        list(CompletionEvents(set()).completion(b"<html>"))


def test_what_each_run_of_the_model_cost_is_summed_up():
    def chunk(run, tokens):
        usage = {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}
        return json.dumps({"id": run, "created": 1, "choices": [], "usage": usage}).encode()

    events = CompletionEvents(set())
    for data in (chunk("a", 10), chunk("b", 5), chunk("b", 5)):
        assert list(events.chunk(data)) == []
    (done,) = events.chunk(b"[DONE]")
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (15, 2)


def test_an_unknown_chunk_is_kept():
    (event,) = CompletionEvents(set()).chunk(b'{"weather": "clear"}')
    assert event.raw == {"weather": "clear"}


def test_chat_mistral_ai_cannot_read_this_answer(sandbox):
    """Why this transport is here: the tool is accepted there, and the answer kills it."""
    other = ChatMistralAI(base_url=f"{sandbox.url}/v1", api_key="k", max_retries=0)
    with other.client, pytest.raises(KeyError, match="message"):
        other.bind_tools([{"type": "image_generation"}]).invoke(CAT)


def _chunk(message: dict[str, object], **more: object) -> bytes:
    choice = {"index": 0, "delta": message, **more}
    return json.dumps({"id": "c", "created": 1, "model": "m", "choices": [choice]}).encode()


def _call(call_id: object, index: int | None = None, arguments: str = "{}") -> dict[str, object]:
    return {"id": call_id, "index": index, "function": {"name": "look", "arguments": arguments}}


@pytest.mark.parametrize("call_id", [None, "null", "", "abcdefghi"])
@pytest.mark.parametrize("index", [None, 0])
def test_calls_with_missing_or_equal_ids_in_one_message_stay_separate(call_id: object, index: int | None) -> None:
    calls = [_call(call_id, index, '{"at": 1}'), _call(call_id, index, '{"at": 2}')]
    choice = {"message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}
    body = json.dumps({"id": "c", "created": 1, "model": "m", "choices": [choice]}).encode()
    events = [event for event in CompletionEvents({"look"}).completion(body) if isinstance(event, FunctionCallEvent)]
    assert len({event.tool_call_id for event in events}) == 2
    assert [event.arguments for event in events] == ['{"at": 1}', '{"at": 2}']


@pytest.mark.parametrize("call_id", [None, "null", "abcdefghi"])
def test_pieces_of_a_streamed_call_are_one_call(call_id: object) -> None:
    reader = CompletionEvents({"look"})
    rest = {"id": "null", "index": 0, "function": {"name": "", "arguments": "}"}}
    pieces = [_call(call_id, 0, "{"), rest]
    events = [event for piece in pieces for event in reader.chunk(_chunk({"tool_calls": [piece]}))]
    assert len({event.tool_call_id for event in events if isinstance(event, FunctionCallEvent)}) == 1
    assert len(events) == 2


def test_usage_without_choices_counts_and_is_no_unknown_event() -> None:
    reader = CompletionEvents(set())
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert list(reader.chunk(json.dumps({"id": "c", "usage": usage}).encode())) == []
    (done,) = reader.chunk(b"[DONE]")
    assert isinstance(done, ResponseDoneEvent)
    assert done.usage is not None
    assert done.usage.total_tokens == 7


@pytest.mark.parametrize("reason", ["length", "error", "tool_calls", "model_length", "stop"])
def test_the_finish_reason_is_reported_as_it_is(reason: str) -> None:
    reader = CompletionEvents(set())
    stream = AnswerStream(AnswerContext(model="m", urls=SignedUrls()))
    for data in (_chunk({"content": "Hi"}), _chunk({}, finish_reason=reason), b"[DONE]"):
        for event in reader.chunk(data):
            stream.feed(event)
    assert stream.message.response_metadata["finish_reason"] == reason


@pytest.mark.parametrize(("name", "metadata"), [("edit_image", None), ("paint", {"tool_type": "image"})])
def test_an_image_tool_is_known_by_its_function_or_its_metadata(name: str, metadata: object) -> None:
    call = {"id": "abcdefghi", "function": {"name": name, "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "abcdefghi", "content": "done", "metadata": metadata}
    reader = CompletionEvents(set())
    events = [*reader.chunk(_chunk({"tool_calls": [call]})), *reader.chunk(_chunk(result))]
    done = [event for event in events if isinstance(event, ToolExecutionDoneEvent)]
    assert [event.is_image_tool for event in done] == [True]
