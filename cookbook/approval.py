"""Approval: a human sees each prompt before an image is paid for, and approves, changes or refuses it.

Costs two images on the real API. Run: `python cookbook/approval.py`. Without MISTRAL_API_KEY it uses the sandbox.
`approve=True` puts an `ApprovalNode` before the node that pays. It interrupts the graph, for seconds or for days; with
a checkpointer in a database, another process may resume it.
"""

from contextlib import ExitStack

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, create_image_graph

DECISIONS = {  # what a human would answer
    "Draw a cat.": {"approve": True},
    "Draw a dog.": {"approve": True, "prompt": "Draw a small dog, as a pencil sketch."},
    "Draw the mayor as a clown.": {"approve": False, "reason": "no images of real people"},
}


def main() -> None:
    """Ask for three images, and decide on each."""
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        graph = create_image_graph(model, image_store="generated_images", approve=True).compile(
            checkpointer=InMemorySaver()
        )
        for prompt, decision in DECISIONS.items():
            thread = {"configurable": {"thread_id": prompt}}
            (waiting,) = graph.invoke({"messages": [("user", prompt)]}, thread)["__interrupt__"]
            print("May it be drawn?", waiting.value["prompt"], decision)
            state = graph.invoke(Command(resume=decision), thread)
            print(state["messages"][-1].text.strip(), f"({len(state['images'])} stored)")


if __name__ == "__main__":
    main()
