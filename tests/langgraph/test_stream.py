"""`run.images` in LangGraph's event streams, and the same events in the older kinds of streams."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from langchain_mistral_imagegen import ImageState, create_image_graph
from langchain_mistral_imagegen.langgraph.stream import ImageStreamTransformer

THREAD = {"configurable": {"thread_id": "1"}}
ASKED = {"messages": [("user", "Draw a boat.")]}
KINDS = ["generating", "generated", "download", "stored"]


def kinds(events):
    return [event["type"].removeprefix("mistral.image.") for event in events]


def graphs(model):
    inner = create_image_graph(model, image_store="memory://images")
    outer = StateGraph(ImageState).add_node("inner", inner.compile()).add_edge(START, "inner")
    return {"graph": inner, "subgraph": outer}


@pytest.fixture(params=["graph", "subgraph"])
def graph(request, model):
    return graphs(model)[request.param].compile(checkpointer=InMemorySaver())


async def test_an_event_stream_has_the_images(face, graph):
    options = {"version": "v3", "transformers": [ImageStreamTransformer]}
    if face.is_async:
        run = await graph.astream_events(ASKED, THREAD, **options)
        events = [event async for event in run.images]
    else:
        events = list(graph.stream_events(ASKED, THREAD, **options).images)
    assert kinds(events) == KINDS
    assert [ref["status"] for ref in graph.get_state(THREAD).values["images"].values()] == ["stored"]


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_other_streams_have_them_as_custom_parts(face, graph, version):
    options = {"config": THREAD, "stream_mode": ["custom", "updates"], "subgraphs": True, "version": version}
    parts = await face.chunks(graph, ASKED, **options)
    custom = [
        part["data"] if version == "v2" else part[-1]
        for part in parts
        if "custom" in (part["type"] if version == "v2" else part)
    ]
    assert kinds(custom) == KINDS
