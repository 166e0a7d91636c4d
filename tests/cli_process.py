"""Runs the command: as a process of its own, that has a terminal or can be killed."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

from langchain_mistral_imagegen.sandbox import Sandbox

COMMAND = [sys.executable, "-m", "langchain_mistral_imagegen"]


def environment(server: Sandbox | None = None, **env: str) -> dict[str, str]:
    variables = {"MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": server.url} if server else {}
    return {**os.environ, **variables, **env}


def run_on_terminal(*args: str, server: Sandbox, stdout: Any = None, columns: int = 100, **env: str) -> tuple[int, str]:
    """Return the exit code, and all that a terminal was sent; standard output may go elsewhere."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    variables = environment(server, **{"TERM": "xterm", "COLUMNS": str(columns), **env})
    shown = io.BytesIO()
    with subprocess.Popen(
        [*COMMAND, *args], stdout=stdout or terminal, stderr=terminal, stdin=terminal, env=variables
    ) as process:
        os.close(terminal)
        try:
            while piece := os.read(main, 65536):
                shown.write(piece)
        except OSError:  # Linux's end of file on a terminal
            os.close(main)
    return process.returncode, shown.getvalue().decode()


def lines_of(manifest: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.exists() else []
