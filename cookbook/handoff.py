"""Handoff: an agent that only talks hands over to one that draws; Mistral runs the chain in one request.

Costs one image on the real API. Run: `python cookbook/handoff.py`. Without MISTRAL_API_KEY it uses the sandbox.
The agents are kept at Mistral: a second run finds them, and updates them if their settings here have changed.
"""

from contextlib import ExitStack

from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations


def main() -> None:
    """Make a host and a painter, and ask the host for an image."""
    with ExitStack() as stack:
        where = settings(stack)
        painter = ChatMistralConversations(
            instructions="You are a painter. Draw what is asked for with the image generation tool.", **where
        ).ensure_agent("Painter", description="Draws images. Hand over to it whenever an image is wanted.")
        host = ChatMistralConversations(
            tools=[], instructions="You are a friendly host. You cannot draw, but the painter can.", **where
        ).ensure_agent("Host", handoffs=[painter.agent_id])
        answer = host.invoke("Hand over to the painter: draw an orange cat on a red sofa.")
        for block in answer.content_blocks:
            if block["type"] == "non_standard" and block["value"]["type"] == "agent.handoff":
                print(block["value"]["previous_agent_name"], "handed over to", block["value"]["next_agent_name"])
        print(answer.text.strip())
        for image in host.images(answer):
            print(image.save("generated_images/cat"))


if __name__ == "__main__":
    main()
