"""What a folder records, and what is left in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_mistral_imagegen import create_image_graph


def test_recent_lists_the_last_runs_first_with_whole_paths(command, sandbox, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    for animal in ("cat", "dog", "fox"):
        command(f"Draw a {animal} on a very long roof in the rain.", server=sandbox)
    done = command("recent", "-n", "2")
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert done.returncode == 0
    assert [re.search("dog|fox|cat", head)[0] for head in heads] == ["fox", "dog"]
    assert max(map(len, heads)) <= 40
    paths = re.findall(r"^  (generated_images/\S+\.jpg)$", done.stdout, re.MULTILINE)
    assert [Path(path).exists() for path in paths] == [True, True]
    assert done.stdout.count("conv_") == 2


def test_a_folder_without_a_manifest_has_no_recent_runs(command):
    assert command("recent", "-o", "nowhere").returncode == 1
    assert command("recent", "-o", "memory://x").returncode == 2


@pytest.fixture
def old_store(tmp_path, make_model):
    """A store with an image that a checkpoint refers to, one that none refers to, and what a killed process left."""
    store = tmp_path / "store"
    with SqliteSaver.from_conn_string(str(tmp_path / "c.sqlite")) as saver:
        graph = create_image_graph(make_model(), image_store=str(store)).compile(checkpointer=saver)
        graph.invoke({"messages": [("user", "Draw a cat.")]}, {"configurable": {"thread_id": "1"}})
    (kept,) = store.rglob("*.jpg")
    (store / "00").mkdir(exist_ok=True)
    dead = store / "00" / f"{'0' * 64}.jpg"
    dead.write_bytes(kept.read_bytes())
    left = store / f".incoming-{'0' * 16}"
    left.touch()
    for path in (kept, dead, left):
        os.utime(path, (0, 0))
    return store, kept, dead, left


def test_garbage_is_listed_and_deleted_only_when_asked(command, old_store):
    _, kept, dead, left = old_store
    listed = command("gc", "-o", "store")
    assert listed.stdout == f"{left}\n"  # without checkpoints, every image may be in use
    assert "1 file would be deleted with --delete." in listed.stderr
    both = command("gc", "-o", "store", "--checkpoints", "c.sqlite")
    assert sorted(both.stdout.splitlines()) == sorted([str(left), str(dead)])
    assert all(path.exists() for path in (kept, dead, left))
    deleted = command("gc", "-o", "store", "--checkpoints", "c.sqlite", "--delete")
    assert "2 files deleted." in deleted.stderr
    assert [path.exists() for path in (kept, dead, left)] == [True, False, False]


def test_checkpoints_that_are_not_there_are_no_reason_to_delete_everything(command, old_store):
    done = command("gc", "-o", "store", "--checkpoints", "nowhere.sqlite", "--delete")
    assert (done.returncode, all(path.exists() for path in old_store[1:])) == (2, True)
