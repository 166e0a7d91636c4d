"""Wanted, paid and stored are one number, wherever a real process is killed.

The table in the guide is made of what `--nightly` found.
"""

from __future__ import annotations

import random
import re
import signal

import pytest
from documents import guide
from killing import FreshKiller, Kill, Killer, Outcome, TwinKiller, drawn, note
from langgraph.checkpoint.postgres import PostgresSaver
from paying_program import CELLS
from zygote import zygote


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with zygote("paying_program", tmp_path_factory.mktemp("zygote")) as path:
        yield path


@pytest.fixture(params=CELLS)
def killer(request, program, tmp_path):
    if "PostgreSQL" not in request.param:
        return Killer(program, request.param, tmp_path)
    uri = request.getfixturevalue("postgres")
    with PostgresSaver.from_conn_string(uri) as saver:
        saver.setup()
    return Killer(program, request.param, tmp_path, uri)


@pytest.mark.slow
def test_each_crash_point(killer):
    found = killer.at_each_point()
    assert {point: one for point, one in found.items() if (one.paid, one.stored) != (1, 1)} == {}
    assert found[8].kills, "there are so many points in the shortest program"


@pytest.mark.slow
def test_random_kills(killer, request):
    is_nightly = request.config.getoption("--nightly")
    dice = random.Random(None if is_nightly else killer.cell)
    length = killer.length()
    kills = [
        Kill(moments=[dice.uniform(0, 2 * length) for _ in range(dice.choice([1, 1, 2]))])
        for _ in range(200 if is_nightly else 10)
    ]
    outcomes = killer.together(kills)
    assert [kill for kill, one in zip(kills, outcomes, strict=True) if (one.paid, one.stored) != (1, 1)] == []
    assert any(one.kills for one in outcomes)
    if is_nightly:
        note(killer.cell, outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["tool in create_agent", pytest.param("node, async", marks=pytest.mark.nightly)])
def test_a_fresh_interpreter_makes_no_difference(program, tmp_path, cell):
    kills = [Kill(point) for point in (4, 9)]
    outcomes = [kind(program, cell, tmp_path / kind.__name__).together(kills) for kind in (FreshKiller, Killer)]
    assert outcomes[0] == outcomes[1] == [Outcome([-signal.SIGKILL], paid=1, stored=1)] * len(kills)


@pytest.mark.slow
def test_two_processes_that_go_on_at_once_pay_once(program, tmp_path):
    outcomes = TwinKiller(program, "script with a key", tmp_path).together(map(Kill, range(1, 17)))
    assert {(one.paid, one.stored) for one in outcomes} == {(1, 1)}


def test_the_guide_has_this_table():
    shown = re.search(r"<!-- kills -->\n(.*?)\n<!-- /kills -->", guide("paying_once").read_text(), re.DOTALL)
    assert shown, drawn()
    assert shown[1] == drawn()
