"""Object storage: images go into an S3 bucket, and whoever gets a signed link can see them for an hour.

Costs one image on the real API. Run: `python cookbook/s3_store.py`, after `pip install
langchain-mistral-imagegen[s3]`, with MISTRAL_IMAGEGEN_STORE=s3://bucket/images and your AWS credentials; without that
variable the images stay in memory. Without MISTRAL_API_KEY it uses the sandbox.
"""

import os
from contextlib import ExitStack

from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, MistralImageGenerationTool


def main() -> None:
    """Draw an image into a bucket."""
    store = FsspecImageStore(os.environ.get("MISTRAL_IMAGEGEN_STORE", "memory://images"))
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        tool = MistralImageGenerationTool(model=model, image_store=store)
        for ref in tool.generate("a lighthouse at dusk")["images"]:
            print(store.location(ref["key"]), f"{len(store.get(ref['key']))} bytes")
            if store.root.startswith("s3://"):
                print("A secret link:", store.url(ref["key"], expires=3600))


if __name__ == "__main__":
    main()
