"""Trials of programs that are killed, and what they came to."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from paying_program import calls_of_two_tools
from PIL import Image
from places import SUPPORT, stored_images
from zygote import run

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

AT_ONCE = 16
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


@dataclass(frozen=True)
class Killer:
    """Runs a cell's program again and again.

    Attributes:
        zygote: Socket of the zygote.
        postgres: URI of a PostgreSQL database, for the cell that needs one.
    """

    zygote: Path
    cell: str
    folder: Path
    postgres: str = ""

    def length(self) -> float:
        """Return the seconds that the program takes when it is left alone."""
        began = time.monotonic()
        self._trial("alone", Kill())
        return time.monotonic() - began

    def together(self, kills: Iterable[Kill]) -> list[Outcome]:
        """Try several at once: most of a trial is waiting for an answer that got lost with its process."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda kill: self._trial(secrets.token_hex(8), kill), kills))

    def _trial(self, name: str, kill: Kill) -> Outcome:
        folder = self.folder / name
        folder.mkdir(parents=True)
        with Sandbox(behavior=Behavior(on="converse", delay=0.1 if kill.moments else 0)) as sandbox:
            self._prepare(folder, sandbox)
            args = self.cell, sandbox.url, str(folder)
            exits = [run(self.zygote, *args, kill.point, kill_after=moment) for moment in kill.moments or [None]]
            assert run(self.zygote, *args, 0) == 0, f"{self.cell} does not resume after {kill}"
            return Outcome(exits, sandbox.paid, len(list(map(_decode, stored_images(folder / "images")))))

    def _prepare(self, folder: Path, sandbox: Sandbox) -> None:
        if "interrupt" in self.cell:
            sandbox.behave(Behavior(on="text", outputs=calls_of_two_tools()))
        (folder / "postgres").write_text(self.postgres)


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
    results |= {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processors": os.cpu_count(),
        "langgraph": version("langgraph"),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


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
