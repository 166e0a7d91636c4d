"""Runs LangGraph's own development server on a folder, offline."""

from __future__ import annotations

import os
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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def development_server(folder: Path, environment: dict[str, str], *options: str):
    """Runs `langgraph dev` in a folder, gives its URL and the file it logs to, and kills it (SIGKILL) in the end."""
    port, log = free_port(), folder.parent / "server.log"
    program = Path(sys.executable).parent / "langgraph"
    command = [program, "dev", "--no-browser", "--no-reload", "--port", str(port), *options]
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
