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

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, ToolFileNode, images_of

COUNT = 300
PROMPTS = [f"Draw cat {number}." for number in range(COUNT)]
REPLIES = [f"Here is your image: cat {number}." for number in range(COUNT)]


def model(url: str, delay: float) -> ChatMistralConversations:
    headers = {"x-sandbox-behavior": json.dumps({"delay": delay})}  # so that they are in flight together
    return ChatMistralConversations(base_url=url, api_key="k", max_retries=0, default_headers=headers)


async def at_once(url: str, folder: Path) -> None:
    async with model(url, 0.4) as asked:
        answers = await asked.abatch(list(PROMPTS))
        assert [answer.text.strip() for answer in answers] == REPLIES
        stored = await asked.astore_images(
            images_of(answers), FsspecImageStore(str(folder / "store")), max_concurrency=COUNT
        )
        assert [ref["status"] for ref in stored] == ["stored"] * COUNT
        node = ToolFileNode(FsspecImageStore(str(folder / "nodes")), asked)
        updates = await asyncio.gather(*(node.ainvoke({"messages": [answer]}) for answer in answers))
        assert [ref["status"] for update in updates for ref in update["images"].values()] == ["stored"] * COUNT


def in_threads(url: str) -> None:
    with model(url, 1) as asked:
        answers = asked.batch(list(PROMPTS), {"max_concurrency": COUNT})
    assert [answer.text.strip() for answer in answers] == REPLIES


if __name__ == "__main__":
    _, address, how, place = sys.argv
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    if how == "async":
        asyncio.run(at_once(address, Path(place)))
    else:
        in_threads(address)
