"""Wanted, paid and stored are one number, wherever the power is cut: nothing remains but what was synced.

The disk is a real one, ext4 on a loop device. `tests/conversations/test_payment.py` does the same where there is none.
"""

from __future__ import annotations

import pytest
from killing import Killer, note
from loop_disk import loop_disk
from paying_program import CELLS
from zygote import zygote

QUICK = "script with a key"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with zygote("paying_program", tmp_path_factory.mktemp("zygote")) as path:
        yield path


@pytest.mark.slow
@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, marks=[] if cell == QUICK else pytest.mark.nightly)
        for cell in CELLS
        if "PostgreSQL" not in cell  # its disk is another one
    ],
)
def test_each_crash_point(request, program, tmp_path, cell):
    found = Killer(program, cell, tmp_path, disk=loop_disk).at_each_point()
    assert {point: one for point, one in found.items() if (one.paid, one.stored) != (1, 1)} == {}
    assert found[8].kills, "there are so many points in the shortest program"
    if request.config.getoption("--nightly"):
        note(f"{cell}; power cut", [one for one in found.values() if one.kills])
