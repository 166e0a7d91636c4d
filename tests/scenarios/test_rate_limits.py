"""The image tool's own quota, with minutes of 0.6 seconds: the sandbox's clock runs a hundred times faster."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableConfig

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen.errors import QuotaExceededError
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

MINUTE = 0.6
PROMPTS = [f"Draw cat number {number}." for number in range(50)]


def fast() -> float:
    return time.time() * 60 / MINUTE


@pytest.fixture
def short_minutes(monkeypatch):
    monkeypatch.setattr(
        "langchain_mistral_imagegen.chat_models._connected.RetryPolicy", lambda **how: RetryPolicy(minute=MINUTE, **how)
    )


@pytest.fixture
def sandbox():
    with Sandbox(images_per_minute=10, clock=fast) as running:
        yield running


@pytest.mark.slow
async def test_fifty_images_with_ten_a_minute_are_all_drawn_and_paid_once(face, make_model, sandbox, short_minutes):
    """Four at a time: each minute at most these four are refused, and then they wait."""
    config = RunnableConfig(max_concurrency=4)
    answers = await face.call(make_model(), "batch", PROMPTS, config)
    assert [
        prompt.removeprefix("Draw ").rstrip(".") in answer.text for prompt, answer in zip(PROMPTS, answers, strict=True)
    ]
    assert [len(images_of(answer)) for answer in answers] == [1] * 50
    assert sandbox.paid == 50
    tries = Counter(request.status for request in sandbox.requests)
    assert tries[200] == 50
    assert 4 <= tries[429] <= 4 * 6


async def test_a_days_quota_is_not_waited_for(face, make_model, short_minutes):
    with Sandbox(images_per_day=2, clock=fast) as sandbox:
        model = make_model(base_url=sandbox.url)
        results = await face.call(
            model, "batch", PROMPTS[:4], RunnableConfig(max_concurrency=1), return_exceptions=True
        )
        assert [type(result) for result in results[2:]] == [QuotaExceededError] * 2
        assert len(sandbox.requests) == 4


async def test_nothing_is_waited_for_where_nothing_is_to_be_repeated(face, make_model, sandbox):
    sandbox.behave(Behavior(quota="minute"))
    results = await face.call(make_model(max_retries=0), "batch", PROMPTS[:1], return_exceptions=True)
    assert "image_generation rate limit reached" in str(results[0])


@pytest.mark.slow
async def test_a_wait_is_logged(face, make_model, sandbox, short_minutes, caplog):
    sandbox.behave(Behavior(quota="minute"))
    await face.call(make_model(), "invoke", PROMPTS[0])
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "image_generation rate limit reached" in record.message
    assert record.message.endswith("retrying in 0.6 seconds")


async def test_what_is_left_stands_in_the_answer(face, make_model, sandbox):
    answer = await face.call(make_model(), "invoke", PROMPTS[0])
    quotas = answer.response_metadata["quotas"]
    assert quotas["image-generation-minute"] == {"remaining": 9, "limit": 10}
    assert quotas["image-generation-day"]["limit"] == 10000


async def test_langchains_rate_limiter_is_honoured(face, make_model, sandbox):
    limiter = InMemoryRateLimiter(requests_per_second=20, check_every_n_seconds=0.01, max_bucket_size=1)
    model = make_model(rate_limiter=limiter)
    before = time.monotonic()
    for number in range(4):
        await (face.chunks(model, PROMPTS[number]) if number % 2 else face.call(model, "invoke", PROMPTS[number]))
    assert time.monotonic() - before >= 3 / 20
