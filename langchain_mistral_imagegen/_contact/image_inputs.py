"""Images as input: a file of Mistral's, and an image to edit."""

from __future__ import annotations

import base64
import json

from langchain_mistral_imagegen._contact.first_image import first_answer
from langchain_mistral_imagegen._contact.image_file import fetched_image
from langchain_mistral_imagegen._contact.outlines import outline
from langchain_mistral_imagegen._contact.question import Finding
from langchain_mistral_imagegen._contact.second_image import CONFIRMED, second_question
from langchain_mistral_imagegen._contact.visit import Visit
from langchain_mistral_imagegen._messages.confirmations import pending_calls
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen.errors import InvalidRequestError
from langchain_mistral_imagegen.images import sniff_image

_EDIT = "Edit this image: make the cat blue."
_LOOK = "Reply with one word: which animal does the image show?"


def tool_file(visit: Visit) -> Flow[Finding]:
    """Find out whether a `tool_file` chunk is taken as input."""
    drawn = yield from first_answer(visit)
    ids = [ref["file_id"] for ref in images_of(drawn.message) if "file_id" in ref]
    if not ids:
        return Finding(answer="not asked: there is no file", fits=None)
    chunks = [{"type": "tool_file", "tool": "image_generation", "file_id": ids[0]}, {"type": "text", "text": _LOOK}]
    try:
        answer = yield from visit.start([{"role": "user", "content": chunks}])
    except InvalidRequestError as error:
        return Finding(answer=f"no: {error.status_code} {error}", fits=True)
    return Finding(answer=f"yes, the model answers {str(answer.message.text)[:40]!r}", fits=True)


def edit(visit: Visit) -> Flow[Finding]:
    """Find out whether an uploaded image can be edited."""
    fetched, asked = (yield from fetched_image(visit)), (yield from second_question(visit))
    if fetched is None:
        return Finding(answer="not asked: there is no image", fits=None)
    if not pending_calls(asked.message):
        return Finding(answer="not asked: without a confirmation it would draw a third image", fits=None)
    form = sniff_image(fetched.data)
    url = f"data:{form.mime_type if form else 'image/jpeg'};base64,{base64.b64encode(fetched.data).decode()}"
    chunks = [{"type": "image_url", "image_url": url}, {"type": "text", "text": _EDIT}]
    answer = yield from visit.start([{"role": "user", "content": chunks}], tools=[CONFIRMED])
    calls = pending_calls(answer.message)
    if not calls:
        return Finding(answer="not known: the model did not call the tool", fits=None)
    (name, arguments) = calls[0]["name"], calls[0]["args"]
    takes = f"{name} takes {', '.join(sorted(arguments)) or 'nothing'}"
    return Finding(answer=takes, fits=set(arguments) <= {"prompt"}, evidence=json.loads(json.dumps(outline(arguments))))
