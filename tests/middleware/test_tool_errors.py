"""The tool's `on_error` together with LangChain's middleware for retries and errors of tools."""

from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ToolErrorMiddleware, ToolRetryMiddleware

from langchain_mistral_imagegen import MistralImageGenerationTool
from langchain_mistral_imagegen.errors import AuthenticationError, RateLimitError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = {"messages": [("user", "Use generate_image for an orange cat.")]}


@pytest.fixture
def agent(make_model, tmp_path):
    def make(*middleware):
        tool = MistralImageGenerationTool(
            model=make_model(max_retries=0), image_store=tmp_path, on_error={"quota": "raise"}
        )
        retry = ToolRetryMiddleware(
            max_retries=1, initial_delay=0, jitter=False, retry_on=(RateLimitError,), on_failure="error"
        )
        return create_agent(make_model(tools=[]), [tool], middleware=[*middleware, retry])

    return make


async def test_the_model_reads_what_is_still_raised_after_retries(face, agent, sandbox):
    sandbox.behave(*[Behavior(quota="minute", on="image")] * 2)
    middleware = ToolErrorMiddleware(lambda error, _: f"{type(error).__name__}; tell the user.")
    state = await face.call(agent(middleware), "invoke", CAT)
    (result,) = [message for message in state["messages"] if message.type == "tool"]
    assert (result.status, result.content) == ("error", "MinuteQuotaError; tell the user.")
    assert sandbox.paid == 0


async def test_other_errors_are_not_retried_and_raised(face, agent, sandbox):
    sandbox.behave(Behavior(status=401, on="image"))
    with pytest.raises(AuthenticationError):
        await face.call(agent(), "invoke", CAT)
    assert sandbox.paid == 0
