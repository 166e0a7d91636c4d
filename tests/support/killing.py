"""Trials of programs that are killed, and what they came to."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loop_disk import LoopDisk
from paying_program import CELLS, TRY_AGAIN, calls_of_two_tools
from PIL import Image
from places import SUPPORT, stored_images
from zygote import run

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

AT_ONCE = 16
MOST_RESUMES = 5
RESULTS = SUPPORT / "kills.json"


@dataclass(frozen=True)
class Kill:
    """A kill at a crash point, or at moments (seconds after the start) of the first runs."""

    point: int = 0
    moments: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What a trial came to.

    Attributes:
        exits: Exit codes of the runs that were to be killed.
        paid: Images that the server drew.
        stored: Images that are whole.
    """

    exits: list[int]
    paid: int
    stored: int

    @property
    def kills(self) -> int:
        return self.exits.count(-signal.SIGKILL)


class Disk:
    """The tests' own disk, whose power is never cut.

    Attributes:
        place: Where a program keeps its files.
    """

    def __init__(self, folder: Path) -> None:
        self.place = folder

    def cut_power(self) -> None:
        """Keep everything."""


@contextlib.contextmanager
def usual_disk(folder: Path) -> Iterator[Disk]:
    """Use the tests' own disk."""
    yield Disk(folder)


@dataclass(frozen=True)
class Killer:
    """Runs a cell's program again and again.

    Attributes:
        zygote: Socket of the zygote.
        postgres: URI of a PostgreSQL database, for the cell that needs one.
        disk: Makes the disk of a trial in a folder; its power is cut when the program is dead.
    """

    zygote: Path
    cell: str
    folder: Path
    postgres: str = ""
    disk: Callable[[Path], contextlib.AbstractContextManager[Disk | LoopDisk]] = usual_disk

    def length(self) -> float:
        """Return the seconds that the program takes when it is left alone."""
        began = time.monotonic()
        self._trial("alone", Kill())
        return time.monotonic() - began

    def together(self, kills: Iterable[Kill]) -> list[Outcome]:
        """Try several at once: most of a trial is waiting for an answer that got lost with its process."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda kill: self._trial(secrets.token_hex(8), kill), kills))

    def at_each_point(self) -> dict[int, Outcome]:
        """Kill at each crash point; at the last ones of them the program has ended already."""
        found: dict[int, Outcome] = {}
        for first in itertools.count(1, AT_ONCE):
            points = range(first, first + AT_ONCE)
            found |= zip(points, self.together(map(Kill, points)), strict=True)
            if found[points[-1]].exits == [0]:
                break
        return found

    def _trial(self, name: str, kill: Kill) -> Outcome:
        folder = self.folder / name
        folder.mkdir(parents=True)
        behavior = Behavior(on="converse", delay=0.1 if kill.moments else 0)
        with Sandbox(behavior=behavior) as sandbox, self.disk(folder) as disk:
            self._prepare(disk.place, sandbox)
            args = self.cell, sandbox.url, str(disk.place)
            exits = [self._run(*args, kill.point, kill_after=moment) for moment in kill.moments or [None]]
            disk.cut_power()
            ends = self._resume(*args)
            assert ends[-1] == 0, f"{self.cell} does not resume after {kill}: {ends}"
            return Outcome(exits, sandbox.paid, len(list(map(_decode, stored_images(disk.place / "images")))))

    def _resume(self, *args: Any) -> list[int]:
        return resume(lambda: self._run(*args, 0))

    def _run(self, *args: Any, kill_after: float | None = None) -> int:
        return run(self.zygote, *args, kill_after=kill_after)

    def _prepare(self, folder: Path, sandbox: Sandbox) -> None:
        if "interrupt" in self.cell:
            sandbox.behave(Behavior(on="text", outputs=calls_of_two_tools()))
        (folder / "postgres").write_text(self.postgres)


class FreshKiller(Killer):
    """Starts a Python of its own for each run, as users do; takes seconds, and knows crash points only."""

    def _run(self, *args: Any, kill_after: float | None = None) -> int:
        assert kill_after is None
        code = "import sys, paying_program; paying_program.main(*sys.argv[1:4], int(sys.argv[4]))"
        command = [sys.executable, "-c", code, *map(str, args)]
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(SUPPORT)}, check=False).returncode


class TwinKiller(Killer):
    """Resumes a program in two processes at once."""

    def _resume(self, *args: Any) -> list[int]:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: self._run(*args, 0), range(2)))
        return super()._resume(*args)


def resume(start: Callable[[], int]) -> list[int]:
    """Run a program again while a busy machine makes it give up, a few times at most, and return its exit codes."""
    ends = [start()]
    while ends[-1] == TRY_AGAIN and len(ends) < MOST_RESUMES:
        ends.append(start())
    return ends


def _decode(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def note(cell: str, outcomes: list[Outcome]) -> None:
    """Write what a cell came to into the results, of which the guide's table is made."""
    results = json.loads(RESULTS.read_text())
    results["cells"][cell] = {
        "trials": len(outcomes),
        "kills": sum(outcome.kills for outcome in outcomes),
        "wanted": len(outcomes),
        "paid": sum(outcome.paid for outcome in outcomes),
        "stored": sum(outcome.stored for outcome in outcomes),
    }
    results["cells"] = dict(sorted(results["cells"].items(), key=_order))
    results |= {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processors": os.cpu_count(),
        "langgraph": version("langgraph"),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _order(row: tuple[str, Any]) -> tuple[bool, int]:
    program, _, power_cut = row[0].partition("; ")
    return bool(power_cut), list(CELLS).index(program)


def drawn() -> str:
    """Return the table of the guide."""
    results = json.loads(RESULTS.read_text())
    rows = ["| program | killed | wanted | paid | stored |", "| --- | --- | --- | --- | --- |"]
    rows += [
        f"| {cell} | {one['kills']} | {one['wanted']} | {one['paid']} | {one['stored']} |"
        for cell, one in results["cells"].items()
    ]
    machine = f"{results['processors']} processors, {results['date']}, langgraph {results['langgraph']}"
    return "\n".join([*rows, "", f"*On a machine with {machine}.*"])
