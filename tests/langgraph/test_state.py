"""The state stays small and merges in any order."""

from __future__ import annotations

import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from places import SUPPORT

from langchain_mistral_imagegen import create_image_graph, merge_images

TURNS = 20
IMAGE_BYTES = 1_500_000
ORDER = ["remote", "failed", "stored"]

ids = st.sampled_from(["a", "b", "c"])
refs = st.fixed_dictionaries(
    {"id": ids, "status": st.sampled_from(ORDER)},
    optional={
        "file_id": ids,
        "attempts": st.integers(1, 3),
        "error": st.text(max_size=3),
        "sha256": st.text("0f", min_size=1, max_size=2),
    },
)
updates = st.lists(refs, max_size=3).map(lambda found: {ref["id"]: ref for ref in found})


def merged(*parts: Any) -> dict[str, Any]:
    return functools.reduce(merge_images, parts, {})


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(updates, max_size=4))
def test_the_order_of_updates_does_not_matter(parts):
    outcomes = [merged(*order) for order in itertools.permutations(parts)]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(updates, updates, updates)
def test_the_grouping_and_number_of_updates_does_not_matter(one, two, three):
    assert merge_images(merge_images(one, two), three) == merge_images(one, merge_images(two, three))
    assert merge_images(merge_images(one, two), two) == merge_images(one, two)


@settings(max_examples=200, deadline=None)
@given(updates, updates)
def test_a_status_never_falls_and_nothing_is_lost(one, two):
    both = merge_images(one, two)
    assert both.keys() == one.keys() | two.keys()
    for image_id, ref in both.items():
        before = [part[image_id]["status"] for part in (one, two) if image_id in part]
        assert ref["status"] == max(before, key=ORDER.index)


def test_none_removes_a_reference():
    assert merge_images({"a": {"id": "a", "status": "remote"}}, {"a": None}) == {}


@contextmanager
def sqlite(_):
    with SqliteSaver.from_conn_string("checkpoints.db") as saver:
        yield saver


@contextmanager
def postgres(uri):
    with PostgresSaver.from_conn_string(uri) as saver:
        saver.setup()
        yield saver


def sqlite_bytes(_):
    return sum(part.stat().st_size for part in Path().glob("checkpoints.db*"))


def postgres_bytes(uri):
    tables = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'checkpoint%' AND relkind = 'r'"
    with psycopg.connect(uri) as connection:
        return connection.execute(tables).fetchone()[0]


@pytest.mark.slow
@pytest.mark.parametrize(("database", "size"), [(sqlite, sqlite_bytes), (postgres, postgres_bytes)])
def test_twenty_turns_with_an_image_each_cost_little(request, tmp_path, sandbox_process, make_model, database, size):
    """Less than 2 MB of checkpoints for 30 MB of images, and at most twice the processor time for the last turns."""
    behavior = json.dumps({"file_size": IMAGE_BYTES})
    model = make_model(base_url=sandbox_process, default_headers={"x-sandbox-behavior": behavior})
    thread, seconds = {"configurable": {"thread_id": "1"}}, []
    uri = request.getfixturevalue("postgres") if database is postgres else None
    with database(uri) as saver:
        graph = create_image_graph(model, image_store=str(tmp_path / "images")).compile(checkpointer=saver)
        for number in range(TURNS):
            before = time.process_time()
            state = graph.invoke({"messages": [HumanMessage(f"Draw cat number {number}.")]}, thread)
            seconds.append(time.process_time() - before)
    assert size(uri) < 2_000_000
    stored = [ref for ref in state["images"].values() if ref["status"] == "stored"]
    assert [len(stored), sum(ref["size_bytes"] for ref in stored)] == [TURNS, TURNS * IMAGE_BYTES]
    assert statistics.median(seconds[-5:]) <= 2 * statistics.median(seconds[:5]), seconds


@pytest.mark.slow
@pytest.mark.parametrize("strict", ["true", "false"])
def test_a_checkpoint_gives_no_warning_and_comes_back_as_it_was(tmp_path, sandbox, strict):
    code = f"""
import logging, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=ResourceWarning)
from pathlib import Path
from langgraph.checkpoint.sqlite import SqliteSaver
from killable_graph import THREAD, graph_of
with SqliteSaver.from_conn_string("checkpoints.db") as saver:
    graph = graph_of({sandbox.url!r}, Path("."), "never", saver)
    state = graph.invoke({{"messages": [("user", "Draw a cat.")]}}, THREAD)
    assert graph.get_state(THREAD).values == state, (graph.get_state(THREAD).values, state)
    print(len(state["images"]))
"""
    path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": strict, "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "1", "")
