"""`ImageStreamTransformer`: image events in LangGraph's event streams (`version="v3"`)."""

from __future__ import annotations

from typing import Any, cast

from langgraph.stream import ProtocolEvent, StreamChannel, StreamTransformer

from langchain_mistral_imagegen.events import PREFIX, ImageEvent


class ImageStreamTransformer(StreamTransformer):
    """Adds `run.images` to an event stream: the `ImageEvent`s of a graph and its subgraphs, in order.

    LangGraph's event streams (in beta) contain custom events only if a transformer requires them.

    Example:
        ```python
        from langgraph.checkpoint.memory import InMemorySaver
        from langchain_mistral_imagegen import create_image_graph
        from langchain_mistral_imagegen.langgraph.stream import ImageStreamTransformer

        graph = create_image_graph(model, image_store="memory://images").compile(checkpointer=InMemorySaver())
        question = {"messages": [("user", "Draw a boat.")]}
        thread = {"configurable": {"thread_id": "1"}}
        run = graph.stream_events(question, thread, version="v3", transformers=[ImageStreamTransformer])
        for event in run.images:
            print(event["type"], event.get("id"))
        ```
    """

    _native = True
    required_stream_modes = ("custom",)

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        """Collect the events of a graph and its subgraphs."""
        super().__init__(scope)
        self._events: StreamChannel[ImageEvent] = StreamChannel()

    def init(self) -> dict[str, Any]:
        """Return the projection, `images`."""
        return {"images": self._events}

    def process(self, event: ProtocolEvent) -> bool:
        """Add image events to the projection; all events stay in the stream."""
        data = event["params"]["data"]
        if event["method"] == "custom" and isinstance(data, dict) and str(data.get("type")).startswith(PREFIX):
            self._events.push(cast("ImageEvent", data))
        return True
