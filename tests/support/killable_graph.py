"""A program that is killed: draws images in a graph with a SQLite checkpointer; run again, it resumes.

Usage: killable_graph.py URL FOLDER DURABILITY MOMENT
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    ConversationNode,
    FsspecImageStore,
    ImageState,
    ToolFileNode,
)

THREAD: Any = {"configurable": {"thread_id": "1"}}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingNode(ConversationNode):
    """Dies right after it has paid."""

    def run(self, state: Any, config: Any) -> Any:
        super().run(state, config)
        die()


class DyingDownload(ToolFileNode):
    """Dies at its first line."""

    def run(self, state: Any) -> Any:
        die()


def graph_of(url: str, folder: Path, moment: str, checkpointer: Any, **settings: Any) -> Any:
    model = ChatMistralConversations(base_url=url, api_key="k", max_retries=0, timeout=10, answer_within=5, **settings)
    store = FsspecImageStore(str(folder / "images"))
    draw = DyingNode if moment == "after the call" else ConversationNode
    download = DyingDownload if moment == "before the download" else ToolFileNode
    builder = StateGraph(ImageState)
    builder.add_node("draw", draw(model, image_store=store))
    builder.add_node("download", download(image_store=store, model=model))
    builder.add_edge(START, "draw")
    builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    return builder.compile(checkpointer=checkpointer)


def main(url: str, folder: str, durability: Any, moment: str) -> None:
    with SqliteSaver.from_conn_string(f"{folder}/checkpoints.db") as checkpointer:
        graph = graph_of(url, Path(folder), moment, checkpointer)
        is_new = not graph.get_state(THREAD).values
        question = {"messages": [HumanMessage("Draw three cats.", id="question")]}
        state = graph.invoke(question if is_new else None, THREAD, durability=durability)
        print([ref["status"] for ref in state["images"].values()])


if __name__ == "__main__":
    main(*sys.argv[1:])
