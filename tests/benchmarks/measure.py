"""How it is measured: in interleaved rounds, so that a noisy machine is noisy for all, and reported as ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Times = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        unit: A factor, or that of absolute numbers.
        at_least: Whether more is better.
        medians: What the clients took, in `each`.
    """

    what: str
    target: float
    measured: float
    unit: str = "x"
    at_least: bool = False
    medians: Mapping[str, float] = field(default_factory=dict)
    each: str = ""

    @property
    def met(self) -> bool:
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    def cells(self) -> list[str]:
        bound = "≥" if self.at_least else "≤"
        numbers = f"{bound} {self.target:g} {self.unit}", f"{self.measured:.2f} {self.unit}"
        return [self.what, *(number.replace(" x", "x") for number in numbers), "yes" if self.met else "no"]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def interleaved(
    clients: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> Times:
    """Time clients, round by round."""
    for work in clients.values():
        work()  # opens connections and fills caches
    gc.collect()
    gc.freeze()  # the modules that all the clients import together are nobody's garbage
    times: Times = {name: [] for name in clients}
    for _ in range(rounds):
        for name, work in clients.items():
            gc.collect()
            start = clock()
            work()
            times[name].append(clock() - start)
    return times


def ratio(times: Times, left: str, right: str) -> float:
    """Compare two clients; both numbers of a pair come from the same round."""
    return statistics.median(a / b for a, b in zip(times[left], times[right], strict=True))


def medians(times: Times, per: float) -> dict[str, float]:
    return {name: round(statistics.median(values) * per, 3) for name, values in times.items()}
