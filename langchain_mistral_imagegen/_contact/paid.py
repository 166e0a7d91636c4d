"""Questions that need an image: the check draws two, one in a whole answer and one in a stream."""

from __future__ import annotations

from langchain_mistral_imagegen._contact.first_image import early, first_answer, unfinished
from langchain_mistral_imagegen._contact.image_file import file_type, file_wait
from langchain_mistral_imagegen._contact.image_inputs import edit, tool_file
from langchain_mistral_imagegen._contact.image_shape import shape_of
from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.second_image import confirmation, second_answer
from langchain_mistral_imagegen._contact.visit import Visit
from langchain_mistral_imagegen._protocol.flows import Flow

IMAGES = 2
"""Images that are paid for."""


def _shape(visit: Visit) -> Flow[Finding]:
    return shape_of((yield from first_answer(visit)))


def _stream_shape(visit: Visit) -> Flow[Finding]:
    return shape_of((yield from second_answer(visit)))


PAID = (
    Question(
        name="shape",
        text="How does an image come back in a whole answer?",
        assumes="as a tool_file chunk, a URL in the tool's result, or a link in the text",
        otherwise="the image is not found",
        find=_shape,
    ),
    Question(
        name="file",
        text="How soon can the image be fetched?",
        assumes="at once",
        otherwise="the first download fails; the image can be downloaded later",
        find=file_wait,
    ),
    Question(
        name="type",
        text="Which headers and which true type does the image have?",
        assumes="its type is read from its bytes: JPEG, PNG, WEBP or GIF",
        otherwise="the image is refused as no image",
        find=file_type,
    ),
    Question(
        name="early",
        text="Is a conversation listed by its metadata before its answer is complete?",
        assumes="at the latest when the answer is complete",
        otherwise="an answer that does not arrive may be paid for twice",
        find=early,
    ),
    Question(
        name="unfinished",
        text="What does the history show while an answer is written?",
        assumes="the inputs alone, or no history",
        otherwise="looking for a lost answer may return an incomplete one",
        find=unfinished,
    ),
    Question(
        name="confirmation",
        text="Does requires_confirmation take the function's name?",
        assumes="yes: generate_image, edit_image",
        otherwise="images are drawn and paid for unasked: do not rely on approval",
        find=confirmation,
    ),
    Question(
        name="stream",
        text="How does an image come back in a stream?",
        assumes="as in a whole answer",
        otherwise="the image is not found",
        find=_stream_shape,
    ),
    Question(
        name="tool_file",
        text="Is a tool_file chunk taken as input?",
        assumes="not relied on: never sent",
        otherwise="",
        find=tool_file,
    ),
    Question(
        name="edit",
        text="Can an uploaded image be edited?",
        assumes="no: the tool takes a prompt only",
        otherwise="works all the same, and more is possible than the package offers",
        find=edit,
    ),
)
"""Questions that need an image."""
