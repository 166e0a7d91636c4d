"""A vision loop: draw, let a vision model judge the image, and refine it until it is good enough.

Costs up to three images on the real API, and some text. Run: `python cookbook/vision_loop.py`. Without
MISTRAL_API_KEY it uses the sandbox, whose judge is never content and always gives the same advice.
"""

from contextlib import ExitStack

from langchain_core.messages import HumanMessage
from pydantic import BaseModel, Field
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, GeneratedImage

QUESTION = """Judge this image as the cover of a children's book.
Name the one change that would help most, such as "add a lighthouse"."""
GOOD_ENOUGH, MOST_ROUNDS = 4, 3


class Verdict(BaseModel):
    """The judge's answer."""

    score: int = Field(ge=1, le=5, description="1 is unusable, 5 is perfect")
    advice: str = Field(description="The change, as an instruction to the painter")


def show(image: GeneratedImage) -> list[HumanMessage]:
    """Ask about an image."""
    return [HumanMessage([{"type": "text", "text": QUESTION}, image.content_block()])]


def main() -> None:
    """Draw a cover until the judge likes it, three times at most."""
    with ExitStack() as stack:
        where = settings(stack)
        painter = ChatMistralConversations(**where)
        judge = ChatMistralConversations(tools=[], **where).with_structured_output(Verdict)
        history = [HumanMessage("Draw a whale in a storm, watercolour.")]
        for number in range(1, MOST_ROUNDS + 1):
            answer = painter.invoke(history)
            (image,) = painter.images(answer)
            verdict = judge.invoke(show(image))
            print(f"{image.save(f'generated_images/cover-{number}')}: {verdict.score} of 5; {verdict.advice}")
            if verdict.score >= GOOD_ENOUGH:
                break
            history += [answer, HumanMessage(f"Now, {verdict.advice}.")]


if __name__ == "__main__":
    main()
