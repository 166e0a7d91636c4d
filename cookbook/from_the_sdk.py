"""From Mistral's SDK: the image generation example of its documentation, and the same with this package.

Costs one image on the real API. Run: `python cookbook/from_the_sdk.py`. Without MISTRAL_API_KEY it uses the sandbox.
Lines with `#:` are the SDK's; the tests run them, too.
"""

from contextlib import ExitStack

from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations


def main() -> None:
    """Do what the SDK does."""
    with ExitStack() as stack:
        #: import os
        #: from mistralai.client import Mistral
        #: from mistralai.client.models import ToolFileChunk
        #:
        #: client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
        #: agent = client.beta.agents.create(
        #:     model="mistral-medium-latest",
        #:     name="Image Generation Agent",
        #:     instructions="Use the image generation tool when you have to create images.",
        #:     tools=[{"type": "image_generation"}],
        #:     completion_args={"temperature": 0.3, "top_p": 0.95},
        #: )
        model = ChatMistralConversations(
            model="mistral-medium-latest",
            instructions="Use the image generation tool when you have to create images.",
            temperature=0.3,
            top_p=0.95,
            **settings(stack),
        )
        agent = model.ensure_agent("Image Generation Agent")  # a second run finds it; `create` makes another one

        #: response = client.beta.conversations.start(agent_id=agent.id, inputs="Generate an orange cat in an office.")
        answer = agent.invoke("Generate an orange cat in an office.")

        #: for number, chunk in enumerate(response.outputs[-1].content):
        #:     if isinstance(chunk, ToolFileChunk):
        #:         data = client.files.download(file_id=chunk.file_id).read()
        #:         with open(f"image_generated_{number}.png", "wb") as file:
        #:             file.write(data)
        for number, image in enumerate(agent.images(answer)):
            print(image.save(f"image_generated_{number}"))  # .jpg: that is what the bytes are


if __name__ == "__main__":
    main()
