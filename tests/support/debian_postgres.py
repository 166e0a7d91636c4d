"""A PostgreSQL server of the system's own, such as Debian's, where `pgserver` has no wheel."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_programs() -> Path | None:
    """Return the folder of the newest server's programs."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    versions = sorted(installed, key=lambda path: int(re.sub(r"\D", "", path.parts[-3]) or 0))
    found = versions[-1] if versions else shutil.which("postgres")
    return Path(found).resolve().parent if found else None


@contextmanager
def running_postgres(programs: Path) -> Iterator[tuple[str, str]]:
    """Run a server in a new folder; yield its URI and its version."""
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as folder:
        user = _owner(Path(folder))
        data, control = f"{folder}/data", [str(programs / "pg_ctl"), "-D", f"{folder}/data", "-w", "-t", "60"]
        _run([str(programs / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N"], user)
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        _run([*control, "-l", f"{folder}/log", "-o", options, "start"], user)
        try:
            version = _run([str(programs / "postgres"), "--version"], user).split()[2]
            yield f"postgresql://postgres@/postgres?host={folder}", version
        finally:
            _run([*control, "-m", "immediate", "stop"], user)


def _owner(folder: Path) -> str | None:
    """Return the user to run the server as, which refuses to run as root."""
    if os.getuid() != 0:
        return None
    user = next(name for name in ("postgres", "nobody") if _exists(name))
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    return user


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _run(command: list[str], user: str | None) -> str:
    # Not with pipes for what stays open in the server: its log is a file.
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", user=user, timeout=120, check=False
        )
        out.seek(0)
        text = out.read()
    assert done.returncode == 0, f"{command[0]}: {text[-2000:]}"
    return text
