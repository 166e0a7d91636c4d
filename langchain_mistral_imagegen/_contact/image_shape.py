"""How an image comes back in an answer."""

from __future__ import annotations

from langchain_mistral_imagegen._contact.outlines import outline
from langchain_mistral_imagegen._contact.question import Finding
from langchain_mistral_imagegen._contact.visit import Answer
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.signed_urls import image_ids


def shape_of(answer: Answer) -> Finding:
    """Describe where the images of an answer are."""
    refs = images_of(answer.message)
    evidence = {"items": [outline(item.as_sent()) for item in answer.items], "usage": answer.message.usage_metadata}
    if not refs:
        return Finding(answer="no image: the model answered with text", fits=None, evidence=evidence)
    if any("file_id" in ref for ref in refs):
        where = "a tool_file chunk"
    else:
        where = "a link in the text" if image_ids(str(answer.message.text)) else "a URL in the tool's result"
    count = "" if len(refs) == 1 else f" ({len(refs)} images)"
    return Finding(answer=f"as {where}{count}", fits=True, evidence=evidence)
