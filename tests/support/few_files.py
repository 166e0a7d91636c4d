"""Ask for more at once than this process may have files: 256, which is what macOS allows by default.

    python few_files.py URL async|threads FOLDER

In a process of its own, because the limit, and the files and threads of other tests, are the whole process'.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from crowds import prompts, replies, store, store_by_nodes, texts

from langchain_mistral_imagegen import ChatMistralConversations

COUNT = 300


def model(url: str, delay: float) -> ChatMistralConversations:
    headers = {"x-sandbox-behavior": json.dumps({"delay": delay})}  # so that they are in flight together
    return ChatMistralConversations(base_url=url, api_key="k", max_retries=0, default_headers=headers)


async def at_once(url: str, folder: Path) -> None:
    async with model(url, 0.4) as asked:
        answers = await asked.abatch(prompts(COUNT))
        assert texts(answers) == replies(COUNT)
        for way in (store, store_by_nodes):
            stored = await way(asked, answers, folder / way.__name__)
            assert [status for _, status in stored] == ["stored"] * COUNT


def in_threads(url: str) -> None:
    with model(url, 1) as asked:
        assert texts(asked.batch(prompts(COUNT), {"max_concurrency": COUNT})) == replies(COUNT)


if __name__ == "__main__":
    _, address, how, place = sys.argv
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    if how == "async":
        asyncio.run(at_once(address, Path(place)))
    else:
        in_threads(address)
