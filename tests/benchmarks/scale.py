"""How cost grows: with turns, images in an answer, streams at once, and images in a store."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from measure import Row, Times, interleaved, medians
from server import Address
from turns import PROMPT, ours

from langchain_mistral_imagegen import FsspecImageStore, ToolFileNode, images_of
from langchain_mistral_imagegen.garbage import collect_garbage

Sizes = tuple[int, int, int, int]
_TIMES = 20


def scale(server: Address, rounds: int, turns: Sizes, images: Sizes, streams: Sizes, stored: Sizes) -> Iterator[Row]:
    """Compare what one more costs among many with what one more costs among few: 1 is linear."""
    yield _row("one more turn in a history", "µs of CPU for the last turn", _turns(server, rounds, turns), 1e6)
    yield _row("one more image in an answer", "µs of CPU for all", _images(server, rounds, images), 1e6)
    yield _row("one more stream at once", "µs of CPU for all", _streams(server, rounds, streams), 1e6)
    with tempfile.TemporaryDirectory() as folder:
        times = _stores(rounds, stored, Path(folder))
    yield _row("one more image in a store, seen by `collect_garbage`", "ms", times["garbage"], 1e3)
    put = times["put"]
    yield Row(
        what=f"storing an image beside {stored[-1]:,}, to beside {stored[0]:,}",
        target=2,
        measured=min(put[str(stored[-1])]) / min(put[str(stored[0])]),
        medians=medians(put, 1e6),
        each="µs",
    )


def _row(what: str, each: str, times: Times, per: float) -> Row:
    (_, few), (middle, some), *_, (last, many) = ((int(size), min(taken)) for size, taken in times.items())
    *_, (before, most) = ((int(size), min(taken)) for size, taken in list(times.items())[:-1])
    among_few, among_many = (some - few) / (middle - 1), (many - most) / (last - before)
    return Row(what=what, target=2, measured=among_many / among_few, medians=medians(times, per), each=each)


def _by_size(work: Mapping[int, Callable[[], object]], rounds: int, **clock: Any) -> Times:
    return interleaved({str(size): call for size, call in work.items()}, rounds, **clock)


def _each(times: Times) -> Times:
    return {size: [each / _TIMES for each in taken] for size, taken in times.items()}


def _turns(server: Address, rounds: int, sizes: Sizes) -> Times:
    model = ours(server.url())
    history: list[Any] = []
    last_turn = {}
    for turn in range(1, sizes[-1] + 1):
        history.append(HumanMessage(f"{PROMPT} {turn}"))
        if turn in sizes:
            asked = list(history)
            last_turn[turn] = lambda asked=asked: [model.invoke(asked) for _ in range(_TIMES)]
        history.append(model.invoke(history))
    return _each(_by_size(last_turn, rounds))


def _images(server: Address, rounds: int, sizes: Sizes) -> Times:
    def answered(size: int) -> Callable[[], object]:
        model = ours(server.url(images=size))
        node = ToolFileNode(image_store=FsspecImageStore("memory://scale"), model=model)

        def work() -> None:
            for _ in range(_TIMES):
                answer = model.invoke(PROMPT)
                assert len(images_of(answer)) == size
                refs = {ref["id"]: {**ref, "status": "stored"} for ref in images_of(answer)}
                node.invoke({"messages": [answer], "images": refs})  # sees that there is nothing left to do

        return work

    return _each(_by_size({size: answered(size) for size in sizes}, rounds))


def _streams(server: Address, rounds: int, sizes: Sizes) -> Times:
    model = ours(server.url(events=100, latency=0.2))

    async def read() -> None:
        async for _ in model.astream(PROMPT):
            pass

    async def at_once(count: int) -> None:
        await asyncio.gather(*(read() for _ in range(count)))

    with asyncio.Runner() as runner:
        times = _by_size({size: lambda size=size: runner.run(at_once(size)) for size in sizes}, rounds)
        runner.run(model.aclose())
    return times


def _stores(rounds: int, sizes: Sizes, folder: Path) -> dict[str, Times]:
    numbers = itertools.count()
    source = folder / "source"

    def put(store: FsspecImageStore) -> Callable[[], None]:
        def work() -> None:
            for _ in range(_TIMES):
                source.write_bytes(b"image")
                store.put(source, _key(next(numbers)))

        return work

    stores = {size: FsspecImageStore(str(folder / str(size))) for size in sizes}
    keys = {size: [_key(next(numbers)) for _ in range(size)] for size in sizes}
    for size, store in stores.items():
        for key in keys[size]:
            place = Path(store.root, key)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"image")
    wall = {"clock": time.perf_counter}
    return {
        "garbage": _by_size(
            {size: lambda store=store, size=size: _nothing_goes(store, keys[size]) for size, store in stores.items()},
            rounds,
            **wall,
        ),
        "put": _each(_by_size({size: put(store) for size, store in stores.items()}, rounds, **wall)),
    }


def _key(number: int) -> str:
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return f"{digest[:2]}/{digest}.jpg"


def _nothing_goes(store: FsspecImageStore, keys: list[str]) -> None:
    assert collect_garbage(store, keys, grace=timedelta()) == []
