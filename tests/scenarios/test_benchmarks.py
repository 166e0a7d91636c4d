"""The benchmarks run, and measure every row; their numbers are nobody's business here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from places import TESTS

BENCHMARKS = TESTS / "benchmarks"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl") or sys.platform != "linux", reason="they need curl and Linux")
def test_the_command_measures_every_row(tmp_path):
    results = tmp_path / "results.json"
    subprocess.run([sys.executable, BENCHMARKS, results, "--quick"], check=True, timeout=120)
    rows = json.loads(results.read_text())["rows"]
    assert len({row["what"] for row in rows}) == len(rows) == 32
    assert all({"target", "measured", "met"} <= row.keys() for row in rows)
