"""An old conversation: list what is kept at Mistral, read one by its id, go on with it, and fetch its images.

Costs one image on the real API, and one more without an id. Run: `python cookbook/old_conversation.py [ID]`. Without
MISTRAL_API_KEY it uses the sandbox. Images that are files are found as long as they live; signed URLs for an hour.
"""

import sys
from contextlib import ExitStack

from langchain_core.messages import HumanMessage
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, api


def main() -> None:
    """Have the image of a conversation changed, and save both."""
    with ExitStack() as stack:
        where = settings(stack)
        if not sys.argv[1:]:
            ChatMistralConversations(**where).invoke("Draw a lighthouse.")  # some other day
        model = ChatMistralConversations(**where)
        listed = model.client.run(api.list_conversations(limit=5))
        print(*(f"{one.created_at} {one.id}" for one in listed), sep="\n")
        messages = model.messages(sys.argv[1] if sys.argv[1:] else listed[0].id)
        messages.append(HumanMessage("Make it night."))
        messages.append(model.invoke(messages))
        for message in messages:
            for image in model.images(message):
                print(image.save(f"generated_images/{image.ref['id']}"))


if __name__ == "__main__":
    main()
