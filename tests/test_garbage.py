"""Garbage goes; what any thread, fork or unfinished run refers to stays."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.stores import InMemoryByteStore
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from langchain_mistral_imagegen import (
    ByteStoreImageStore,
    FsspecImageStore,
    ImageState,
    ToolFileNode,
    create_image_graph,
)
from langchain_mistral_imagegen._ledger.records import Answered, Asking, See, Void, write_record
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.garbage import acollect_garbage, alive_images, collect_garbage, live_images
from langchain_mistral_imagegen.sandbox import Behavior

WEEK = timedelta(days=7)


def key_of(digit: str) -> str:
    return f"{digit * 2}/{digit * 64}.jpg"


A, B, C = map(key_of, "abc")


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


def put(store: FsspecImageStore, *keys: str, days_ago: float = 0) -> None:
    source = Path("image")
    for key in keys:
        source.write_text(key)
        store.put(source, key)
        source.unlink()
        when = time.time() - days_ago * 86_400
        os.utime(store.location(key), (when, when))


def test_thumbnails_go_with_their_images(store):
    small = [f"_thumbnails/128/{key}" for key in (A, B)]
    put(store, A, B, *small, "_thumbnails/x", days_ago=8)
    assert sorted(collect_garbage(store, [A], grace=WEEK)) == sorted([B, small[1]])


def test_what_is_old_and_not_live_goes(store):
    put(store, A, B, days_ago=8)
    put(store, C)
    assert collect_garbage(store, [{"id": "f", "status": "stored", "key": A}], grace=WEEK) == [B]
    assert sorted(store.all_keys()) == [A, C]
    assert collect_garbage(store.root, [A], grace=timedelta(0)) == [C]


def test_what_is_not_ours_or_named_otherwise_stays(store):
    mine = ["holiday.jpg", "orange-cat-0427b4.jpg", "aa/notes.txt", f"deeper/{A}"]
    left_behind = [".incoming-0123456789abcdef", ".incoming-0123456789abcdef.jpg", f"_ledger/k/.incoming-{'0' * 16}"]
    put(store, *mine, *left_behind, days_ago=8)
    assert sorted(collect_garbage(store, [], grace=WEEK)) == sorted(left_behind)
    assert sorted(store.all_keys()) == sorted(mine)


def test_finished_chains_of_the_ledger_go_when_they_are_old_and_others_stay(store):
    for name, *records in (
        ("finished", Asking(), Answered(answer={})),
        ("alias", See(key="finished")),
        ("young", Asking(), Answered(answer={})),
        ("asking", Answered(answer={}), Asking()),
        ("void", Asking(), Void()),
        ("elsewhere", See(key="asking")),
    ):
        for number, record in enumerate(records):
            Path("record").write_bytes(write_record(record))
            store.put(Path("record"), f"_ledger/{name}/{number}.json")
            Path("record").unlink()
            when = time.time() - (1 if name == "young" else 31) * 24 * 60 * 60
            os.utime(store.location(f"_ledger/{name}/{number}.json"), (when, when))
    gone = ["_ledger/alias/0.json", "_ledger/finished/0.json", "_ledger/finished/1.json"]
    assert sorted(collect_garbage(store, [], grace=WEEK)) == gone
    assert not any(key in gone for key in store.all_keys())


def test_an_image_that_comes_back_into_use_meanwhile_stays(store):
    put(store, A, days_ago=8)

    def live():
        put(store, A)  # by another process, which then refers to it in a checkpoint that has been read already
        yield B

    assert collect_garbage(store, live(), grace=WEEK) == []
    assert list(store.all_keys()) == [A]


def test_garbage_of_an_object_store(s3_store):
    Path("image").write_text("x")
    for key in (A, B, "cat.jpg"):
        s3_store.put(Path("image"), key)
    assert collect_garbage(s3_store, [A], grace=timedelta(seconds=-2)) == [B]
    assert sorted(s3_store.all_keys()) == [A, "cat.jpg"]


def test_an_empty_list_of_what_is_live_was_probably_not_meant(store):
    put(store, A, days_ago=8)
    with pytest.raises(InvalidInputError, match=r"`live` names no image, so all images in .*images"):
        collect_garbage(store, iter([]), grace=WEEK)
    assert list(store.all_keys()) == [A]


def test_what_is_deleted_by_somebody_else_meanwhile_is_no_error(store):
    put(store, A, B, days_ago=8)

    def live():
        store.delete(A)
        store.delete(A)
        yield C

    assert collect_garbage(store, live(), grace=WEEK) == [B]


def images(store: FsspecImageStore) -> int:
    return sum(key.endswith(".jpg") for key in store.all_keys())


def test_nothing_goes_that_any_thread_or_fork_refers_to(store, make_model, tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        graph = create_image_graph(make_model(), image_store=store).compile(checkpointer=saver)
        threads = [{"configurable": {"thread_id": name}} for name in ("one", "two")]
        for thread, animals in zip(threads, (["cat", "dog"], ["cat", "owl"]), strict=True):
            for animal in animals:
                state = graph.invoke({"messages": [HumanMessage(f"Draw a {animal}.")]}, thread)
        graph.update_state(threads[1], {"images": dict.fromkeys(state["images"])})  # only older checkpoints have them
        collect_garbage(store, live_images(saver), grace=timedelta(0))
        assert images(store) == 3
        saver.delete_thread("two")
        assert len(collect_garbage(store, live_images(saver), grace=timedelta(0))) == 1  # the owl; the cat is shared
        saver.delete_thread("one")
        with pytest.raises(InvalidInputError):
            collect_garbage(store, live_images(saver), grace=timedelta(0))


def test_what_an_unfinished_step_has_written_is_live(store, make_model, sandbox):
    """Of two tasks in one step, one fails: the other one's references are pending writes, in no channel yet."""
    written = threading.Event()

    class NoticingSaver(InMemorySaver):
        def put_writes(self, config, writes, *more):
            super().put_writes(config, writes, *more)
            if "images" in dict(writes):
                written.set()

    saver, node = NoticingSaver(), ToolFileNode(image_store=store, model=make_model(max_retries=0))
    sandbox.behave(Behavior(images=2))
    answer = make_model().invoke("Draw two cats.")

    def fail(_):
        assert written.wait(60)
        raise RuntimeError("gone")

    builder = StateGraph(ImageState)
    builder.add_node("download", node)
    builder.add_node("fail", fail)
    builder.add_conditional_edges(START, lambda _: [Send("download", {"messages": [answer]}), Send("fail", {})])
    graph = builder.compile(checkpointer=saver)
    with pytest.raises(RuntimeError, match="gone"):
        graph.invoke({"messages": []}, {"configurable": {"thread_id": "1"}})
    assert len(list(live_images(saver))) == 2
    assert collect_garbage(store, live_images(saver), grace=timedelta(0)) == []
    assert images(store) == 2


def test_references_are_found_wherever_they_are():
    def ref(digit):
        return {"id": digit, "status": "stored", "key": key_of(digit)}

    def state(_):
        artifact = {"images": [ref("b")]}
        return {"messages": [ToolMessage("drawn", tool_call_id="1", artifact=artifact)], "images": {"a": ref("a")}}

    saver = InMemorySaver()
    builder = StateGraph(ImageState)
    builder.add_node("write", state)
    builder.add_node("stop", lambda _: {})
    builder.add_edge(START, "write")
    builder.add_conditional_edges("write", lambda _: [Send("stop", {"images": {"c": ref("c")}})])
    builder.compile(checkpointer=saver, interrupt_before=["stop"]).invoke(
        {"messages": []}, {"configurable": {"thread_id": "1"}}
    )
    assert {found["key"] for found in live_images(saver)} == {A, B, C}


def test_a_store_that_cannot_list_its_keys_is_refused():
    with pytest.raises(InvalidInputError, match="ByteStoreImageStore cannot be cleaned up, because it cannot list"):
        collect_garbage(ByteStoreImageStore(InMemoryByteStore()), [A])


def test_another_store_that_can_list_its_keys_is_cleaned_up(store):
    class Wrapped:
        """A store of somebody's own, with the methods of `ListableStore`."""

        def __init__(self):
            for name in ("put", "get", "delete", "location", "temporary_folder", "all_keys", "modified"):
                setattr(self, name, getattr(store, name))

    put(store, A, B)
    assert collect_garbage(Wrapped(), [A], grace=timedelta(seconds=-2)) == [B]


async def test_an_asynchronous_checkpointer_names_what_is_live(store, model):
    put(store, A, days_ago=8)
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        graph = create_image_graph(model, image_store=store).compile(checkpointer=saver)
        thread = {"configurable": {"thread_id": "1"}}
        state = await graph.ainvoke({"messages": [("user", "Draw a boat.")]}, thread)
        (ref,) = state["images"].values()
        os.utime(store.location(ref["key"]), (0, 0))
        assert ref["key"] in {one["key"] async for one in alive_images(saver)}
        assert await acollect_garbage(store, alive_images(saver), dry_run=True) == [A]
        assert A in store.all_keys()
        assert await acollect_garbage(store, alive_images(saver)) == [A]
    assert A not in store.all_keys()
    assert ref["key"] in store.all_keys()


def test_a_dry_run_deletes_nothing(store):
    put(store, A, B, days_ago=8)
    assert collect_garbage(store, [B], dry_run=True) == [A]
    assert set(store.all_keys()) == {A, B}
