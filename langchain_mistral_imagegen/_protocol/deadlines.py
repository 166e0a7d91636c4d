"""When a request must have left: its deadline, on clocks of this process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A point in time of this process.

    Attributes:
        running: Seconds on a clock that stands still while the machine is suspended.
        elapsed: Seconds on a clock that does not.
    """

    running: float
    elapsed: float

    def since(self, earlier: Moment) -> float:
        """Return the seconds since an earlier moment, with suspension."""
        return max(self.running - earlier.running, self.elapsed - earlier.elapsed)


@dataclass(frozen=True)
class Now:
    """Ask for this moment; a flow has no clock of its own."""


@dataclass(frozen=True)
class Deadline:
    """Until when the headers of a request may leave.

    Attributes:
        begun: When it was set.
        seconds: How long it lasts.
    """

    begun: Moment
    seconds: float

    def is_over(self, now: Moment) -> bool:
        """Return whether it is too late to send the request."""
        return now.since(self.begun) > self.seconds


class TooLateError(Exception):
    """The deadline of a request passed before its headers left; nothing was sent."""
