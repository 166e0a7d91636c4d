"""A thousand at once, on one process, against a sandbox in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
from collections.abc import Callable, Iterator

import httpx
import psutil
import pytest

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, ToolFileNode
from langchain_mistral_imagegen._references import images_of

SIZES = [1_000, pytest.param(5_000, marks=pytest.mark.nightly)]
DELAYED = {"x-sandbox-behavior": json.dumps({"delay": 1})}  # so that they are in flight together
BRIEFLY = {"x-sandbox-behavior": json.dumps({"delay": 0.4})}


@pytest.fixture
def make(sandbox_process) -> Callable[..., ChatMistralConversations]:
    def make(**settings) -> ChatMistralConversations:
        return ChatMistralConversations(base_url=sandbox_process, api_key="k", max_retries=0, **settings)

    return make


@pytest.fixture
def few_files() -> Iterator[None]:
    """Let the process have 256 open files, which is what macOS allows by default, besides those of other tests."""
    gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256 + psutil.Process().num_fds(), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def grown() -> Callable[[], float]:
    """Tells by how many MB this process has grown since."""
    process = psutil.Process()
    before = process.memory_info().rss

    return lambda: (process.memory_info().rss - before) / 1e6


def prompts(size: int) -> list[str]:
    return [f"Draw cat {number}." for number in range(size)]


def paid(url: str) -> int:
    """Count the conversations at the sandbox; each has one picture."""
    query = {"page_size": "100000"}
    return len(httpx.get(f"{url}/v1/conversations", params=query, headers={"authorization": "Bearer k"}).json())


def said(answers) -> list[str]:
    return [answer.text.strip() for answer in answers]


def replies(size: int) -> list[str]:
    return [f"Here is your image: cat {number}." for number in range(size)]


async def store(model, answers, folder) -> list:
    refs = images_of(answers)
    stored = await model.astore_images(refs, FsspecImageStore(str(folder)), max_concurrency=len(refs))
    return [(ref["id"], ref["status"]) for ref in stored]


async def store_by_nodes(model, answers, folder) -> list:
    node = ToolFileNode(FsspecImageStore(str(folder)), model)
    updates = await asyncio.gather(*(node.ainvoke({"messages": [answer]}) for answer in answers))
    return [(ref["id"], ref["status"]) for update in updates for ref in update["images"].values()]


@pytest.mark.parametrize("size", SIZES)
async def test_a_thousand_conversations_at_once(sandbox_process, make, grown, size):
    async with make(default_headers=DELAYED) as model:
        answers = await model.abatch(prompts(size))
    assert said(answers) == replies(size)
    assert paid(sandbox_process) == size
    assert grown() < 30 + size * 0.06


@pytest.mark.parametrize("size", SIZES)
async def test_a_thousand_downloads_at_once_and_from_a_thousand_nodes(make, grown, tmp_path, size):
    async with make() as model:
        answers = await model.abatch(prompts(size))
    async with make(default_headers=DELAYED) as model:
        for way in (store, store_by_nodes):
            stored = await way(model, answers, tmp_path / way.__name__)
            assert stored == [(ref["id"], "stored") for ref in images_of(answers)]
    assert grown() < 40 + size * 0.1


def test_two_hundred_threads(sandbox_process, make, grown):
    with make(default_headers=DELAYED) as model:
        answers = model.batch(prompts(600), {"max_concurrency": 200})
    assert said(answers) == replies(600)
    assert paid(sandbox_process) == 600
    assert grown() < 80


async def test_more_at_once_than_the_process_may_have_files_waits(make, few_files, tmp_path):
    async with make(default_headers=BRIEFLY) as model:
        answers = await model.abatch(prompts(300))
        assert said(answers) == replies(300)
        for way in (store, store_by_nodes):
            assert {status for _, status in await way(model, answers, tmp_path / way.__name__)} == {"stored"}


def test_more_threads_than_the_process_may_have_files_wait(make, few_files):
    with make(default_headers=DELAYED) as model:
        assert said(model.batch(prompts(300), {"max_concurrency": 300})) == replies(300)
