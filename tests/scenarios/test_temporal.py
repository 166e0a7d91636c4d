"""The nodes as Temporal activities: `temporalio-langgraph` takes their methods, and the state stays small.

Only the workflow is missing here, which needs a Temporal server: each activity is run by itself, and what goes into it
and comes out of it passes through Temporal's data converter.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import get_type_hints

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.langgraph import LangGraphPlugin
from temporalio.testing import ActivityEnvironment

from langchain_mistral_imagegen import (
    ConversationNode,
    FsspecImageStore,
    ImageState,
    ToolFileNode,
    create_image_graph,
    images_of,
    merge_images,
)
from langchain_mistral_imagegen.sandbox import Behavior

pytestmark = pytest.mark.filterwarnings("ignore:The `dict` method:DeprecationWarning")  # Temporal's default converter
IN_ACTIVITY = {"execute_in": "activity", "start_to_close_timeout": timedelta(minutes=10)}
QUESTION = HumanMessage("Draw a boat.", id="1")


class Worker:
    """Runs nodes as a worker does: state and update cross the border as JSON."""

    def __init__(self, builder, converter) -> None:
        activities = LangGraphPlugin(graphs={"images": builder}).activities
        self._activities = dict(zip(builder.nodes, activities, strict=True))
        self._accepted = {name: set(node.runnable.func_accepts) for name, node in builder.nodes.items()}
        self._converter = converter.payload_converter
        self.largest = 0

    def _crossed(self, value, kind):
        payloads = self._converter.to_payloads([value])
        self.largest = max(self.largest, *(payload.ByteSize() for payload in payloads))
        return self._converter.from_payloads(payloads, [kind])[0]

    async def run(self, node, state, task):
        """Run one node and return its update, as the workflow sees it."""
        activity = self._activities[node]
        hints = get_type_hints(activity)
        config = {"configurable": {"thread_id": "1", "checkpoint_ns": f"{node}:{task}"}}
        given = {"config": config} if "config" in self._accepted[node] else {}
        asked = hints["input"](args=(state,), kwargs=given, langgraph_config=config)
        answer = await ActivityEnvironment().run(activity, self._crossed(asked, hints["input"]))
        return self._crossed(answer, hints["return"]).result

    async def turn(self, state, task):
        """Draw and download, with the reducers in between."""
        drawn = await self.run("draw", state, task)
        state = {**state, "messages": add_messages(state["messages"], drawn["messages"])}
        stored = await self.run("download", state, task)
        return {**state, "images": merge_images(state["images"], stored["images"])}


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


@pytest.fixture(params=["pydantic", "default"])
def worker(request, face, model, store):
    method = "arun" if face.is_async else "run"
    builder = StateGraph(ImageState)
    builder.add_node("draw", getattr(ConversationNode(model, image_store=store), method), metadata=IN_ACTIVITY)
    builder.add_node("download", getattr(ToolFileNode(image_store=store, model=model), method), metadata=IN_ACTIVITY)
    builder.add_edge(START, "draw")
    builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    return Worker(builder, pydantic_data_converter if request.param == "pydantic" else DataConverter.default)


async def test_a_turn_with_a_large_image_stays_small(worker, sandbox, store):
    sandbox.behavior = Behavior(on="any", file_size=1_500_000)
    state = await worker.turn({"messages": [QUESTION], "images": {}}, "a")
    (ref,) = state["images"].values()
    assert (ref["status"], ref["size_bytes"]) == ("stored", 1_500_000)
    assert hashlib.sha256(store.get(ref["key"])).hexdigest() == ref["sha256"]
    assert worker.largest < 10_000, "Temporal's limit is 2 MB"


async def test_the_conversation_goes_on(worker, sandbox):
    state = await worker.turn({"messages": [QUESTION], "images": {}}, "a")
    asked = add_messages(state["messages"], [HumanMessage("Make it blue.", id="2")])
    state = await worker.turn({**state, "messages": asked}, "b")
    assert isinstance(state["messages"][-1], AIMessage)
    assert len({ref["conversation_id"] for ref in images_of(state["messages"])}) == 1
    assert [ref["status"] for ref in state["images"].values()] == ["stored", "stored"]


async def test_an_activity_that_is_retried_pays_once(worker, sandbox):
    state = {"messages": [QUESTION], "images": {}}
    first, again = [await worker.run("draw", state, "a") for _ in range(2)]
    assert first["messages"][0]["content"] == again["messages"][0]["content"]
    assert sandbox.paid == 1


def test_the_wired_graph_is_not_for_temporal(model, store):
    with pytest.raises(ValueError, match="retry_policy"):
        LangGraphPlugin(graphs={"images": create_image_graph(model, image_store=store)})
