"""A first image: ask, look at the answer, save the image.

Costs one image on the real API. Run: `python cookbook/first_image.py`. Without MISTRAL_API_KEY it uses the sandbox.
"""

from contextlib import ExitStack

from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations


def main() -> None:
    """Generate one image."""
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        answer = model.invoke("Generate an orange cat in an office.")
        print(answer.text.strip())
        for image in model.images(answer):
            path = image.save("generated_images/cat")
            print(f"{path}: {image.mime_type}, {image.width}x{image.height} pixels")
        print(answer.usage_metadata, answer.response_metadata["connectors"])


if __name__ == "__main__":
    main()
