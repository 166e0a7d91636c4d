"""A worker of `temporal_client.py`: all three nodes as activities, and heartbeats while an image is drawn.

Costs nothing by itself. Run: `python cookbook/temporal_client.py`, which starts two.
"""

import asyncio
import functools
from datetime import timedelta
from typing import Any

from langgraph.graph import START, StateGraph
from temporal_or_local import connected
from temporal_workflow import ApprovedImage
from temporalio import activity
from temporalio.langgraph import LangGraphPlugin
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from langchain_mistral_imagegen import (
    ApprovalNode,
    ChatMistralConversations,
    ConversationNode,
    ImageState,
    ToolFileNode,
)

NOTICED = timedelta(seconds=3)  # a worker that is silent for so long is dead, and another one takes its activity
ACTIVITY = {"execute_in": "activity", "start_to_close_timeout": timedelta(minutes=10), "heartbeat_timeout": NOTICED}


def beating(method: Any) -> Any:
    """Return a node's method that sends heartbeats while it runs."""

    @functools.wraps(method)
    async def node(*args: Any, **kwargs: Any) -> Any:
        running = asyncio.ensure_future(method(*args, **kwargs))
        try:
            while not (await asyncio.wait([running], timeout=NOTICED.total_seconds() / 3))[0]:
                activity.heartbeat()
        finally:
            running.cancel()  # if Temporal cancels the activity
        return await running

    return node


def image_graph(model: ChatMistralConversations) -> StateGraph:
    """Build the graph whose nodes are Temporal's activities; Temporal retries them."""
    builder = StateGraph(ImageState)
    builder.add_node("approve", beating(ApprovalNode(approved="draw").arun), metadata=dict(ACTIVITY))
    builder.add_node("draw", beating(ConversationNode(model).arun), metadata=dict(ACTIVITY))
    builder.add_node("download", beating(ToolFileNode(model=model).arun), metadata=dict(ACTIVITY))
    builder.add_edge(START, "approve")
    builder.add_edge("draw", "download")
    return builder


def work(address: str, queue: str, model: dict[str, Any]) -> None:
    """Work until the process ends."""
    asyncio.run(_work(address, queue, ChatMistralConversations(**{"timeout": 20, "answer_within": 20, **model})))


async def _work(address: str, queue: str, model: ChatMistralConversations) -> None:
    client = await connected(address, plugins=[LangGraphPlugin(graphs={"images": image_graph(model)})])
    options = {"sticky_queue_schedule_to_start_timeout": NOTICED, "workflow_runner": UnsandboxedWorkflowRunner()}
    await Worker(client, task_queue=queue, workflows=[ApprovedImage], **options).run()
