"""`init_chat_model` of LangChain knows its own list of providers only; what takes its place."""

from __future__ import annotations

import pytest
from langchain.chat_models import init_chat_model
from langchain_core.runnables import ConfigurableField


def test_langchain_takes_no_further_providers():
    with pytest.raises(ValueError, match="Unsupported provider='mistralai_conversations'"):
        init_chat_model("mistral-medium-latest", model_provider="mistralai_conversations")


async def test_a_model_is_chosen_by_the_configuration_of_a_call(face, make_model, sandbox):
    model = make_model().configurable_fields(model=ConfigurableField(id="model"))
    config = {"configurable": {"model": "mistral-small-latest"}}
    answer = await face.call(model, "invoke", "Hello.", config)
    assert sandbox.requests[-1].json["model"] == answer.response_metadata["model_name"] == "mistral-small-latest"
