"""Wanted, paid and stored are one number, wherever a real process is killed."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from paying_program import CELLS, main
from PIL import Image
from places import SUPPORT

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

RANDOM_KILLS = 10


@pytest.fixture(scope="module")
def processes():
    """Makes processes of one in which everything is imported already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(SUPPORT))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["paying_program"])
        yield context


def run(processes, cell, url, folder, deadly=0, seconds=None):
    """Run the program and return its exit code; kill it after so many seconds."""
    process = processes.Process(target=main, args=(cell, url, str(folder), deadly))
    process.start()
    process.join(seconds)
    if seconds is not None:
        process.kill()
    process.join(120)
    return process.exitcode


def trial(processes, cell, folder, deadly=0, seconds=None):
    """Kill the program once, run it again, and return how it was killed, and what was paid and stored."""
    folder.mkdir(parents=True)
    with Sandbox(behavior=Behavior(on="converse", delay=0.1 if seconds else 0)) as sandbox:
        killed = run(processes, cell, sandbox.url, folder, deadly, seconds)
        assert run(processes, cell, sandbox.url, folder) == 0
        return killed, sandbox.paid, len(list(map(whole, (folder / "images").glob("??/*.jpg"))))


def whole(path):
    with Image.open(path) as image:
        image.load()


@pytest.mark.nightly
@pytest.mark.parametrize("cell", CELLS)
def test_each_crash_point(processes, tmp_path, cell):
    for point in itertools.count(1):
        killed, *counted = trial(processes, cell, tmp_path / str(point), point)
        assert counted == [1, 1], f"paid and stored, killed at point {point}"
        if killed == 0:
            break
        assert killed == -signal.SIGKILL
    assert point > 8, "there are so many points in the shortest program"


@pytest.mark.nightly
@pytest.mark.parametrize("cell", CELLS)
def test_random_kills(processes, tmp_path, cell):
    dice = random.Random(cell)
    moments = [dice.uniform(0.05, 0.8) for _ in range(RANDOM_KILLS)]
    with ThreadPoolExecutor(2) as pool:
        trials = list(pool.map(lambda n: trial(processes, cell, tmp_path / str(n), 0, moments[n]), range(RANDOM_KILLS)))
    assert [result[1:] for result in trials] == [(1, 1)] * RANDOM_KILLS
