"""A thousand at once, on one process, against a sandbox in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import httpx
import psutil
import pytest
from crowds import prompts, replies, store, store_by_nodes, texts
from places import SUPPORT

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen._messages.references import images_of

SIZES = [1_000, pytest.param(5_000, marks=pytest.mark.nightly)]
DELAYED = {"x-sandbox-behavior": json.dumps({"delay": 1})}  # so that they are in flight together


@pytest.fixture
def make(sandbox_process) -> Callable[..., ChatMistralConversations]:
    def make(**settings) -> ChatMistralConversations:
        return ChatMistralConversations(base_url=sandbox_process, api_key="k", max_retries=0, **settings)

    return make


@pytest.fixture
def grown() -> Callable[[], float]:
    """Reports by how many MB this process has grown since."""
    process = psutil.Process()
    before = process.memory_info().rss

    return lambda: (process.memory_info().rss - before) / 1e6


def paid(url: str) -> int:
    """Count the conversations at the sandbox; each has one image."""
    query = {"page_size": "100000"}
    return len(httpx.get(f"{url}/v1/conversations", params=query, headers={"authorization": "Bearer k"}).json())


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_a_thousand_conversations_at_once(sandbox_process, make, grown, size):
    async with make(default_headers=DELAYED) as model:
        answers = await model.abatch(prompts(size))
    assert texts(answers) == replies(size)
    assert paid(sandbox_process) == size
    assert grown() < 30 + size * 0.06


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_a_thousand_downloads_at_once_and_from_a_thousand_nodes(make, grown, tmp_path, size):
    async with make() as model:
        answers = await model.abatch(prompts(size))
    async with make(default_headers=DELAYED) as model:
        for way in (store, store_by_nodes):
            stored = await way(model, answers, tmp_path / way.__name__)
            assert stored == [(ref["id"], "stored") for ref in images_of(answers)]
    assert grown() < 40 + size * 0.1


@pytest.mark.slow
def test_two_hundred_threads(sandbox_process, make, grown):
    with make(default_headers=DELAYED) as model:
        answers = model.batch(prompts(600), {"max_concurrency": 200})
    assert texts(answers) == replies(600)
    assert paid(sandbox_process) == 600
    assert grown() < 80


@pytest.mark.slow
@pytest.mark.parametrize("how", ["async", "threads"])
def test_more_at_once_than_the_process_may_have_files_wait(sandbox_process, tmp_path, how):
    command = [sys.executable, str(SUPPORT / "few_files.py"), sandbox_process, how, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr[-3000:]) == (0, "")
