"""Downloads: how long many images take until they are stored, and how much memory large ones."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from by_hand import ByHand
from measure import Row, interleaved, medians, ratio
from mistralai.client import Mistral
from server import Address
from turns import ours

from langchain_mistral_imagegen import FsspecImageStore, ImageRef

CONCURRENCY = 16
_HERE = Path(__file__).parent


class Images:
    """Downloads the same number of images, in each of the ways, into one folder; they are never the same twice."""

    def __init__(self, url: str, folder: Path, count: int, size: int) -> None:
        self._url = url
        self._folder = folder
        self._count = count
        self._ids = (f"{size}-{number}" for number in itertools.count())
        self._model = ours(url)
        self._store = FsspecImageStore(str(folder / "store"))
        self._sdk = Mistral(api_key="k", server_url=url)
        (folder / "by hand").mkdir()
        self._by_hand = ByHand(url, folder / "by hand", CONCURRENCY)

    def _next(self) -> list[str]:
        return list(itertools.islice(self._ids, self._count))

    def _refs(self) -> list[ImageRef]:
        return [ImageRef(id=file_id, status="remote", file_id=file_id) for file_id in self._next()]

    def stored(self) -> None:
        _check(self._model.store_images(self._refs(), self._store, max_concurrency=CONCURRENCY))

    def astored(self, runner: asyncio.Runner) -> None:
        _check(runner.run(self._model.astore_images(self._refs(), self._store, max_concurrency=CONCURRENCY)))

    def by_hand(self) -> None:
        self._by_hand.stored(self._next())

    def aby_hand(self, runner: asyncio.Runner) -> None:
        runner.run(self._by_hand.astored(self._next()))

    def close(self, runner: asyncio.Runner) -> None:
        runner.run(self._by_hand.aclose())

    def by_curl(self) -> None:
        asked = "".join(
            f'url = "{self._url}/v1/files/{file_id}/content"\noutput = "{self._folder / file_id}"\n'
            for file_id in self._next()
        )
        command = [
            "curl",
            "--no-progress-meter",
            "--fail",
            "--parallel",
            "--parallel-max",
            str(CONCURRENCY),
            "--config",
            "-",
        ]
        subprocess.run(command, input=asked.encode(), check=True)

    def one_by_one(self) -> None:
        """https://docs.mistral.ai/agents/tools/built-in/image_generation shows this."""
        for file_id in self._next():
            (self._folder / file_id).write_bytes(self._sdk.files.download(file_id=file_id).read())


def downloads(server: Address, rounds: int, count: int, size: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        images = Images(server.url(latency=0.03), Path(folder), count, size)
        clients = {
            "ours": images.stored,
            "by hand": images.by_hand,
            "ours, async": lambda: images.astored(runner),
            "by hand, async": lambda: images.aby_hand(runner),
            "curl": images.by_curl,
            "documentation": images.one_by_one,
        }
        times = interleaved(clients, rounds, time.perf_counter)
        images.close(runner)
    details = {"medians": medians(times, 1e3), "each": "ms"}
    what = f"{count} images of {size / 1e6:g} MB, "
    for name in ("by hand", "by hand, async"):
        yield Row(
            what=f"{what}to httpx {name}",
            target=1.15,
            measured=ratio(times, name.replace("by hand", "ours"), name),
            **details,
        )
    yield Row(what=f"{what}to curl", target=1.3, measured=ratio(times, "ours", "curl"), **details)
    yield Row(what=f"{what}async, to curl", target=1.3, measured=ratio(times, "ours, async", "curl"), **details)
    for name in ("ours", "ours, async"):
        yield Row(
            what=f"{what}documentation's loop to {name}",
            target=5,
            at_least=True,
            measured=ratio(times, "documentation", name),
            **details,
        )


def memory(server: Address, rounds: int, size: int) -> Iterator[Row]:
    for count, each in ((1, size), (32, size // 8)):
        for face in ("run", "arun"):
            yield Row(
                what=f"memory of {count} x {each / 1e6:g} MB, `ToolFileNode.{face}`",
                target=8,
                measured=max(_growth(server, face, count, each) for _ in range(rounds)),
                unit="MB",
            )


def _growth(server: Address, face: str, count: int, size: int) -> float:
    command = [sys.executable, str(_HERE / "peak.py"), server.url(), face, str(count), str(size)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def _check(outcomes: list[ImageRef | Exception]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
