"""Several workers on one queue in PostgreSQL, one of them killed: every image is stored once and paid for once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import postgres_workers
import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from places import COOKBOOK, SUPPORT, stored_images

from langchain_mistral_imagegen import create_image_graph
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

WORK = """
import importlib, sys
program, database, server, name = sys.argv[1:]
settings = {"base_url": server, "api_key": "k", "default_headers": {"x-worker": name}}
importlib.import_module(program).work(database, settings)
"""
ANIMALS = ["bee", "cat", "dog", "fox", "hen", "owl"]


def start(program: str, *args: str) -> subprocess.Popen[str]:
    """Start a worker in a process of its own."""
    path = os.pathsep.join([str(COOKBOOK), str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", WORK, program, *args]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)


def wait_for(look) -> Any:
    end = time.monotonic() + 90
    while not (found := look()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def first_in(sandbox: Sandbox, moment: str) -> Any:
    """Return the first request that is being drawn or downloaded."""
    if moment == "in the call":
        return next((request for request in sandbox.waiting if request.method == "POST"), None)
    return next((request for request in sandbox.requests if request.path.endswith("/content")), None)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["in the call", "in the download"])
@pytest.mark.parametrize("program", ["postgres_workers", "async_worker"])
@pytest.mark.parametrize("attempt", range(2))
def test_each_image_is_paid_for_once(postgres, sandbox, make_model, moment, program, attempt):
    sandbox.behavior = Behavior(on="any", file_size=300_000)
    sandbox.behave(Behavior(delay=3) if moment == "in the call" else Behavior(on="download", pace=1))
    postgres_workers.fill(postgres, *ANIMALS)
    workers = [start(program, postgres, sandbox.url, name) for name in "012"]
    victim = int(wait_for(lambda: first_in(sandbox, moment)).headers["x-worker"])
    workers[victim].kill()
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode == -signal.SIGKILL for worker in workers] == [place == victim for place in range(3)]
    assert "".join(outputs).count("resumed") == 1

    wait_for(lambda: not sandbox.waiting)  # what the killed worker has asked for is drawn all the same
    store = Path("generated_images")
    assert (sandbox.paid, len(stored_images(store))) == (6, 6)
    with psycopg.connect(postgres) as queue, PostgresSaver.from_conn_string(postgres) as saver:
        assert queue.execute("SELECT count(*) FROM image_jobs WHERE done").fetchone() == (6,)
        graph = create_image_graph(make_model()).compile(checkpointer=saver)
        for animal in ANIMALS:
            (ref,) = graph.get_state({"configurable": {"thread_id": animal}}).values["images"].values()
            assert (ref["status"], (store / ref["key"]).stat().st_size) == ("stored", ref["size_bytes"])
