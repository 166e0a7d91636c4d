"""Many at once: what they ask, what they should get, and two ways to store it."""

from __future__ import annotations

import asyncio

from langchain_mistral_imagegen import FsspecImageStore, ToolFileNode, images_of


def prompts(size: int) -> list[str]:
    return [f"Draw cat {number}." for number in range(size)]


def texts(answers) -> list[str]:
    return [answer.text.strip() for answer in answers]


def replies(size: int) -> list[str]:
    return [f"Here is your image: cat {number}." for number in range(size)]


async def store(model, answers, folder) -> list:
    refs = images_of(answers)
    stored = await model.astore_images(refs, FsspecImageStore(str(folder)), max_concurrency=len(refs))
    return [(ref["id"], ref["status"]) for ref in stored]


async def store_by_nodes(model, answers, folder) -> list:
    node = ToolFileNode(image_store=FsspecImageStore(str(folder)), model=model)
    updates = await asyncio.gather(*(node.ainvoke({"messages": [answer]}) for answer in answers))
    return [(ref["id"], ref["status"]) for update in updates for ref in update["images"].values()]
