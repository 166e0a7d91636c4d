"""The chat model against the sandbox, synchronous and asynchronous."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
from faces import without_ids
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from pydantic import ValidationError

from langchain_mistral_imagegen import ChatMistralConversations, images_of
from langchain_mistral_imagegen.errors import (
    AuthenticationError,
    ImageUnavailableError,
    InvalidInputError,
    MinuteQuotaError,
    MissingAPIKeyError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CAT = "Generate an orange cat in an office."


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


async def test_an_image_arrives_as_a_reference_and_downloads(face, model, sandbox):
    answer = await face.call(model, "invoke", CAT)
    (image,) = await face.call(model, "images", answer)
    assert answer.text.startswith("Here is your image: an orange cat in an office.")
    assert (image.mime_type, image.width, image.height) == ("image/jpeg", 1024, 768)
    assert image.save("cat").name == "cat.jpg"
    assert sandbox.paid == 1


async def test_blocks_hold_text_and_what_ran_in_order(face, model):
    answer = await face.call(model, "invoke", CAT)
    call, result, text, image = answer.content_blocks
    assert (call["type"], call["name"], call["args"]) == (
        "server_tool_call",
        "image_generation",
        {"prompt": "an orange cat in an office"},
    )
    assert (result["type"], result["tool_call_id"], result["status"]) == ("server_tool_result", call["id"], "success")
    assert text["type"] == "text"
    assert (image["type"], image["file_id"]) == ("image", images_of(answer)[0]["file_id"])


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize(
    "behavior",
    [
        Behavior(),
        Behavior(shape="url"),
        Behavior(shape="markdown"),
        Behavior(shape="text"),
        Behavior(images=3),
        Behavior(tool_timeouts=2),
        Behavior(thinking=True),
        Behavior(reference=True),
        Behavior(documentation=True),
        Behavior(documentation=True, shape="url"),
    ],
    ids=lambda behavior: ",".join(f"{n}={v}" for n, v in vars(behavior).items() if v != vars(Behavior())[n]) or "usual",
)
async def test_a_stream_equals_its_message(face, sandbox, behavior, output_version, make_model):
    model = make_model(output_version=output_version)
    sandbox.behave(behavior, times=2)
    whole, streamed = await face.call(model, "invoke", CAT), await face.streamed(model, CAT)
    assert without_ids(streamed) == without_ids(whole)
    assert len(images_of(streamed)) == len(images_of(whole))


@pytest.mark.parametrize("framing", ["normal", "crlf", "comments", "no_event_line", "done"])
async def test_a_stream_is_read_however_it_is_framed(face, model, sandbox, framing):
    whole = await face.call(model, "invoke", CAT)
    sandbox.behave(Behavior(framing=framing))
    assert without_ids(await face.streamed(model, CAT)) == without_ids(whole)


async def test_every_chunk_of_a_stream_has_the_message_id_and_only_the_last_is_last(face, model):
    chunks = await face.chunks(model, CAT)
    assert {chunk.id for chunk in chunks} == {chunks[-1].id}
    assert [chunk.chunk_position for chunk in chunks if chunk.chunk_position] == ["last"]
    assert chunks[-1].content == []
    assert not any(chunk.tool_call_chunks for chunk in chunks)


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
async def test_images_of_every_shape_download_and_leak_no_signature(face, model, sandbox, shape):
    sandbox.behave(Behavior(shape=shape), times=2)
    for answer in (await face.call(model, "invoke", CAT), await face.streamed(model, CAT)):
        (image,) = await face.call(model, "images", answer)
        assert image.width == 1024
        shown = answer.model_dump_json() + repr(answer) + repr(answer.content_blocks) + dumps(answer) + repr(image)
        assert "sig=" not in shown
        assert "/blob/" not in shown


@pytest.mark.parametrize("shape", ["url", "markdown"])
async def test_a_forgotten_signed_url_is_found_in_the_history(face, model, sandbox, shape, make_model, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "for those who unpickle")
    sandbox.behave(Behavior(shape=shape))
    answer = await face.call(model, "invoke", CAT)
    stranger = make_model(pickle.loads(pickle.dumps(model)))
    (image,) = await face.call(stranger, "images", loads(dumps(answer), allowed_objects="messages"))
    assert image.width == 1024
    assert sandbox.requests[-2].path.endswith("/history")


async def test_an_image_without_file_or_conversation_is_gone(face, sandbox, make_model, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "for those who unpickle")
    model = make_model(store=False)
    sandbox.behave(Behavior(shape="url"))
    answer = await face.call(model, "invoke", CAT)
    stranger = make_model(pickle.loads(pickle.dumps(model)))
    with pytest.raises(ImageUnavailableError, match=r"tool_exec_\w+.*not kept on the server"):
        await face.call(stranger, "images", answer)


async def test_an_expired_url_is_reported_without_showing_it(face, model, sandbox):
    sandbox.behave(Behavior(shape="url", expired=True))
    answer = await face.call(model, "invoke", CAT)
    with pytest.raises(ImageUnavailableError, match=r"no longer accepted \(status 403\)") as caught:
        await face.call(model, "images", answer)
    assert "sig=" not in str(caught.value) + str(caught.value.__cause__)


async def test_no_key_is_sent_to_the_blob_host(face, model, sandbox):
    sandbox.behave(Behavior(shape="url"))
    await face.call(model, "images", await face.call(model, "invoke", CAT))
    blob = sandbox.requests[-1]
    assert blob.path.startswith("/blob/")
    assert "authorization" not in blob.headers


async def test_no_log_shows_a_signature_or_the_key(face, model, sandbox, caplog):
    caplog.set_level("DEBUG")
    sandbox.behave(Behavior(shape="url"))
    await face.call(model, "images", await face.call(model, "invoke", CAT))
    assert "HTTP Request: GET" in caplog.text
    assert "GET /blob/images" in caplog.text
    assert "sig=" not in caplog.text
    assert "sandbox-key" not in caplog.text


async def test_a_second_turn_is_appended_to_the_same_conversation(face, model, sandbox):
    first = await face.call(model, "invoke", CAT)
    history = [HumanMessage(CAT), first, HumanMessage("Make it blue.")]
    second = await face.call(model, "invoke", history)
    conversation = first.response_metadata["conversation_id"]
    assert sandbox.requests[-1].path == f"/v1/conversations/{conversation}"
    assert set(sandbox.requests[-1].json) == {"inputs", "store", "stream"}
    assert len(sandbox.entries(conversation)) == 6
    assert "blue" in second.text


async def test_without_storing_the_whole_history_is_sent_anew(face, sandbox, make_model):
    model = make_model(store=False)
    first = await face.call(model, "invoke", "My name is Ada.")
    second = await face.call(
        model, "invoke", [HumanMessage("My name is Ada."), first, HumanMessage("What is my name?")]
    )
    assert sandbox.requests[-1].path == "/v1/conversations"
    assert second.text == "Your name is Ada."


async def test_system_messages_become_instructions(face, model, sandbox):
    await face.call(model, "invoke", [SystemMessage("Be kind."), SystemMessage("Be brief."), HumanMessage("Hello")])
    assert sandbox.requests[-1].json["instructions"] == "Be kind.\n\nBe brief."


async def test_settings_go_into_completion_args(face, sandbox, make_model):
    model = make_model(temperature=0.3, random_seed=7, tools=[])
    await face.call(model, "invoke", "Hello", stop=["x"], max_tokens=5)
    assert sandbox.requests[-1].json["completion_args"] == {
        "temperature": 0.3,
        "max_tokens": 5,
        "random_seed": 7,
        "stop": ["x"],
    }


async def test_function_calls_become_tool_calls_and_results_are_appended(face, model, sandbox):
    bound = model.bind_tools([add, weather])
    question = HumanMessage("Use add for 3 and 4.")
    answer = await face.call(bound, "invoke", [question])
    streamed = await face.streamed(bound, [question])
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 3, "b": 4})
    assert without_ids(streamed) == without_ids(answer)
    assert answer.response_metadata["finish_reason"] == "tool_calls"
    final = await face.call(bound, "invoke", [question, answer, ToolMessage("7", tool_call_id=call["id"])])
    assert final.text == "The result is: 7"
    assert sandbox.requests[-1].json["inputs"] == [
        {"object": "entry", "type": "function.result", "tool_call_id": call["id"], "result": "7"}
    ]


async def test_parallel_function_calls_stay_apart(face, model):
    bound = model.bind_tools([weather])
    answer = await face.call(bound, "invoke", "What is the weather in Paris and London?")
    streamed = await face.streamed(bound, "What is the weather in Paris and London?")
    assert [call["args"] for call in answer.tool_calls] == [{"city": "Paris"}, {"city": "London"}]
    assert without_ids(streamed) == without_ids(answer)


async def test_an_agent_brings_its_own_settings(face, sandbox, make_model):
    agent = sandbox.agents.create({"model": "m", "name": "Painter", "tools": [{"type": "image_generation"}]})
    model = make_model(agent_id=agent["id"])
    answer = await face.call(model, "invoke", [SystemMessage("Be kind."), HumanMessage(CAT)])
    assert set(sandbox.requests[-1].json) == {"agent_id", "inputs", "metadata", "store", "stream"}
    assert sandbox.requests[-1].json["inputs"][0]["content"] == "Be kind."
    assert answer.response_metadata["agent_id"] == agent["id"]
    assert len(images_of(answer)) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"random_seed": 0},
        {"temperature": 0.2},
        {"instructions": "Be kind."},
        {"guardrails": [{"block_on_error": True}]},
    ],
)
def test_settings_that_an_agent_brings_itself_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=rf"'ag_1' brings its own settings, so {name} would"):
        ChatMistralConversations(agent_id="ag_1", api_key="k", **settings)


@pytest.mark.parametrize("settings", [{"random_seed": 7}, {"tool_choice": "any"}])
async def test_settings_of_a_call_that_an_agent_brings_itself_are_refused(face, sandbox, make_model, settings):
    model = make_model(agent_id="ag_1")
    with pytest.raises(InvalidInputError, match="would have no effect"):
        await face.call(model.bind(**settings), "invoke", CAT)
    assert sandbox.requests == []


async def test_unknown_things_are_kept_and_shown(face, model, sandbox):
    sandbox.behave(Behavior(unknown=True), times=2)
    whole, streamed = await face.call(model, "invoke", CAT), await face.streamed(model, CAT)
    for answer in (whole, streamed):
        shown = [block["value"]["type"] for block in answer.content_blocks if block["type"] == "non_standard"]
        assert "hologram" in shown
        assert len(images_of(answer)) == 1
    assert "dream.sequence" in str(whole.content)
    assert "weather.changed" in str(streamed.content)


async def test_usage_counts_connector_tokens_as_input(face, model):
    usage = (await face.call(model, "invoke", CAT)).usage_metadata
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    assert usage["input_token_details"] == {"connector": 69}


async def test_a_wrong_key_is_an_authentication_error_that_hides_it(face, make_model):
    with Sandbox(api_key="right") as sandbox:
        model = make_model(base_url=sandbox.url, api_key="wrong-key")
        with pytest.raises(AuthenticationError, match="Invalid API Key") as caught:
            await face.call(model, "invoke", CAT)
        assert "wrong-key" not in repr(caught.value) + repr(model)
        assert len(sandbox.requests) == 1


async def test_quotas_are_typed_and_a_day_quota_is_not_retried(face, model, sandbox, make_model):
    retrying = make_model(max_retries=2)
    sandbox.behave(Behavior(quota="day"))
    with pytest.raises(QuotaExceededError, match="image_generation rate limit reached"):
        await face.call(retrying, "invoke", CAT)
    sandbox.behave(Behavior(quota="minute"))
    with pytest.raises(RateLimitError, match="image_generation rate limit reached") as caught:
        await face.call(model, "invoke", CAT)
    assert type(caught.value) is MinuteQuotaError
    assert len(sandbox.requests) == 2


async def test_a_429_is_retried_as_the_server_asks_and_paid_once(face, sandbox, make_model):
    model = make_model()
    sandbox.behave(Behavior(status=429, headers={"retry-after": "0"}))
    await face.call(model, "invoke", CAT)
    assert [request.status for request in sandbox.requests] == [429, 200]
    assert sandbox.paid == 1


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failed_request_that_costs_money_is_not_repeated(face, sandbox, status, make_model):
    model = make_model(max_retries=5)
    sandbox.behave(Behavior(status=status))
    with pytest.raises((ServerError, OutcomeUnknownError)) as caught:
        await face.call(model, "invoke", CAT)
    error = caught.value if status == 500 else caught.value.__cause__  # a gateway's leaves the outcome unknown
    assert error.status_code == status
    assert error.request_id
    assert len(sandbox.requests) == 1


async def test_a_timeout_leaves_the_outcome_unknown_and_is_not_repeated(face, sandbox, make_model):
    model = make_model(timeout=0.2, max_retries=5)
    sandbox.behave(Behavior(delay=30))
    with pytest.raises(OutcomeUnknownError, match="may have been processed"):
        await face.call(model, "invoke", CAT)
    assert sandbox.requests == []
    assert sandbox._state.queue.take({"converse"}) is None


async def test_a_cut_stream_keeps_what_arrived(face, model, sandbox):
    sandbox.behave(Behavior(cut_after=15))
    with pytest.raises(StreamInterruptedError) as caught:
        await face.chunks(model, CAT)
    assert caught.value.partial.text.startswith("Here is")
    assert caught.value.conversation_id == caught.value.partial.response_metadata["conversation_id"]


async def test_a_stream_that_fails_after_the_image_is_drawn_is_interrupted(face, model, sandbox):
    sandbox.behave(Behavior(error_after=12))
    with pytest.raises(StreamInterruptedError, match="Internal error") as caught:
        await face.chunks(model, CAT)
    assert caught.value.partial.content[0]["type"] == "tool.execution"
    assert isinstance(caught.value.__cause__, ServerError)


async def test_a_stream_that_fails_before_anything_came_is_the_error_it_reports(face, model, sandbox):
    sandbox.behave(Behavior(error_after=1))
    with pytest.raises(ServerError, match="Internal error"):
        await face.chunks(model, CAT)


@pytest.mark.slow
async def test_a_cut_download_is_repeated(face, sandbox, make_model):
    model = make_model(max_retries=1)
    answer = await face.call(model, "invoke", CAT)
    sandbox.behave(Behavior(on="download", cut_after=1000))
    (image,) = await face.call(model, "images", answer)
    assert image.height == 768
    assert sandbox.paid == 1


async def test_batch_keeps_the_order(face, model, sandbox):
    answers = await face.call(model, "batch", ["Draw a red house.", "Hello", "Draw a blue boat."])
    assert [len(images_of(answer)) for answer in answers] == [1, 0, 1]
    assert "red house" in answers[0].text
    assert "blue boat" in answers[2].text
    assert sandbox.paid == 2


def test_no_key_is_an_error_that_names_the_remedy():
    with pytest.raises(MissingAPIKeyError, match=r"MISTRAL_API_KEY.*api_key.*sandbox"):
        ChatMistralConversations()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:44893.", "http://[", "nowhere", "http://127.0.0.1:99999", "ftp://x", "https://"]
)
def test_a_base_url_that_is_no_url_is_refused_when_the_model_is_made(monkeypatch, url):
    monkeypatch.setenv("MISTRAL_BASE_URL", url)
    with pytest.raises(ValidationError, match=rf"base_url='{re.escape(url)}' .*give one like https://api.mistral.ai"):
        ChatMistralConversations(api_key="k")
    with pytest.raises(ValidationError) as refused:
        ChatMistralConversations(api_key="k", base_url=f"me:canary@{url}:x")
    assert "canary" not in str(refused.value)


def test_a_model_and_an_agent_exclude_each_other():
    with pytest.raises(ValidationError, match="either model='m' or agent_id='ag_1'"):
        ChatMistralConversations(model="m", agent_id="ag_1", api_key="k")


def test_the_key_is_serialised_as_a_reference():
    text = dumps(ChatMistralConversations(api_key="canary"))
    assert "canary" not in text
    assert '"MISTRAL_API_KEY"' in text


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_used_model_can_be_copied_and_pickled(model, make_model, copied, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "for those who unpickle")
    model.invoke("Hello")
    assert make_model(copied(model)).invoke("Hello").text.startswith("Hello!")


def test_a_changed_copy_of_a_used_model_uses_its_own_settings(model, make_model):
    model.invoke("Hello")
    with Sandbox() as other:
        make_model(model.model_copy(update={"base_url": other.url})).invoke("Hello")
        assert len(other.requests) == 1


def test_a_model_works_on_one_event_loop_after_another(sandbox, make_model):
    import asyncio

    model = make_model()

    async def ask() -> str:
        try:
            return (await model.ainvoke("Hello")).text
        finally:
            await model.aclose()

    assert asyncio.run(ask()) == asyncio.run(ask())


def test_no_schema_is_built_for_the_parts_of_the_model():
    parts = [one for one in ChatMistralConversations.__mro__ if one.__module__.startswith("langchain_mistral_imagegen")]
    built = [one for one in parts if one.__dict__["__pydantic_complete__"]]
    assert (built, len(parts) > 1) == ([ChatMistralConversations], True)


def test_a_subclass_of_a_users_own_has_a_schema():
    class Own(ChatMistralConversations):
        mark: int = 1

    assert Own(api_key="k", mark="2").mark == 2
    with pytest.raises(ValueError, match="mark"):
        Own(api_key="k", mark="many")
