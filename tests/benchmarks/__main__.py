"""Measure this package against its targets, beside bare httpx, curl, the official SDK and other chat models.

    python tests/benchmarks [results.json] [--quick] [--only invoke ...]
    python tests/benchmarks results.json --runs 3 --guide cookbook/guides/speed.md

Everything talks to one local server. The table's ratios travel to other machines, its absolute times do not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import graphs
import images
import scale
import server
import starts
import table
import turns
from measure import Row

Measurements = dict[str, Callable[[], Iterator[Row]]]


def thorough(address: server.Address) -> Measurements:
    return {
        "invoke": lambda: turns.one_turn(address, rounds=15, calls=40),
        "paid once": lambda: turns.paid_once(address, rounds=15, calls=20),
        "stream": lambda: turns.stream_events(address, rounds=7, few=2_000, many=20_000),
        "ainvoke": lambda: turns.turns_at_once(address, rounds=11, count=64),
        "history": lambda: turns.long_histories(rounds=11, calls=20, lengths=(1, 20, 100)),
        "downloads": lambda: images.downloads(address, rounds=11, count=32, size=1_500_000),
        "memory": lambda: images.memory(address, rounds=3, size=64_000_000),
        "imports": lambda: starts.imports(rounds=9),
        "first": lambda: starts.first_requests(rounds=3),
        "graph": lambda: graphs.turns(address, rounds=7, count=20),
        "scale": lambda: scale.scale(
            address, 5, (1, 50, 200, 500), (1, 50, 100, 200), (1, 8, 64, 512), (1, 100, 10_000, 100_000)
        ),
    }


def quick(address: server.Address) -> Measurements:
    return {
        "invoke": lambda: turns.one_turn(address, rounds=1, calls=2),
        "paid once": lambda: turns.paid_once(address, rounds=1, calls=2),
        "stream": lambda: turns.stream_events(address, rounds=1, few=50, many=100),
        "ainvoke": lambda: turns.turns_at_once(address, rounds=1, count=4),
        "history": lambda: turns.long_histories(rounds=1, calls=1, lengths=(1, 2, 3)),
        "downloads": lambda: images.downloads(address, rounds=1, count=3, size=20_000),
        "memory": lambda: images.memory(address, rounds=1, size=160_000),
        "imports": lambda: starts.imports(rounds=1),
        "first": lambda: starts.first_requests(rounds=1),
        "graph": lambda: graphs.turns(address, rounds=1, count=2),
        "scale": lambda: scale.scale(address, 1, (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, help="where to write the numbers as JSON")
    parser.add_argument("--quick", action="store_true", help="only see that it runs; the numbers mean nothing")
    names = list(quick(server.Address(0)))
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"some of: {' '.join(names)}")
    parser.add_argument("--runs", type=int, default=1, help="measure everything so many times")
    parser.add_argument("--guide", type=Path, help="Markdown file whose tables are replaced by what was measured")
    given = parser.parse_args()
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        os.environ.pop(name, None)

    runs = [list(measured(given.only or names, is_quick=given.quick)) for _ in range(given.runs)]
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cores": os.cpu_count(), "python": platform.python_version()}
    if given.results:
        results = [[row.as_json() for row in rows] for rows in runs]
        given.results.write_text(json.dumps({**about, "rows": results[-1], "runs": results}, indent=2) + "\n")
    if given.guide:
        where = f"Measured on {about['date']}, {about['cores']} cores, Python {about['python']}"
        table.write(given.guide, runs, where)


def measured(names: Sequence[str], *, is_quick: bool) -> Iterator[Row]:
    """Measure once, and print each row."""
    print("| what | target | measured | met |\n| --- | --- | --- | --- |")
    with server.running() as address:
        for name, measurement in (quick if is_quick else thorough)(address).items():
            for row in measurement() if name in names else ():
                print(f"| {' | '.join(row.cells())} |", flush=True)
                yield row


if __name__ == "__main__":
    main()
