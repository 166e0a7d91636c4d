"""Several turns: refine an image, then go back to an earlier one and refine it differently.

Costs four images on the real API. Run: `python cookbook/several_turns.py`. Without MISTRAL_API_KEY it uses the
sandbox. The list of messages is all there is to keep: Mistral's conversation is made equal to it.
"""

from contextlib import ExitStack

from langchain_core.messages import AnyMessage, HumanMessage
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations


def turn(model: ChatMistralConversations, history: list[AnyMessage], prompt: str, name: str) -> list[AnyMessage]:
    """Ask for a change, save the image, and return the longer history."""
    asked = [*history, HumanMessage(prompt)]
    answer = model.invoke(asked)
    print(prompt, "->", answer.text.strip())
    for image in model.images(answer):
        print("  ", image.save(f"generated_images/{name}"))
    return [*asked, answer]


def main() -> None:
    """Draw a house, change it twice, and change the first one in another way."""
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        house = turn(model, [], "Draw a red house in the sun.", "house")
        night = turn(model, house, "Make it night.", "house-at-night")
        turn(model, night, "Add a white cat at the door.", "house-at-night-with-cat")
        turn(model, house, "Make it winter.", "house-in-winter")  # without night and cat


if __name__ == "__main__":
    main()
