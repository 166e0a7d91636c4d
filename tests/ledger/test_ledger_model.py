"""The package's decisions pay once and wait no longer than they must, whatever crashes; `ledger_model.py` explains."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from ledger_model import Case, Rules, Ticks, _record, exhaust, walk

from langchain_mistral_imagegen._ledger.decision import decide

CASES = {
    "crash": Case(records=3),
    "power loss": Case(crashes=0, powers=1, records=3),
    "corrupt record": Case(crashes=0, corruptions=1, records=3),
    "three workers": Case(workers=3, crashes=0, records=2),
    "one worker, everything": Case(workers=1, crashes=2, powers=1, corruptions=1, requests=3, records=5),
    "a client that waits longer than it is waited for": Case(ticks=Ticks(d=1, first=3), crashes=0, records=3),
}
DEEP = {
    "two workers, crash": Case(requests=3, records=6),
    "two crashes": Case(crashes=2),
    "three workers": Case(workers=3, crashes=0, records=3),
    "everything": Case(powers=1, corruptions=1),
}


def explained(result):
    return f"{result.problem} after {' > '.join(result.trace)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_no_interleaving_pays_twice(name, request):
    nightly = request.config.getoption("--nightly")
    result = exhaust(CASES[name], 10**9 if nightly else 12_000)
    assert not result.problem, explained(result)


@pytest.mark.nightly
@pytest.mark.parametrize("name", DEEP)
def test_no_deep_interleaving_pays_twice(name):
    result = exhaust(DEEP[name], 3_000_000)
    assert not result.problem, explained(result)


@pytest.mark.slow
def test_no_random_way_pays_twice(request):
    for seed in range(1_000 if request.config.getoption("--nightly") else 20):
        size = random.Random(seed)
        ticks = Ticks(s=size.randint(1, 3), d=size.randint(1, 6), g=size.randint(0, 2), first=size.randint(1, 6))
        case = Case(ticks=ticks, workers=3, crashes=8, powers=2, corruptions=2, requests=9, records=30)
        result = walk(case, seed)
        assert not result.problem, explained(result)


def no_last_look(watching, now, patience):
    found = watching.found and watching.looked < watching.since + patience.watch(watching.head.record)
    return decide(replace(watching, found=found), now, patience)


def not_restarted(watching, head, now):
    return replace(watching, head=head)


def from_the_writers_clock(watching, head, now):
    """The watch begins when the record was written, by a clock that is three ticks ahead."""
    seen = watching.seeing(head, now)
    return seen if seen.since == watching.since else replace(seen, since=now - 3)


class Shorter(Ticks):
    def watch(self, record):
        return super().watch(record) - 1


BUGS = {
    "no renewal": Case(rules=Rules(may_leave=lambda seconds, patience: True)),
    "no compare-and-swap": Case(rules=Rules(creates_once=False)),
    "no sync": Case(workers=1, powers=1, rules=Rules(syncs=False)),
    "a broken record is none": Case(
        corruptions=1, rules=Rules(read=lambda kept: None if kept.kind == "broken" else _record(kept))
    ),
    "no last look": Case(rules=Rules(decide=no_last_look)),
    "watched one tick less": Case(ticks=Shorter()),
    "the watch is not restarted": Case(requests=3, records=6, rules=Rules(seeing=not_restarted)),
    "clocks are compared": Case(requests=3, records=6, rules=Rules(seeing=from_the_writers_clock)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_the_model_finds_what_each_rule_is_there_for(name):
    assert exhaust(BUGS[name], 600_000, is_mutant=True).problem


@pytest.mark.slow
@pytest.mark.parametrize("impossible", ["late", "frozen"])
def test_the_promise_rests_on_two_bounds(impossible):
    assert exhaust(Case(crashes=0, records=6, **{impossible: True}), 300_000).problem
