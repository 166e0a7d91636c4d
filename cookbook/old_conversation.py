"""An old conversation: list what is kept at Mistral, and fetch its pictures by the conversation's id.

Costs nothing with an id, else one picture on the real API. Run: `python cookbook/old_conversation.py [ID]`. Without
MISTRAL_API_KEY it uses the sandbox. It finds pictures that are files; those that were only signed URLs are gone.
"""

import sys
from contextlib import ExitStack

from langchain_core.messages import AIMessage
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, api


def remembered(model: ChatMistralConversations, conversation_id: str) -> list[AIMessage]:
    """Return what was answered in a conversation, in whichever process."""
    history = model.client.run(api.conversation_history(conversation_id))
    spoken = [entry.content for entry in history.entries if entry.type == "message.output"]
    blocks = [[chunk.model_dump() for chunk in content] for content in spoken if not isinstance(content, str)]
    return [AIMessage(block, response_metadata={"conversation_id": conversation_id}) for block in blocks]


def main() -> None:
    """Save the pictures of a conversation."""
    with ExitStack() as stack:
        model = ChatMistralConversations(**settings(stack))
        if not sys.argv[1:]:
            model.invoke("Draw a lighthouse.")  # some other day
        listed = model.client.run(api.list_conversations(limit=5))
        print(*(f"{one.created_at} {one.id}" for one in listed), sep="\n")
        for answer in remembered(model, sys.argv[1] if sys.argv[1:] else listed[0].id):
            for image in model.images(answer):
                print(image.save(f"generated_images/{image.ref['id']}"))


if __name__ == "__main__":
    main()
