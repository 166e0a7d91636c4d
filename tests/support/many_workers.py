"""A crew of workers on one queue: while it works, one of them is killed, and replaced."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Self

from places import COOKBOOK, SUPPORT

PROGRAM = "import sys, many_workers; many_workers.main(*sys.argv[1:])"


class Crew:
    """Two worker processes for an engine."""

    def __init__(self, engine: str, address: str, queue: str, server: str, *, size: int = 2) -> None:
        self._args = (engine, address, queue, server)
        self._size = size
        self._workers: list[subprocess.Popen[bytes]] = []
        self.kills = 0

    def __enter__(self) -> Self:
        self._workers = [self._started() for _ in range(self._size)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()
            worker.wait()

    async def kill_one_of_those(self, drawing: Callable[[], bool]) -> None:
        """Kill a worker as soon as an image is being drawn."""
        while not drawing():  # in another thread
            await asyncio.sleep(0.05)
        self.kill()

    async def kill_each(self, seconds: float) -> None:
        """Kill a worker each so many seconds."""
        while True:
            await asyncio.sleep(seconds)
            self.kill()

    def kill(self) -> None:
        """Kill the oldest worker, and start another one."""
        oldest = self._workers.pop(0)
        oldest.kill()
        oldest.wait()
        self.kills += 1
        self._workers.append(self._started())

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(COOKBOOK), str(SUPPORT), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *self._args], env={**os.environ, "PYTHONPATH": path})


def main(engine: str, address: str, queue: str, server: str) -> None:
    model: dict[str, Any] = {"base_url": server, "api_key": "k", "timeout": 5, "answer_within": 5}
    if engine == "temporal":
        import temporal_worker

        temporal_worker.work(address, queue, model)
    else:
        import async_worker

        from langchain_mistral_imagegen import ChatMistralConversations

        asyncio.run(async_worker.awork(address, ChatMistralConversations(**model)))
