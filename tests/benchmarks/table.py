"""The tables of the guide: the median of several runs, how far they lie apart, and the absolute times behind them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from measure import Row

BEGIN, END = "<!-- measured: begin (tests/benchmarks writes this) -->", "<!-- measured: end -->"


def write(guide: Path, runs: Sequence[Sequence[Row]], about: str) -> None:
    """Replace what stands between the two marks of a guide.

    Args:
        guide: A Markdown file.
        runs: The rows of each run.
        about: When and on what it was measured.

    Raises:
        ValueError: If the guide lacks the marks.
    """
    before, _, rest = guide.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{guide} has no lines {BEGIN!r} and {END!r}")
    text = "\n".join([BEGIN, f"{about}, {len(runs)} runs.", "", *_ratios(runs), "", *_times(runs), END])
    guide.write_text(before + text + after)


def _ratios(runs: Sequence[Sequence[Row]]) -> Iterator[str]:
    yield "| what | median | least to most | wish |"
    yield "| --- | --- | --- | --- |"
    for same in zip(*runs, strict=True):
        values, row = [one.measured for one in same], same[0]
        _, wish, median = replace(row, measured=statistics.median(values)).cells()[:3]
        yield f"| {row.what} | {median} | {min(values):.2f} to {max(values):.2f} | {wish} |"


def _times(runs: Sequence[Sequence[Row]]) -> Iterator[str]:
    yield "| of each, medians | |"
    yield "| --- | --- |"
    shown: list[Mapping[str, float]] = []
    for same in zip(*runs, strict=True):
        row = same[0]
        if row.medians and row.medians not in shown:
            shown.append(row.medians)
            median = {name: statistics.median(one.medians[name] for one in same) for name in row.medians}
            yield f"| {row.what.partition(', to ')[0]}, {row.each} | {_listed(median)} |"


def _listed(medians: Mapping[str, float]) -> str:
    return "; ".join(f"{name}: {value:,.4g}" for name, value in medians.items())
