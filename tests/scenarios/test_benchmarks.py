"""The benchmarks run, and measure every row; their numbers are nobody's business here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, TESTS

BENCHMARKS = TESTS / "benchmarks"
CHECKPOINTS = """
import graphs, server
with server.running() as address:
    *_, row = graphs.turns(address, rounds=1, count=20)
print(row.what, row.met, row.measured, sep="; ")
"""
BEGIN = "<!-- measured: begin"


NEEDS = pytest.mark.skipif(not shutil.which("curl") or sys.platform != "linux", reason="they need curl and Linux")


def measure(*options: str | Path) -> None:
    subprocess.run([sys.executable, BENCHMARKS, *options, "--quick"], check=True, timeout=900)


@pytest.mark.slow
@NEEDS
def test_the_command_measures_what_needs_no_further_process_and_writes_the_tables(tmp_path):
    results, guide = tmp_path / "results.json", tmp_path / "speed.md"
    guide.write_text((ROOT / "cookbook/guides/speed.md").read_text())
    measure(results, "--only", "invoke", "paid once", "stream", "history", "--runs", "2", "--guide", guide)
    runs = json.loads(results.read_text())["runs"]
    assert [len(rows) for rows in runs] == [9, 9]
    assert all({"target", "measured", "met"} <= row.keys() for rows in runs for row in rows)
    written = guide.read_text()
    assert "2 runs." in written
    assert all(f"| {row['what']} |" in written for row in runs[0])
    assert "langchain-mistralai: " in written
    assert written.partition(BEGIN)[0] == (ROOT / "cookbook/guides/speed.md").read_text().partition(BEGIN)[0]


@pytest.mark.nightly
@NEEDS
def test_the_checkpoints_of_twenty_turns_are_as_small_as_wanted():
    """Unlike times, sizes do not depend on the machine."""
    command = [sys.executable, "-c", CHECKPOINTS]
    ran = subprocess.run(command, cwd=BENCHMARKS, check=True, timeout=900, capture_output=True, text=True)
    assert ran.stdout.startswith("checkpoints of 20 turns; True; "), ran.stdout


@pytest.mark.nightly
@NEEDS
def test_the_command_measures_every_row(tmp_path):
    results = tmp_path / "results.json"
    measure(results)
    rows = json.loads(results.read_text())["rows"]
    assert len({row["what"] for row in rows}) == len(rows) == 34
    assert all({"target", "measured", "met"} <= row.keys() for row in rows)
