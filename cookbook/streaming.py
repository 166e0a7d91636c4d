"""Streaming: the text as it comes, a word when the drawing begins, and the image at the end.

Costs one image on the real API. Run: `python cookbook/streaming.py`. Without MISTRAL_API_KEY it uses the sandbox.
"""

from contextlib import ExitStack

from langchain_core.messages import AIMessageChunk
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations


def main() -> None:
    """Stream an answer with an image."""
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        answer = AIMessageChunk("")
        for chunk in model.stream("Draw a red kite over a beach, and tell me what you drew."):
            if any(block.get("name") == "image_generation" for block in chunk.content_blocks):
                print("(generating, which takes about ten seconds)")
            print(chunk.text, end="", flush=True)
            answer += chunk
        for image in model.images(answer):
            print(image.save("generated_images/kite"))
        print(answer.usage_metadata)


if __name__ == "__main__":
    main()
