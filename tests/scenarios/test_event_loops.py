"""The nodes on event loops: nothing blocks them, several may follow each other, and cancelling leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from pathlib import Path

import blockbuster
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, create_image_graph
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

ASKED = {"messages": [("user", "Draw a boat.")]}


def thread(name):
    return {"configurable": {"thread_id": name}}


async def test_nothing_blocks_the_event_loop(sandbox_process, tmp_path):
    model = ChatMistralConversations(base_url=sandbox_process, api_key="k")
    graph = create_image_graph(model, image_store=str(tmp_path)).compile(checkpointer=InMemorySaver())
    await graph.ainvoke(ASKED, thread("first"))  # what is imported when first needed blocks once
    with blockbuster.blockbuster_ctx("langchain_mistral_imagegen"):
        with pytest.raises(blockbuster.BlockingError):
            FsspecImageStore(str(tmp_path)).put(tmp_path, "the/watch/works")
        state = await graph.ainvoke(ASKED, thread("second"))
        async for _ in graph.astream({"messages": [("user", "Now blue.")]}, thread("second"), stream_mode="messages"):
            pass
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    model.close()
    await model.aclose()


def test_one_event_loop_may_follow_another(sandbox, tmp_path):
    model = ChatMistralConversations(base_url=sandbox.url, api_key="k")
    graph = create_image_graph(model, image_store=str(tmp_path)).compile(checkpointer=InMemorySaver())

    async def turn(prompt):
        state = await graph.ainvoke({"messages": [("user", prompt)]}, thread("1"))
        await model.aclose()
        return [ref["status"] for ref in state["images"].values()]

    assert asyncio.run(turn("Draw a boat.")) == ["stored"]
    assert asyncio.run(turn("Make it blue.")) == ["stored", "stored"]
    assert sandbox.paid == 2


async def until(condition, running):
    while not condition():
        assert not running.done(), running.result()
        await asyncio.sleep(0)


async def test_a_cancelled_download_leaves_nothing_and_is_taken_up_again(sandbox: Sandbox, make_model, tmp_path):
    graph = create_image_graph(make_model(), image_store=FsspecImageStore(str(tmp_path))).compile(
        checkpointer=InMemorySaver()
    )
    sandbox.behave(Behavior(images=2, file_size=5_000_000))
    sandbox.behavior = Behavior(on="download", pace=0.05)

    def arriving():
        return list(tmp_path.glob(".incoming-*"))

    before = asyncio.all_tasks()
    running = asyncio.create_task(graph.ainvoke(ASKED, thread("1")))
    await until(lambda: len(arriving()) == 2, running)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (list(tmp_path.rglob(".incoming-*")), list(tmp_path.rglob("*.jpg"))) == ([], [])
    assert asyncio.all_tasks() == before
    sandbox.behavior = Behavior()
    state = await graph.ainvoke(None, thread("1"))
    assert [ref["status"] for ref in state["images"].values()] == ["stored", "stored"]
    assert sandbox.paid == 2


@pytest.mark.slow
async def test_a_cancelled_answer_is_adopted_when_the_graph_goes_on(sandbox: Sandbox, make_model, tmp_path):
    graph = create_image_graph(make_model(), image_store=str(tmp_path)).compile(checkpointer=InMemorySaver())
    sandbox.behave(Behavior(delay=1))
    running = asyncio.create_task(graph.ainvoke(ASKED, thread("1")))
    await until(lambda: sandbox.waiting, running)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    state = await graph.ainvoke(None, thread("1"))
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert sandbox.paid == 1


@pytest.mark.slow
def test_a_short_script_ends_without_a_word(sandbox, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script = tmp_path / "script.py"
        script.write_text(
            "import asyncio\n"
            "from langchain_mistral_imagegen import ChatMistralConversations, create_image_graph\n"
            f"model = ChatMistralConversations(base_url={sandbox.url!r}, api_key='k')\n"
            "graph = create_image_graph(model, image_store='images').compile()\n"
            f"print(len(asyncio.run(graph.ainvoke({ASKED!r}))['images']))\n"
        )
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        gc.collect()
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert Path("images").is_dir()
