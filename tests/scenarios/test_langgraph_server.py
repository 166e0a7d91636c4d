"""The recipe runs in LangGraph's own development server, offline; and nodes do not block its event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from langgraph.checkpoint.memory import InMemorySaver
from places import COOKBOOK

from langchain_mistral_imagegen import create_image_graph
from langchain_mistral_imagegen.sandbox import Behavior

RECIPE = COOKBOOK / "langgraph_server"
QUESTION = {"messages": [("user", "Draw a boat.")]}
THREAD = {"configurable": {"thread_id": "1"}}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def development_server(folder: Path, environment: dict[str, str]):
    """Runs `langgraph dev` in a folder and gives its URL and the file it logs to."""
    port, log = free_port(), folder.parent / "server.log"
    command = [Path(sys.executable).parent / "langgraph", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until_it_answers(url, server, log)
        yield url, log
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def until_it_answers(url: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        try:
            return urllib.request.urlopen(f"{url}/ok", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(log.read_text())


def environment_of(sandbox) -> dict[str, str]:
    ours = {name: text for name, text in os.environ.items() if not name.startswith(("LANGSMITH_", "LANGCHAIN_"))}
    offline = {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    return {**ours, **offline, "MISTRAL_BASE_URL": sandbox.url, "MISTRAL_API_KEY": "k"}


@pytest.mark.slow
def test_an_image_is_drawn_once_reported_and_served(sandbox, tmp_path):
    folder, environment = tmp_path / "recipe", environment_of(sandbox)
    shutil.copytree(RECIPE, folder)
    with development_server(folder, environment) as (url, log):
        done = subprocess.run(
            [sys.executable, "-W", "error", folder / "client.py"],
            env={**environment, "LANGGRAPH_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), log.read_text()
        *events, shown, hashed = done.stdout.splitlines()
    assert events == [f"mistral.image.{kind}" for kind in ("generating", "generated", "download", "stored")]
    (image,) = folder.rglob("*.jpg")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    assert shown == f"{url}/images/{digest[:2]}/{digest}.jpg image/jpeg 1024x768 pixels"
    assert hashed == f"sha256 {digest}"
    assert sandbox.paid == 1
    assert "BlockingError" not in log.read_text()


async def drawn(model, folder, cancel_after: float | None = None):
    """Draw where blocking calls on the event loop are errors, as in the development server."""
    graph = create_image_graph(model, image_store=str(folder)).compile(checkpointer=InMemorySaver())
    with blockbuster_ctx():
        async with asyncio.timeout(cancel_after):
            return await graph.ainvoke(QUESTION, THREAD)


def files_in(folder: Path) -> set[str]:
    return {path.suffix or path.name for path in folder.rglob("*") if path.is_file()}


async def test_nodes_do_not_block(model, tmp_path):
    state = await drawn(model, tmp_path / "s")
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]


async def test_a_cut_download_does_not_block_and_leaves_nothing(model, sandbox, tmp_path):
    sandbox.behave(Behavior(on="download", cut_after=100))
    state = await drawn(model, tmp_path / "s")
    (ref,) = state["images"].values()
    assert ref["error"].startswith("APIConnectionError: ")
    assert files_in(tmp_path / "s") == {".json"}


@pytest.mark.slow
async def test_a_cancelled_download_does_not_block_and_leaves_nothing(model, sandbox, tmp_path):
    sandbox.behavior = Behavior(on="any", file_size=2_000_000, pace=0.3)
    with pytest.raises(TimeoutError):
        await drawn(model, tmp_path / "s", cancel_after=1.5)
    assert sandbox.paid == 1
    assert files_in(tmp_path / "s") == {".json"}
