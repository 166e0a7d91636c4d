"""The second image that the check draws: in a stream that waits for a confirmation."""

from __future__ import annotations

from langchain_mistral_imagegen._contact.first_image import DRAW
from langchain_mistral_imagegen._contact.outlines import outline
from langchain_mistral_imagegen._contact.question import Finding
from langchain_mistral_imagegen._contact.visit import Answer, Visit
from langchain_mistral_imagegen._messages.confirmations import pending_calls
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.image_tool import IMAGE_FUNCTIONS, IMAGE_TOOL

CONFIRMED = {"type": IMAGE_TOOL, "tool_configuration": {"requires_confirmation": list(IMAGE_FUNCTIONS)}}
"""The image tool, whose calls wait for a confirmation."""


def second_question(visit: Visit) -> Flow[Answer]:
    """Return the answer to the second request, in which the call should wait."""
    return visit.once("asked", lambda: visit.start(DRAW, stream=True, tools=[CONFIRMED]))


def second_answer(visit: Visit) -> Flow[Answer]:
    """Return the streamed answer with an image: after the confirmation, or at once if the server wants none."""
    asked = yield from second_question(visit)
    calls = pending_calls(asked.message)
    if not calls:
        return asked
    allowed = [{"tool_call_id": call["id"], "confirmation": "allow"} for call in calls[:1]]
    body = {"tool_confirmations": allowed}
    return (yield from visit.once("allowed", lambda: visit.append(asked.conversation_id, body, stream=True)))


def confirmation(visit: Visit) -> Flow[Finding]:
    """Find out whether a call waits for a confirmation."""
    asked = yield from second_question(visit)
    calls = pending_calls(asked.message)
    if calls:
        names = ", ".join(sorted({call["name"] for call in calls}))
        return Finding(
            answer=f"yes, {names} waits", fits=True, evidence=[outline(item.as_sent()) for item in asked.items]
        )
    if images_of(asked.message):
        return Finding(answer="no, the image was drawn unasked", fits=False)
    return Finding(answer="not known: the model did not call the tool", fits=None)
