"""The cookbook's workflow on a real Temporal dev server: workers are killed at each stage, and each image is paid once."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import dying_worker
import pytest
from engines import temporal_server
from places import COOKBOOK, stored_images
from temporal_or_local import connected
from temporal_workflow import ApprovedImage

from langchain_mistral_imagegen.sandbox import Behavior

SECONDS = 120


@pytest.fixture(scope="module")
def temporal():
    with temporal_server() as address:
        yield address


class Workflow:
    """A workflow with a queue and a store of its own, and the workers that were started for it."""

    def __init__(self, address, sandbox, folder) -> None:
        self._address, self._url, self._folder = address, sandbox.url, folder
        self._queue = f"images-{secrets.token_hex(4)}"
        self.workers: list[subprocess.Popen[bytes]] = []

    def work(self, stage=""):
        worker = dying_worker.start(stage, self._folder, self._address, self._queue, self._url)
        self.workers.append(worker)
        return worker

    async def begin(self):
        client = await connected(self._address)
        options = {"id": self._queue, "task_queue": self._queue, "task_timeout": timedelta(seconds=3)}
        limit = timedelta(seconds=2 * SECONDS)
        return await client.start_workflow(ApprovedImage.run, "Draw a boat.", **options, execution_timeout=limit)

    @property
    def stored(self):
        return stored_images(self._folder)

    def end(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()


@pytest.fixture
def new_workflow(temporal, sandbox, tmp_path):
    begun = []

    def make(name="one"):
        (folder := tmp_path / name).mkdir()
        begun.append(Workflow(temporal, sandbox, folder))
        return begun[-1]

    yield make
    for workflow in begun:
        workflow.end()


@pytest.fixture
def workflow(new_workflow):
    return new_workflow()


async def until(look):
    end = time.monotonic() + SECONDS
    while not (found := await look()):
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.05)
    return found


async def one_stored(handle, workflow):
    """Approve the image, and check that it is stored once."""
    await handle.signal(ApprovedImage.decide, {"approve": True})
    async with asyncio.timeout(SECONDS):
        (ref,) = (await handle.result()).values()
    (file,) = workflow.stored
    assert (ref["status"], file.stat().st_size) == ("stored", ref["size_bytes"])


async def test_workers_that_die_at_each_stage_cost_nothing(new_workflow, sandbox):
    async def survived(stage):
        workflow = new_workflow(stage)
        for _ in range(2):
            workflow.work(stage)
        await one_stored(await workflow.begin(), workflow)
        return [worker.poll() for worker in workflow.workers].count(-signal.SIGKILL)

    assert await asyncio.gather(*map(survived, dying_worker.STAGES)) == [1] * len(dying_worker.STAGES), "were killed"
    assert sandbox.paid == len(dying_worker.STAGES)


async def test_a_worker_that_dies_while_an_image_is_drawn_is_noticed(workflow, sandbox):
    sandbox.behave(Behavior(delay=4))
    first = workflow.work()
    handle = await workflow.begin()
    await handle.signal(ApprovedImage.decide, {"approve": True})

    async def drawing():
        return [request for request in sandbox.waiting if request.method == "POST"]

    await until(drawing)
    first.kill()
    killed_at = time.monotonic()
    workflow.work()
    async with asyncio.timeout(SECONDS):
        (ref,) = (await handle.result()).values()
    assert (sandbox.paid, ref["status"]) == (1, "stored")
    assert time.monotonic() - killed_at < 60, "and not after ten minutes, the activity's time-out"


async def test_a_worker_that_dies_while_a_human_decides_is_replaced(workflow, sandbox):
    first = workflow.work()
    handle = await workflow.begin()
    request = await until(lambda: handle.query(ApprovedImage.request))
    assert (request["kind"], request["prompt"]) == ("mistral.image.approval", "Draw a boat.")
    first.kill()
    first.wait()
    assert sandbox.paid == 0
    workflow.work()
    await one_stored(handle, workflow)
    assert sandbox.paid == 1


async def test_a_human_changes_or_refuses_the_prompt(workflow, sandbox):
    workflow.work()
    handle = await workflow.begin()
    await handle.signal(ApprovedImage.decide, {"approve": "perhaps"})
    await handle.signal(ApprovedImage.decide, {"approve": False, "reason": "no boats"})
    async with asyncio.timeout(SECONDS):
        assert await handle.result() == {}
    assert sandbox.paid == 0


def test_the_recipe_survives_a_killed_worker(temporal, monkeypatch):
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal)
    command = [sys.executable, "-W", "error", str(COOKBOOK / "temporal_client.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "killed the first worker\nstored " in done.stdout
    assert len(stored_images(Path("generated_images"))) == 1
