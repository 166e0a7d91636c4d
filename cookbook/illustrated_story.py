"""An illustrated story: a node writes, a node per paragraph draws, a node makes an HTML page of it.

Costs three images on the real API, and some text. Run: `python cookbook/illustrated_story.py`. Without
MISTRAL_API_KEY it uses the sandbox, whose paragraphs are single words of the topic. The page refers to the images.
"""

import html
import operator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from pydantic import BaseModel, Field
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool

FOLDER = Path("generated_images")
FIGURE = '<img src="{}" width="512"><p>{}</p>\n'


class Story(BaseModel):
    """A story for children."""

    paragraphs: list[str] = Field(min_length=3, max_length=3)


class StoryState(TypedDict, total=False):
    """What the nodes share: keys of images, by the paragraph's number; no bytes."""

    topic: str
    paragraphs: list[str]
    images: Annotated[dict[int, str], operator.or_]


def main() -> None:
    """Write and illustrate a story."""
    with ExitStack() as stack:
        where = settings(stack)
        writer = ChatMistralConversations(tools=[], **where).with_structured_output(Story)
        model = ChatMistralConversations(**where)
        painter = MistralImageGenerationTool(model=model, image_store=str(FOLDER), style="watercolour, soft light")

        def write(state: StoryState) -> Command:
            texts = writer.invoke(f"Tell a story of {state['topic']}.").paragraphs
            return Command(update={"paragraphs": texts}, goto=[Send("draw", scene) for scene in enumerate(texts)])

        def draw(scene: tuple[int, str]) -> StoryState:
            return {"images": {scene[0]: painter.generate(scene[1])["images"][0]["key"]}}

        def publish(state: StoryState) -> None:
            texts, keys = state["paragraphs"], state["images"]
            page = [FIGURE.format(keys[number], html.escape(text)) for number, text in enumerate(texts)]
            (FOLDER / "story.html").write_text("".join(page), encoding="utf-8")

        builder = StateGraph(StoryState).add_node(write, destinations=("draw",)).add_node(draw).add_node(publish)
        builder.add_edge(START, "write").add_edge("draw", "publish").add_edge("publish", END)
        state = builder.compile().invoke({"topic": "a Lighthouse, a Storm and a Whale"})
        print(*state["paragraphs"], FOLDER / "story.html")


if __name__ == "__main__":
    main()
