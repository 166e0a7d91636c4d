"""Runs the command: as a process of its own, that has a terminal or can be stopped."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain_mistral_imagegen.sandbox import Sandbox

COMMAND = [sys.executable, "-m", "langchain_mistral_imagegen"]


def variables(server: Sandbox | None = None, **env: str) -> dict[str, str]:
    return {**({"MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": server.url} if server else {}), **env}


def environment(server: Sandbox | None = None, **env: str) -> dict[str, str]:
    return {**os.environ, **variables(server, **env)}


def run_on_terminal(
    *args: str,
    server: Sandbox,
    stdout: Any = None,
    columns: int = 100,
    answers: dict[str, str] | None = None,
    **env: str,
) -> tuple[int, str]:
    """Return the exit code, and all that a terminal was sent; standard output may go elsewhere.

    Args:
        answers: What the terminal answers when it is sent something.
    """
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = environment(server, **{"TERM": "xterm", "COLUMNS": str(columns), **env})
    streams = {"stdin": terminal, "stdout": stdout or terminal, "stderr": terminal}
    shown, waiting = b"", dict(answers or {})
    with subprocess.Popen([*COMMAND, *args], env=env, **streams) as process:
        os.close(terminal)
        try:
            while piece := os.read(main, 65536):
                shown += piece
                for asked in [asked for asked in waiting if asked.encode() in shown]:
                    os.write(main, waiting.pop(asked).encode())
        except OSError:  # Linux's end of file on a terminal
            os.close(main)
    return process.returncode, shown.decode()


def lines_of(manifest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.exists() else []


def wait_for(condition: Callable[[], object], process: subprocess.Popen[Any]) -> None:
    """Wait until a process has come so far, and leave the processor to it meanwhile."""
    while not condition():
        assert process.poll() is None, "it ended before"
        time.sleep(0.005)


def stop(process: subprocess.Popen[Any], how: int = signal.SIGINT) -> tuple[Any, Any]:
    """Return what a process wrote until Ctrl-C, or another signal, ended it.

    Like a person, press again if nothing happens for long: Python misses a signal that arrives just before a system call
    that blocks.
    """
    for _ in range(3):
        process.send_signal(how)
        try:
            return process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    raise AssertionError(f"signal {how} does not end it")
