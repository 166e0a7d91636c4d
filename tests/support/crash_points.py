"""Crash points: places at which a program kills its own process.

One stands before and after whatever outlives the process: a record of the ledger, a request, a stored image, a
checkpoint, and the writes of a task.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen._http import async_client, sync_client
from langchain_mistral_imagegen._ledger.chains import Ledger


class Points:
    """Counts crash points, and kills the process at one of them; 0 for none."""

    def __init__(self, deadly: int) -> None:
        self._deadly = deadly
        self._passed = itertools.count(1)

    def reached(self) -> None:
        if next(self._passed) == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, applies: Callable[..., bool] = lambda *_: True) -> None:
        """Put a point before and after each call of a method."""
        method = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not applies(*args):
                return method(*args, **kwargs)
            self.reached()
            result = method(*args, **kwargs)
            self.reached()
            return result

        async def acall(*args: Any, **kwargs: Any) -> Any:
            if not applies(*args):
                return await method(*args, **kwargs)
            self.reached()
            result = await method(*args, **kwargs)
            self.reached()
            return result

        setattr(owner, name, acall if asyncio.iscoroutinefunction(method) else call)


def install(deadly: int) -> None:
    points = Points(deadly)
    points.around(Ledger, "create")
    points.around(FsspecImageStore, "put")
    points.around(sync_client._Driver, "_send", lambda _, request: request.paid)
    points.around(async_client.AsyncClient, "_send", lambda _, request: request.paid)
    savers = [(SqliteSaver, ""), (PostgresSaver, ""), (AsyncSqliteSaver, "a")]
    for saver, face in savers:
        for name in (f"{face}put", f"{face}put_writes"):
            points.around(saver, name)
