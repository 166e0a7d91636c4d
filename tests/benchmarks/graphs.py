"""Graphs: what our nodes cost beside nodes that do the same work by hand, and how large the checkpoints get."""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from measure import Row, Times, interleaved, medians
from server import Address
from turns import ours

from langchain_mistral_imagegen import ChatMistralConversations, ConversationNode, ImageState, ToolFileNode, images_of


class Graphs:
    """Runs threads of some turns, each with a new image, through graphs of two nodes."""

    def __init__(self, url: str, folder: Path, turns: int) -> None:
        self._url = url
        self._folder = folder
        self._turns = turns
        self._http = httpx.Client()
        self._numbers = itertools.count()
        self.model: ChatMistralConversations = ours(url)

    def draw(self, state: Any) -> Any:
        return {"messages": [self.model.invoke(state["messages"])]}

    def fetch(self, state: Any) -> Any:
        """Download, hash and fsync the last message's image, and know nothing of it."""
        (ref,) = images_of(state["messages"][-1])
        target = self._folder / ref["id"]
        digest = hashlib.sha256()
        with (
            self._http.stream("GET", f"{self._url}/v1/files/{ref['file_id']}/content") as response,
            target.open("xb") as file,
        ):
            for piece in response.iter_bytes(256 * 1024):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        target.rename(target.with_name(digest.hexdigest()))
        return {}

    def thread(self, draw: Any, download: Any) -> Callable[[], int]:
        """Return what runs a thread and reports the size of its checkpoints."""
        builder = StateGraph(ImageState)
        builder.add_node("draw", draw)
        builder.add_node("download", download)
        builder.add_edge(START, "draw")
        builder.add_edge("draw", "download")
        builder.add_edge("download", END)

        def run() -> int:
            database = self._folder / f"{next(self._numbers)}.sqlite"
            with SqliteSaver.from_conn_string(str(database)) as saver:
                graph = builder.compile(checkpointer=saver)
                for _ in range(self._turns):
                    graph.invoke({"messages": [("user", "Another cat.")]}, {"configurable": {"thread_id": "1"}})
            return database.stat().st_size

        return run


def turns(server: Address, rounds: int, count: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        graphs = Graphs(server.url(), Path(folder), count)
        conversation = ConversationNode(graphs.model, image_store=f"{folder}/store")
        download = ToolFileNode(image_store=f"{folder}/store", model=graphs.model)
        times = interleaved(
            {
                "by hand": graphs.thread(graphs.draw, graphs.fetch),
                "ConversationNode": graphs.thread(conversation, graphs.fetch),
                "ToolFileNode": graphs.thread(graphs.draw, download),
            },
            rounds,
        )
        sizes = {
            "ours": graphs.thread(conversation, download)() / 1e6,
            "the messages alone": graphs.thread(graphs.draw, graphs.fetch)() / 1e6,
        }
    details = {"medians": medians(times, 1e3 / count), "each": "ms of CPU for a turn"}
    for node in ("ConversationNode", "ToolFileNode"):
        yield Row(
            what=f"`{node}`, beyond its work by hand",
            target=2,
            measured=_extra(times, node, count),
            unit="ms",
            **details,
        )
    yield Row(
        what=f"checkpoints of {count} turns", target=1.45, measured=sizes["ours"], unit="MB", medians=sizes, each="MB"
    )


def _extra(times: Times, node: str, count: int) -> float:
    differences = [a - b for a, b in zip(times[node], times["by hand"], strict=True)]
    return sorted(differences)[len(differences) // 2] * 1e3 / count
