"""What to do next about a turn that is to be paid for once: a pure decision, no clock and no I/O.

A request may be sent again only when no earlier one can still be answered. So whoever sees a record of one watches it,
on a clock of his own and from his own first sight of it, for as long as its answer may take; then looks once more.
`tests/support/ledger_model.py` checks these very functions over all interleavings of crashes, power losses and workers.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TypeAlias

from langchain_mistral_imagegen._ledger.records import Answered, Asking, Record, Void

_SHARE = 12  # a bound on answers of a minute leaves five seconds for sending, as many for pauses
_LEAST, _MOST = 0.5, 5.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long what may take.

    Attributes:
        answer: Seconds within which Mistral has answered after the client gave up; no later answer is expected.
        timeout: Seconds for which a client waits for the next byte of an answer.
    """

    answer: float = 60.0
    timeout: float = 300.0

    @property
    def send(self) -> float:
        """Seconds from the record of a request until its headers leave, at most."""
        return min(_MOST, max(_LEAST, self.answer / _SHARE))

    @property
    def grace(self) -> float:
        """Seconds that a process may stand still between the check and the last byte of its request."""
        return min(_MOST, max(_LEAST, self.answer / _SHARE))

    @property
    def lasts(self) -> float:
        """Seconds that a request lasts at most, from when it leaves. Its client ends it then."""
        return max(self.answer, self.timeout)

    def watch(self, record: Record | None) -> float:
        """Return the seconds for which a record is watched before the request counts as lost."""
        lasts = record.lasts if isinstance(record, Asking) and record.lasts is not None else self.lasts
        return self.send + lasts + self.grace


@dataclass(frozen=True)
class Head:
    """The last record of a chain.

    Attributes:
        number: Its place, from 0; -1 if the chain is empty.
        record: Its content; `None` if the chain is empty.
    """

    number: int = -1
    record: Record | None = None


@dataclass(frozen=True)
class Watching:
    """What one process knows of a chain.

    Attributes:
        head: The last record, as it was read last.
        since: When it was first seen, in seconds on a clock of this process.
        looked: When the last look for the answer began, or `None`.
        looks: How many there were.
        found: Whether it found a complete answer.
    """

    head: Head
    since: float
    looked: float | None = None
    looks: int = 0
    found: bool = False

    def seeing(self, head: Head, now: float) -> Watching:
        """Read the head once more: a new record is watched from the start."""
        return replace(self, head=head) if head.number == self.head.number else Watching(head, now)

    def looking(self, began: float, *, found: bool) -> Watching:
        """Remember a look for the answer.

        Args:
            began: When it began.
            found: Whether a complete answer was there.
        """
        return replace(self, looked=began, looks=self.looks + 1, found=found)


class Step(enum.Enum):
    """What to do next."""

    ADOPT = "take the answer from the record"
    KEEP = "write down the answer that was found"
    LOOK = "look for the answer at Mistral"
    ASK = "write down a request and send it"


@dataclass(frozen=True)
class Wait:
    """Wait so many seconds, then read the head again."""

    seconds: float


Decision: TypeAlias = Step | Wait


def decide(watching: Watching, now: float, patience: Patience, *, look_first: bool = False) -> Decision:
    """Decide what to do next.

    Args:
        watching: What is known of the chain.
        now: The time, on the clock of `watching`.
        patience: How long what may take.
        look_first: Whether to look for an answer also where no request was recorded.
    """
    record = watching.head.record
    if isinstance(record, Answered):
        return Step.ADOPT
    if watching.found:
        return Step.KEEP
    if record is None or isinstance(record, Void):
        return Step.LOOK if look_first and watching.looked is None else Step.ASK
    return _about_a_request(watching, now, watching.since + patience.watch(record))


def _about_a_request(watching: Watching, now: float, end: float) -> Decision:
    if watching.looked is None:
        return Step.LOOK
    if watching.looked >= end:  # the last look began after the bound: what is not there will not come
        return Step.ASK
    due = min(end, watching.looked + pause(watching.looks))
    return Step.LOOK if now >= due else Wait(due - now)


def pause(looks: int) -> float:
    """Return the seconds to wait after so many looks for an answer: 1, 2, 4, 8, and from then on 10."""
    return min(10.0, 2.0 ** min(looks - 1, 4))


def may_leave(seconds: float, patience: Patience) -> bool:
    """Return whether a request may still leave, so many seconds after its record was begun."""
    return seconds <= patience.send
