"""What to do next, rule by rule; `test_ledger_model.py` checks the rules together."""

from __future__ import annotations

import pytest

from langchain_mistral_imagegen._ledger.decision import Head, Patience, Step, Wait, Watching, decide, may_leave
from langchain_mistral_imagegen._ledger.records import Answered, Asking, Void

PATIENCE = Patience(answer=60, timeout=300)
GAVE_UP, FIRST, BROKEN = (Head(0, Asking(lasts=lasts)) for lasts in (60.0, 300.0, None))


def test_the_defaults_are_those_of_the_design():
    assert (PATIENCE.send, PATIENCE.grace, PATIENCE.watch(GAVE_UP.record)) == (5, 5, 70)
    assert PATIENCE.watch(FIRST.record) == PATIENCE.watch(BROKEN.record) == 310
    assert Patience(answer=0.6).send == Patience(answer=0.6).grace == 0.5


@pytest.mark.parametrize("record", [None, Void()])
def test_where_nothing_was_paid_it_asks_at_once(record):
    head = Head(-1 if record is None else 1, record)
    assert decide(Watching(head, 0), 0, PATIENCE) is Step.ASK
    assert decide(Watching(head, 0), 0, PATIENCE, look_first=True) is Step.LOOK
    assert decide(Watching(head, 0, looked=0), 0, PATIENCE, look_first=True) is Step.ASK


def test_an_answer_is_adopted():
    assert decide(Watching(Head(2, Answered(answer={})), 0), 0, PATIENCE) is Step.ADOPT


def test_a_request_is_looked_for_less_and_less_often_and_once_after_the_bound():
    watching, now, looks = Watching(GAVE_UP, 0), 0.0, []
    while (step := decide(watching, now, PATIENCE)) is not Step.ASK:
        if isinstance(step, Wait):
            now += step.seconds
        else:
            looks.append(now)
            watching = watching.looking(now, found=False)
    assert looks == [0, 1, 3, 7, 15, 25, 35, 45, 55, 65, 70]


def test_what_is_found_is_kept():
    assert decide(Watching(FIRST, 0).looking(0, found=True), 0, PATIENCE) is Step.KEEP


def test_a_new_record_is_watched_from_the_start():
    watching = Watching(GAVE_UP, 0).looking(69, found=False)
    assert watching.seeing(Head(1, GAVE_UP.record), 69) == Watching(Head(1, GAVE_UP.record), 69)
    assert watching.seeing(GAVE_UP, 69) == watching


def test_a_record_that_was_torn_can_be_read_later():
    seen = Watching(BROKEN, 0).seeing(Head(0, Answered(answer={})), 9)
    assert (seen.since, decide(seen, 9, PATIENCE)) == (0, Step.ADOPT)


def test_a_request_leaves_soon_after_its_record_or_not_at_all():
    assert may_leave(5, PATIENCE)
    assert not may_leave(5.1, PATIENCE)
