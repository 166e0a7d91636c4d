"""Many prompts: a few at a time, each image is saved as soon as it is there, and each failure is named.

Costs eight images on the real API. Run: `python cookbook/many_prompts.py`. Without MISTRAL_API_KEY it uses the
sandbox. Mistral draws only so many images a minute: what is refused is not paid for, and asked again a minute later.
Only when the day's quota is used up, a prompt fails.
"""

from contextlib import ExitStack

from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations

ANIMALS = ("bee", "cat", "dog", "elk", "fox", "hen", "owl", "ram")


def main() -> None:
    """Draw the animals, four at a time."""
    prompts = [f"Draw a {animal}, flat vector illustration." for animal in ANIMALS]
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        done = model.batch_as_completed(prompts, {"max_concurrency": 4}, return_exceptions=True)
        for count, (place, answer) in enumerate(done, start=1):
            print(f"{count}/{len(prompts)} {ANIMALS[place]}:", end=" ")
            if isinstance(answer, Exception):
                print(f"{type(answer).__name__}: {answer}")
                continue
            for image in model.images(answer):
                print(image.save(f"generated_images/{ANIMALS[place]}"))


if __name__ == "__main__":
    main()
