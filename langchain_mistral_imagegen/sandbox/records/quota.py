"""The image tool's own rate limits."""

from __future__ import annotations

from collections.abc import Callable

from langchain_mistral_imagegen.sandbox.records.problems import quota_exceeded


class Quota:
    """Counts images against the limits of a minute and a day."""

    def __init__(self, per_minute: int | None, per_day: int | None, clock: Callable[[], float]) -> None:
        self._limits = {"minute": (60, per_minute), "day": (86400, per_day)}
        self._clock = clock
        self._drawn: list[float] = []

    def take(self, count: int) -> None:
        """Count images before they are drawn, or refuse them."""
        for period, (seconds, limit) in self._limits.items():
            if limit is not None and self._used(seconds) + count > limit:
                raise quota_exceeded(period, self.headers())
        self._drawn += [self._clock()] * count

    def headers(self) -> dict[str, str]:
        """Return the headers with what is left."""
        headers = {}
        for (period, (seconds, limit)), usual in zip(self._limits.items(), (10, 10000), strict=True):
            most = usual if limit is None else limit
            headers[f"x-ratelimit-limit-image-generation-{period}"] = str(most)
            headers[f"x-ratelimit-remaining-image-generation-{period}"] = str(max(0, most - self._used(seconds)))
        return headers

    def _used(self, seconds: int) -> int:
        return sum(when > self._clock() - seconds for when in self._drawn)
