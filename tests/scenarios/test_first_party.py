"""What LangChain's own chat models can do besides answering: tracing, serialising, falling back, being configured."""

from __future__ import annotations

import pickle
import time

import httpx
import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField, RunnableConfig
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import RetryPolicy
from pydantic import ValidationError

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    InvalidRequestError,
    OutcomeUnknownError,
    RateLimitError,
)
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CAT = "Generate an orange cat in an office."


class Recorder(BaseCallbackHandler):
    def __init__(self):
        self.tokens, self.metadata, self.params, self.ended, self.errors = [], None, None, [], []

    def on_chat_model_start(self, serialized, messages, *, metadata=None, invocation_params=None, **_):
        self.metadata, self.params = metadata, invocation_params

    def on_llm_new_token(self, token, *, chunk=None, **_):
        self.tokens.append(chunk.message.text)

    def on_llm_end(self, response, **_):
        self.ended.append(response.generations[0][0].message)

    def on_llm_error(self, error, **_):
        self.errors.append(error)


async def test_a_trace_names_provider_model_and_settings(face, make_model):
    recorder, model = Recorder(), make_model(temperature=0.1, max_tokens=50, tools=[])
    await face.call(model, "invoke", "Hello", {"callbacks": [recorder]})
    traced = {name: value for name, value in recorder.metadata.items() if name.startswith("ls_")}
    assert traced == {
        "ls_provider": "mistral",
        "ls_model_type": "chat",
        "ls_model_name": "mistral-medium-latest",
        "ls_temperature": 0.1,
        "ls_max_tokens": 50,
        "ls_integration": "langchain_chat_model",
    }
    assert recorder.metadata["lc_versions"]["langchain-mistral-imagegen"]
    assert recorder.ended[0].text == "Hello! How can I help you today?"


async def test_a_trace_names_the_model_of_a_call_or_the_agent(face, model, make_model):
    recorder = Recorder()
    await face.call(model.bind(model="mistral-small-latest"), "invoke", "Hello", {"callbacks": [recorder]})
    assert recorder.metadata["ls_model_name"] == "mistral-small-latest"
    agent = make_model(make_model().ensure_agent("Painter"))
    await face.call(agent, "invoke", "Hello", {"callbacks": [recorder]})
    assert recorder.metadata["ls_model_name"] == agent.agent_id


async def test_callbacks_receive_tokens_and_errors(face, make_model, sandbox):
    recorder, model = Recorder(), make_model(streaming=True)
    answer = await face.call(model, "invoke", CAT, {"callbacks": [recorder]})
    assert "".join(recorder.tokens) == answer.text
    sandbox.behave(Behavior(status=503))
    with pytest.raises(OutcomeUnknownError):
        await face.call(model, "invoke", CAT, {"callbacks": [recorder]})
    assert isinstance(recorder.errors[0], OutcomeUnknownError)


async def test_streaming_can_be_disabled(face, make_model, sandbox):
    chunks = await face.chunks(make_model(disable_streaming=True), CAT)
    assert sandbox.requests[-1].json["stream"] is False
    assert len([chunk for chunk in chunks if chunk.content]) == 1


@pytest.mark.parametrize("settings", [{"model": "mistral-small-latest", "temperature": 0.2}, {"agent_id": "ag_1"}])
def test_settings_survive_serialisation_without_the_key(settings, monkeypatch):
    model = ChatMistralConversations(api_key="canary", base_url="https://api.eu.mistral.ai", **settings)
    text = dumps(model)
    assert "canary" not in text
    allowed = {"allowed_objects": [ChatMistralConversations], "valid_namespaces": ["langchain_mistral_imagegen"]}
    again = loads(text, secrets_map={"MISTRAL_API_KEY": "other"}, **allowed)
    assert again.asdict() == model.asdict()
    assert dumps(again) == text
    assert again.mistral_api_key.get_secret_value() == "other"
    monkeypatch.setenv("MISTRAL_API_KEY", "of the environment")
    from_environment = load(dumpd(model), secrets_from_env=True, **allowed)
    assert from_environment.mistral_api_key.get_secret_value() == "of the environment"


def test_no_view_of_a_model_shows_the_key():
    model = ChatMistralConversations(api_key="canary", default_headers={"x-token": "canary"})
    assert "canary" not in repr(model) + str(model) + str(model.asdict()) + str(model._identifying_params)
    assert model.lc_secrets == {"mistral_api_key": "MISTRAL_API_KEY"}
    assert model._llm_type == "mistralai-conversations"


def test_models_differ_by_model_agent_and_server():
    one = ChatMistralConversations(api_key="k")
    other = ChatMistralConversations(api_key="k", agent_id="ag_1")
    assert one._identifying_params["model"] == "mistral-medium-latest"
    assert other._identifying_params["agent_id"] == "ag_1"
    assert one._get_llm_string() != other._get_llm_string()


def test_the_profile_lists_what_the_model_can_do():
    model, agent = ChatMistralConversations(api_key="k"), ChatMistralConversations(api_key="k", agent_id="ag_1")
    assert model.profile["image_outputs"]
    assert model.profile["structured_output"]
    assert not agent.profile["structured_output"]


@pytest.mark.parametrize(
    ("name", "tokens", "sees"), [("mistral-medium-latest", 262_144, True), ("codestral-latest", 256_000, False)]
)
def test_the_profile_has_what_is_known_of_a_model(make_model, name, tokens, sees):
    profile = make_model(model=name).profile
    assert (profile["max_input_tokens"], profile["image_inputs"]) == (tokens, sees)


def test_nothing_is_claimed_of_unknown_models_and_agents(make_model):
    for model in (make_model(model="my-own"), make_model(agent_id="ag_1")):
        assert not {"max_input_tokens", "image_inputs"} & set(model.profile)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"timeout": -1}, "timeout=-1.0 is not possible; give a number of at least 0"),
        ({"max_retries": -1}, "max_retries=-1 is not possible"),
        ({"temperature": 5}, "temperature=5.0 is not possible; give a number from 0 to 1"),
        ({"timeout": float("nan")}, "timeout=nan"),
    ],
)
def test_impossible_settings_are_refused_at_construction(make_model, wrong, words):
    with pytest.raises(ValidationError, match=words):
        make_model(**wrong)


def test_a_model_made_an_agent_has_an_agents_profile(make_model):
    assert not make_model(make_model().ensure_agent("Painter")).profile["structured_output"]


def test_a_wrong_setting_does_not_show_the_key():
    with pytest.raises(ValueError, match="either model='m' or agent_id='a'") as caught:
        ChatMistralConversations(model="m", agent_id="a", api_key="canary")
    assert "canary" not in str(caught.value) + repr(caught.value)
    with pytest.raises(ValueError, match="temperature") as caught:
        ChatMistralConversations(temperature="hot", api_key="canary", default_headers={"x": "canary"})
    assert "canary" not in str(caught.value)


async def test_langchains_rate_limiter_is_asked(face, make_model):
    class Counting(InMemoryRateLimiter):
        asked = 0

        def acquire(self, *, blocking=True):
            Counting.asked += 1
            return True

        async def aacquire(self, *, blocking=True):
            Counting.asked += 1
            return True

    model = make_model(rate_limiter=Counting())
    await face.call(model, "invoke", "Hello")
    await face.chunks(model, "Hello")
    assert Counting.asked == 2


async def test_a_cached_image_is_not_paid_for_again(face, make_model, sandbox):
    model = make_model(cache=InMemoryCache())
    answers = [await face.call(model, "invoke", CAT) for _ in range(2)]
    assert sandbox.paid == 1
    assert answers[0].content == answers[1].content
    await face.call(make_model(cache=model.cache, tools=[]), "invoke", CAT)
    assert len(sandbox.requests) == 2, "other settings are another question"


async def test_with_retry_repeats_what_langchain_calls_retryable(face, model, sandbox):
    sandbox.behave(Behavior(status=429))
    retrying = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    assert (await face.call(retrying, "invoke", "Hello")).text.startswith("Hello")


@pytest.mark.parametrize("fault", [Behavior(status=504), Behavior(error_after=12)])
async def test_what_may_have_been_paid_is_repeated_by_none_of_the_usual_retries(face, make_model, sandbox, fault):
    model = make_model(streaming=True)
    again = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    policy = RetryPolicy(initial_interval=0.01, jitter=False)
    graph = StateGraph(MessagesState)
    graph.add_node("draw", lambda state: {"messages": [model.invoke(state["messages"])]}, retry_policy=policy)
    graph.set_entry_point("draw")
    unpaid = (RateLimitError, APIConnectionError)
    in_state, as_text = {"messages": [HumanMessage(CAT)]}, CAT
    for asking, given in (
        (create_agent(model, middleware=[again]), in_state),
        (graph.compile(), in_state),
        (model.with_retry(retry_if_exception_type=unpaid, wait_exponential_jitter=False), as_text),
        (model.with_fallbacks([make_model()], exceptions_to_handle=unpaid), as_text),
    ):
        sandbox.behave(fault)
        with pytest.raises(OutcomeUnknownError):
            await face.call(asking, "invoke", given)
    assert len(sandbox.requests) == 4


async def test_with_fallbacks_asks_another_model(face, model, make_model, sandbox):
    sandbox.behave(Behavior(status=500))
    answer = await face.call(model.with_fallbacks([make_model(model="mistral-small-latest")]), "invoke", "Hello")
    assert answer.response_metadata["model_name"] == "mistral-small-latest"


def test_fields_can_be_configured(sandbox, make_model):
    configurable = make_model(tools=[]).configurable_fields(
        temperature=ConfigurableField(id="heat"), model=ConfigurableField(id="model")
    )
    config = RunnableConfig(configurable={"heat": 0.7, "model": "mistral-small-latest"})
    configurable.with_config(config).invoke("Hello")
    sent = sandbox.requests[-1].json
    assert (sent["model"], sent["completion_args"]) == ("mistral-small-latest", {"temperature": 0.7})


async def test_http_clients_of_ones_own_are_used_and_not_closed(face, sandbox, make_model):
    seen: list[httpx.Request] = []

    async def hook(request):
        seen.append(request)

    with httpx.Client(event_hooks={"request": [seen.append]}) as client:
        async with httpx.AsyncClient(event_hooks={"request": [hook]}) as async_client:
            model = make_model(http_client=client, http_async_client=async_client)
            await face.call(model, "invoke", "Hello")
            assert len(seen) == 1
            model.close()
            await model.aclose()
            await face.call(model, "invoke", "Hello")
            assert len(seen) == 2


async def test_headers_of_ones_own_are_sent_to_mistral_only(face, sandbox, make_model):
    model = make_model(default_headers={"x-team": "cats"})
    sandbox.behave(Behavior(shape="url"))
    await face.call(model, "images", await face.call(model, "invoke", CAT))
    headers = [request.headers.get("x-team") for request in sandbox.requests]
    assert headers == ["cats", None]


async def test_further_completion_arguments_are_passed_on(face, sandbox, make_model):
    prediction = {"type": "content", "content": "Hi"}
    model = make_model(model_kwargs={"prediction": prediction}, presence_penalty=0.5, reasoning_effort="none", tools=[])
    await face.call(model, "invoke", "Hello", frequency_penalty=0.1)
    assert sandbox.requests[-1].json["completion_args"] == {
        "prediction": prediction,
        "presence_penalty": 0.5,
        "reasoning_effort": "none",
        "frequency_penalty": 0.1,
    }


async def test_an_argument_that_mistral_does_not_know_is_named(face, model):
    with pytest.raises(InvalidRequestError, match="top_k: Extra inputs are not permitted"):
        await face.call(model, "invoke", "Hello", top_k=5)


def test_a_misspelt_setting_is_reported():
    with pytest.warns(UserWarning, match="temprature"):
        model = ChatMistralConversations(api_key="k", temprature=0.5)
    assert model.model_kwargs == {"temprature": 0.5}


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_a_base_url_may_be_written_as_other_packages_write_it(face, sandbox, make_model, ending):
    model = make_model(base_url=sandbox.url + ending)
    assert (await face.call(model, "invoke", "Hello")).text.startswith("Hello")


def test_regional_hosts_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MISTRAL_BASE_URL", "https://api.us.mistral.ai")
    assert ChatMistralConversations(api_key="k").base_url == "https://api.us.mistral.ai"


async def test_labels_go_to_the_conversation(face, sandbox, make_model):
    guardrail = {"block_on_error": True, "moderation_llm_v2": {"model_name": "mistral-moderation-2603"}}
    model = make_model(conversation_metadata={"project": "cats"}, guardrails=[guardrail])
    await face.call(model, "invoke", "Hello")
    sent = sandbox.requests[-1].json
    assert (sent["metadata"]["project"], sent["guardrails"]) == ("cats", [guardrail])


def test_a_timeout_is_in_seconds(sandbox, make_model):
    model = make_model(timeout=0.2, max_retries=0)
    sandbox.behave(Behavior(delay=5))
    started = time.monotonic()
    with pytest.raises(Exception, match="may have been processed"):
        model.invoke("Hello")
    assert time.monotonic() - started < 3


def test_answers_pickle(model):
    answer = model.invoke(CAT)
    assert pickle.loads(pickle.dumps(answer)) == answer
    assert isinstance(answer, AIMessage)


def test_a_model_can_be_made_before_the_server_is_up():
    model = ChatMistralConversations(api_key="k", base_url="http://127.0.0.1:9")
    with Sandbox() as sandbox:
        up = model.model_copy(update={"base_url": sandbox.url})
        assert up.invoke("Hello").text.startswith("Hello")
        up.close()
