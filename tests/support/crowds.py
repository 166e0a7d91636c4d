"""Many at once: what they ask, what they should get, and two ways to store it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


@contextmanager
def restless_threads() -> Iterator[None]:
    """Let threads take turns a thousand times more often, so that they meet in each other's way."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def errors_of_threads(work: Callable[[int], object], count: int) -> list[Exception]:
    """Do work in threads, numbered from 0, while the interpreter changes threads all the time; return what they raised."""
    errors: list[Exception] = []

    def attempt(number: int) -> None:
        try:
            work(number)
        except Exception as error:  # noqa: BLE001  # whatever the thread met is the result
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(count)]
    with restless_threads():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return errors
