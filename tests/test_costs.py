"""What is known of a cost is reported, and what is not known is not 0."""

from __future__ import annotations

import math

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_mistral_imagegen import MistralImageGenerationTool
from langchain_mistral_imagegen.costs import PRICES, CostPart, Prices, estimate_cost
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
MODEL = "mistral-medium-latest"
TOKENS = Prices(models={MODEL: {"input": 1_000_000, "output": 2_000_000}}, currency="EUR")


def tokens(model, message):
    usage = message.usage_metadata
    return usage["input_tokens"] + 2 * usage["output_tokens"]


async def test_an_answer_costs_its_tokens_and_its_calls(face, sandbox, model):
    sandbox.behavior = Behavior(images=2)
    for answer in (await face.call(model, "invoke", CAT), await face.streamed(model, CAT)):
        estimate = estimate_cost(answer, TOKENS)
        assert estimate.total == estimate.known == pytest.approx(tokens(model, answer) + 0.20)
        assert [(part.name, part.unit) for part in estimate.parts] == [
            (MODEL, "input tokens"), (MODEL, "output tokens"), ("image_generation", "calls")
        ]  # fmt: skip
        assert (estimate.currency, estimate.unknown) == ("EUR", ())


def test_without_prices_of_tokens_the_total_is_unknown(model):
    estimate = estimate_cost(model.invoke(CAT))
    assert estimate.total is None
    assert estimate.known == pytest.approx(0.10)
    assert [part.name for part in estimate.unknown] == [MODEL, MODEL]
    assert PRICES.models == {}


def test_a_connector_without_a_price_is_unknown():
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    answer = AIMessage("", usage_metadata=usage, response_metadata={"model_name": "m", "connectors": {"web_search": 2}})
    assert estimate_cost(answer).parts == (CostPart("web_search", "calls", 2, None),)
    assert estimate_cost(answer, Prices(connectors={"web_search": 0.03})).total == pytest.approx(0.06)


def test_the_messages_of_an_agent_cost_what_its_tools_were_charged(model, tmp_path):
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path))
    drawn = tool.invoke({"type": "tool_call", "name": tool.name, "args": {"prompt": "a cat"}, "id": "1"})
    answer = model.invoke(CAT)
    messages = [HumanMessage(CAT), AIMessage("as a person wrote it"), ToolMessage("of another tool", tool_call_id="2")]
    both = estimate_cost([*messages, drawn, answer], TOKENS)
    assert both.total == pytest.approx(sum(estimate_cost(one, TOKENS).total for one in (drawn, answer)))
    assert both.parts[-1] == CostPart("image_generation", "calls", 2, 0.20)
    assert estimate_cost(drawn.artifact, TOKENS) == estimate_cost(drawn, TOKENS)
    assert estimate_cost({"messages": [*messages, drawn, answer]}, TOKENS) == both


def test_the_handlers_usage_knows_no_calls(model):
    handler = UsageMetadataCallbackHandler()
    answer = model.invoke(CAT, {"callbacks": [handler]})
    estimate = estimate_cost(handler.usage_metadata, TOKENS)
    assert estimate.known == tokens(model, answer)
    assert estimate.unknown == (CostPart("built-in tools", "calls", None, None),)
    model.invoke("Hello", {"callbacks": [only := UsageMetadataCallbackHandler()]})
    assert estimate_cost(only.usage_metadata, TOKENS).total > 0


def test_an_answer_without_usage_is_unknown():
    adopted = AIMessage("", response_metadata={"model_name": MODEL})
    priced = AIMessage("", response_metadata={"model_name": MODEL}, usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})  # fmt: skip
    estimate = estimate_cost([priced, adopted, priced], TOKENS)
    assert (estimate.total, estimate.known) == (None, 0)
    assert estimate.unknown == (
        CostPart(MODEL, "input tokens", None, None),
        CostPart(MODEL, "output tokens", None, None),
    )


def test_what_a_cache_had_costs_nothing(make_model):
    model = make_model(cache=InMemoryCache())
    paid, cached = model.invoke(CAT), model.invoke(CAT)
    assert estimate_cost(paid, TOKENS).total > 0
    assert estimate_cost(cached, TOKENS).total == 0


@pytest.mark.parametrize("price", [-1, math.nan, math.inf, "0.10", None, True])
def test_a_price_is_a_number(price):
    with pytest.raises(InvalidInputError, match="give a number of at least 0"):
        Prices(connectors={"image_generation": price})
    with pytest.raises(InvalidInputError, match="m output"):
        Prices(models={"m": {"input": 1, "output": price}})


@pytest.mark.parametrize("price", [1.0, {"input": 1}, {"input": 1, "output": 1, "image": 1}])
def test_a_models_price_has_two_parts(price):
    with pytest.raises(InvalidInputError, match="give 'input' and 'output'"):
        Prices(models={"m": price})


@pytest.mark.parametrize("paid", [None, 5, "a", b"a", ["a"], {"input_tokens": 1, "output_tokens": 2}, {"m": {}}])
def test_what_costs_nothing_known_is_refused(paid):
    with pytest.raises(InvalidInputError, match="cannot be estimated"):
        estimate_cost(paid)
