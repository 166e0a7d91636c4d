"""LangGraph: one node pays, another downloads; the state holds references, never pixels.

Costs two images on the real API. Run: `python cookbook/langgraph_download.py`. Without MISTRAL_API_KEY it uses the
sandbox. The second turn changes the image of the first, because its conversation is continued.
"""

from contextlib import ExitStack

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, ImageState, ToolFileNode


def main() -> None:
    """Draw an image and change it, in one thread of a graph."""
    store = FsspecImageStore("generated_images")
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        builder = StateGraph(ImageState)
        builder.add_node("draw", lambda state: {"messages": [model.invoke(state["messages"])]})
        builder.add_node("download", ToolFileNode(image_store=store, model=model))
        builder.add_edge(START, "draw")
        builder.add_edge("draw", "download")
        builder.add_edge("download", END)
        graph = builder.compile(checkpointer=InMemorySaver())
        thread = {"configurable": {"thread_id": "1"}}
        for prompt in ("Draw a red house in the sun.", "Make it night."):
            state = graph.invoke({"messages": [("user", prompt)]}, thread)
            print(state["messages"][-1].text.strip())
        for ref in state["images"].values():
            print(ref["status"], store.location(ref["key"]), f"{ref['width']}x{ref['height']} pixels")


if __name__ == "__main__":
    main()
