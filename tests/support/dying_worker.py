"""A worker of the cookbook's Temporal recipe that kills itself at a stage, once for each folder."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from places import COOKBOOK, SUPPORT

PROGRAM = "import sys, dying_worker; dying_worker.main(*sys.argv[1:])"
STAGES = (
    "before the request",
    "before the answer is read",
    "after the answer",
    "at the download",
    "after the download",
)


def start(stage: str, folder: Path, address: str, queue: str, server: str) -> subprocess.Popen[bytes]:
    """Start a worker in a process of its own, with a store in `folder`; an empty stage kills nobody."""
    path = os.pathsep.join([str(COOKBOOK), str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", PROGRAM, stage, str(folder / "killed"), address, queue, server]
    variables = {"PYTHONPATH": path, "MISTRAL_IMAGEGEN_STORE": str(folder / "images")}
    return subprocess.Popen(command, env={**os.environ, **variables})


def main(stage: str, marker: str, address: str, queue: str, server: str) -> None:
    import temporal_worker

    install(stage, Path(marker))
    # A request that is really lost is waited for, for a bit more than 5 seconds.
    model = {"base_url": server, "api_key": "k", "max_retries": 0, "timeout": 5, "answer_within": 3}
    temporal_worker.work(address, queue, model)


def install(stage: str, marker: Path) -> None:
    from langchain_mistral_imagegen import ConversationNode, FsspecImageStore, ToolFileNode
    from langchain_mistral_imagegen._http.async_client import AsyncClient

    die = {
        "before the request": lambda: _dying(AsyncClient, "_send", marker, applies=lambda _, request: request.paid),
        "before the answer is read": lambda: _dying(
            AsyncClient, "_send", marker, applies=lambda _, request: request.paid, afterwards=True
        ),
        "after the answer": lambda: _dying(ConversationNode, "arun", marker, afterwards=True),
        "at the download": lambda: _dying(FsspecImageStore, "put", marker),
        "after the download": lambda: _dying(ToolFileNode, "arun", marker, afterwards=True),
    }
    die.get(stage, lambda: None)()


def _dying(
    owner: Any, name: str, marker: Path, *, applies: Callable[..., bool] = lambda *_: True, afterwards: bool = False
) -> None:
    """Kill the process before or after a call of a method, if no other process died of it."""
    method = getattr(owner, name)

    @functools.wraps(method)  # Temporal wants its name
    async def acall(*args: Any, **kwargs: Any) -> Any:
        if applies(*args) and not afterwards:
            _die(marker)
        result = await method(*args, **kwargs)
        if applies(*args):
            _die(marker)
        return result

    def call(*args: Any, **kwargs: Any) -> Any:
        _die(marker)
        return method(*args, **kwargs)

    setattr(owner, name, call if name == "put" else acall)


def _die(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
