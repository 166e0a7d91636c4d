"""The workflow of `temporal_client.py`: a graph of all three nodes that waits for signals as long as it takes.

Costs one image on the real API. Run: `python cookbook/temporal_client.py`.
"""

from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from temporalio import workflow
from temporalio.langgraph import graph


@workflow.defn
class ApprovedImage:
    """Runs the graph, and waits for as many decisions as it takes."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._request: Any = None
        self._decisions: list[Any] = []

    @workflow.query
    def request(self) -> Any:
        """Return what a human should decide, or `None`."""
        return self._request

    @workflow.signal
    def decide(self, decision: Any) -> None:
        """Take a decision, as `ApprovalNode` understands it."""
        self._decisions.append(decision)

    @workflow.run
    async def run(self, prompt: str) -> dict[str, Any]:
        """Return the references to the images, by id."""
        images = graph("images").compile(checkpointer=InMemorySaver())  # built anew from Temporal's history
        thread = {"configurable": {"thread_id": workflow.info().workflow_id}}
        given: Any = {"messages": [{"type": "human", "content": prompt, "id": "prompt"}]}
        while waiting := (state := await images.ainvoke(given, thread)).get("__interrupt__"):
            self._request = waiting[0].value
            await workflow.wait_condition(lambda: bool(self._decisions))
            self._request, given = None, Command(resume=self._decisions.pop(0))
        return state.get("images", {})
