"""Web search and an image in one conversation: look something up, name the sources, draw what was found.

Costs one web search and one image on the real API. Run: `python cookbook/search_and_draw.py`. Without MISTRAL_API_KEY
it uses the sandbox, which finds the same page whatever it looks for, and does not cite it.
"""

from contextlib import ExitStack

from langchain_core.messages import AIMessage, HumanMessage
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations


def sources(answer: AIMessage) -> list[str]:
    """Return the addresses that an answer cites."""
    notes = [note for block in answer.content_blocks for note in block.get("annotations", ())]
    return [note["url"] for note in notes if note["type"] == "citation" and "url" in note]


def main() -> None:
    """Search, then draw."""
    with ExitStack() as stack:
        tools = [{"type": "web_search"}, {"type": "image_generation"}]
        model = ChatMistralConversations(tools=tools, **settings(stack))
        question = HumanMessage("Search the web: which bird was chosen as bird of the year?")
        found = model.invoke([question])
        print(found.text.strip(), "Sources:", ", ".join(sources(found)) or "none cited")
        drawn = model.invoke([question, found, HumanMessage("Draw a portrait of this bird.")])
        for image in model.images(drawn):
            print(image.save("generated_images/bird"))
        for answer in (found, drawn):
            print("billed:", answer.response_metadata["connectors"])


if __name__ == "__main__":
    main()
