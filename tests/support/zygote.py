"""A process that has imported a program, and forks: each run of the program starts in milliseconds instead of seconds.

For each run a warden is forked, which forks the program itself, kills it when it is time, and reports its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from places import SUPPORT


@contextlib.contextmanager
def zygote(program: str, folder: Path) -> Iterator[Path]:
    """Start a zygote of a module in `tests/support`; yields the socket at which runs are asked for."""
    path = folder / "zygote"
    command = [sys.executable, __file__, program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SUPPORT)}) as process:
        assert process.stdout.readline() == b"ready\n"
        yield path
        process.kill()


def run(
    path: Path, *args: Any, kill_after: float | None = None, kill_when: Callable[[], object] = lambda: False
) -> int:
    """Run the program's `main`, and return its exit code; kill it after so many seconds, or when it has come so far."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        file = connection.makefile("rw")
        print(json.dumps([args, kill_after]), file=file, flush=True)
        while not select.select([connection], [], [], 0.02)[0]:
            if kill_when():
                with contextlib.suppress(BrokenPipeError):  # it has ended just now
                    connection.send(b"kill")
                break
        return int(file.readline())


def _serve(program: str, path: str) -> None:
    main = importlib.import_module(program).main
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        print("ready", flush=True)
        while True:
            connection, _ = door.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _ward(connection, main)


def _ward(connection: socket.socket, main: Any) -> None:
    file = connection.makefile("rw")
    args, kill_after = json.loads(file.readline())
    if (pid := os.fork()) == 0:
        _work(main, args)
    end = os.pidfd_open(pid)
    if end not in select.select([end, connection], [], [], kill_after)[0]:
        os.kill(pid, signal.SIGKILL)  # it may have ended just now, but its id is not free before it is waited for
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=file, flush=True)
    os._exit(0)


def _work(main: Any, args: Any) -> None:
    code = 1
    try:
        main(*args)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - whatever it is, the process ends here
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
