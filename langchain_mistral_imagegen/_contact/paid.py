"""Questions that need an image: the check draws two, one in a whole answer and one in a stream."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._contact.outlines import outline
from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.visit import Answer, Visit
from langchain_mistral_imagegen._messages.confirmations import pending_calls
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.flows import Flow, Pause, now, send, together
from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen._protocol.signed_urls import image_ids
from langchain_mistral_imagegen.errors import APIError, InvalidRequestError, MistralImagegenError
from langchain_mistral_imagegen.images import ImageRef, image_size, sniff_image

IMAGES = 2
"""Images that are paid for."""
_DRAW = "Generate an image of a single orange cat on a white background."
_EDIT = "Edit this image: make the cat blue."
_LOOK = "Reply with one word: which animal does the image show?"
_POLL = 1.0  # seconds; small plans allow one request a second
_FILE_WAIT = 30.0  # seconds
_FUNCTIONS = ["generate_image", "edit_image"]
_CONFIRMED = {"type": "image_generation", "tool_configuration": {"requires_confirmation": _FUNCTIONS}}


@dataclass
class _Memory:
    """Takes a body into memory."""

    data: bytes = b""

    def restart(self) -> None:
        self.data = b""

    def write(self, piece: bytes) -> None:
        self.data += piece


# --- the first image, and what is to be seen while it is drawn ---


@dataclass
class _Watch:
    """What the lists show of an answer that is being written.

    Attributes:
        is_over: Whether the answer has arrived.
        looks: How often somebody looked before.
        listed_after: Seconds after the request left, or `None` if it was not listed before the answer arrived.
        histories: Types of the entries that its history had before, each different list once.
    """

    is_over: bool = False
    looks: int = 0
    listed_after: float | None = None
    histories: list[list[str]] = field(default_factory=list)


def _drawn(visit: Visit) -> Flow[Answer]:
    return visit.once("drawn", lambda: _draw_and_watch(visit))


def _draw_and_watch(visit: Visit) -> Flow[Answer]:
    watch = visit.notes["watch"] = _Watch()
    answer, watched = yield from together([_draw(visit, watch), _look_on(visit, watch)], 2)
    for outcome in (answer, watched):
        if isinstance(outcome, Exception):
            raise outcome
    visit.notes["listed"] = yield from _listed(visit)
    return answer  # type: ignore[return-value]  # the other flow returns nothing


def _draw(visit: Visit, watch: _Watch) -> Flow[Answer | None]:
    try:
        metadata = visit.metadata(image="first")
        return (yield from visit.start(_DRAW, tools=[{"type": "image_generation"}], metadata=metadata))
    finally:
        watch.is_over = True


def _look_on(visit: Visit, watch: _Watch) -> Flow[Answer | None]:
    begun = yield from now()
    while not watch.is_over:
        ids = yield from _listed(visit)
        if watch.is_over:  # what was listed may be the complete answer
            break
        watch.looks += ids is not None
        for conversation_id in ids or ():
            if watch.listed_after is None:
                watch.listed_after = (yield from now()).since(begun)
            yield from _read_on(conversation_id, watch)
        yield Pause(_POLL)
    return None


def _read_on(conversation_id: str, watch: _Watch) -> Flow[None]:
    try:
        history = yield from api.conversation_history(conversation_id)
    except APIError as error:
        types = [f"status {error.status_code}"]
    except MistralImagegenError:
        return
    else:
        types = [entry.type for entry in history.entries]
    if not watch.is_over and types not in watch.histories:
        watch.histories.append(types)


def _listed(visit: Visit) -> Flow[list[str] | None]:
    """Return the ids of the conversations with the image; `None` if the list cannot be read: the image is paid for."""
    try:
        found = yield from api.list_conversations(metadata=visit.metadata(image="first"), limit=100)
    except MistralImagegenError:
        return None
    return [one.id for one in found if (one.metadata or {}) | visit.metadata(image="first") == one.metadata]


def _early(visit: Visit) -> Flow[Finding]:
    answer = yield from _drawn(visit)
    watch: _Watch = visit.notes["watch"]
    if visit.notes["listed"] is None:
        return Finding(answer="not known: the list cannot be read", fits=None)
    if answer.conversation_id not in visit.notes["listed"]:
        return Finding(answer="no, and not when the answer is complete", fits=False)
    if watch.listed_after is not None:
        return Finding(answer=f"yes, after {watch.listed_after:.1f} s", fits=True)
    if not watch.looks:
        return Finding(answer="not known: the answer came too fast to look; it is listed then", fits=None)
    return Finding(answer=f"no ({watch.looks} looks), but when the answer is complete", fits=True)


def _unfinished(visit: Visit) -> Flow[Finding]:
    yield from _drawn(visit)
    watch: _Watch = visit.notes["watch"]
    if not watch.histories:
        fits = None if not watch.looks else True
        return Finding(answer="no history was seen before the answer was complete", fits=fits)
    answer = "; then ".join(" + ".join(types) or "nothing" for types in watch.histories)
    outputs = {kind for types in watch.histories for kind in types} - {"message.input"}
    is_readable = not any(kind.startswith("status") for kind in outputs)
    return Finding(answer=answer, fits=not outputs if is_readable else True, evidence=watch.histories)


# --- shapes ---


def _shape(visit: Visit) -> Flow[Finding]:
    return _shape_of((yield from _drawn(visit)))


def _shape_of(answer: Answer) -> Finding:
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


# --- the file ---


@dataclass(frozen=True, kw_only=True)
class _Fetched:
    """An image as it was downloaded.

    Attributes:
        ref: The image.
        data: Its bytes.
        headers: Of the response.
        refusals: Statuses of the attempts before.
        seconds: From the answer to the success.
    """

    ref: ImageRef
    data: bytes
    headers: Mapping[str, str]
    refusals: Sequence[int]
    seconds: float


def _fetched(visit: Visit) -> Flow[_Fetched | None]:
    """Download the first image as soon as possible; `None` if there is none, or it cannot be downloaded in time."""
    if "fetched" not in visit.notes:
        refs = images_of((yield from _drawn(visit)).message)
        visit.notes["fetched"] = (yield from _fetch(visit, refs[0])) if refs else None
    return visit.notes["fetched"]  # type: ignore[no-any-return]


def _fetch(visit: Visit, ref: ImageRef) -> Flow[_Fetched | None]:
    begun, refusals = (yield from now()), list[int]()
    while True:
        sink = _Memory()
        try:
            response = yield from send(_download(visit, ref, sink))
        except APIError as error:
            refusals.append(error.status_code)
        else:
            seconds = (yield from now()).since(begun)
            return _Fetched(ref=ref, data=sink.data, headers=response.headers, refusals=refusals, seconds=seconds)
        if (yield from now()).since(begun) > _FILE_WAIT:
            visit.notes["refusals"] = refusals
            return None
        yield Pause(_POLL)


def _download(visit: Visit, ref: ImageRef, sink: _Memory) -> Request:
    if "file_id" in ref:
        return requests.download_file(ref["file_id"], sink)
    return requests.download_url(visit.urls[ref["id"]], sink)


def _file(visit: Visit) -> Flow[Finding]:
    fetched = yield from _fetched(visit)
    if fetched is None:
        refusals = visit.notes.get("refusals")
        answer = f"never within {_FILE_WAIT:.0f} s: {refusals}" if refusals else "there is no image to fetch"
        return Finding(answer=answer, fits=False if refusals else None)
    if fetched.refusals:
        return Finding(answer=f"after {fetched.seconds:.1f} s; before: {fetched.refusals}", fits=False)
    return Finding(answer=f"at once ({fetched.seconds:.1f} s)", fits=True)


def _type(visit: Visit) -> Flow[Finding]:
    fetched = yield from _fetched(visit)
    if fetched is None:
        return Finding(answer="there is no image to look at", fits=None)
    form, size = sniff_image(fetched.data), image_size(io.BytesIO(fetched.data))
    names = ("content-type", "content-length", "content-disposition", "etag", "cache-control")
    headers = {name: fetched.headers[name] for name in names if name in fetched.headers}
    pixels = f"{size[0]} x {size[1]}" if size else "unknown size"
    true_type = form.mime_type if form else "no known image"
    answer = f"{headers.get('content-type', 'no type')}; truly {true_type}, {pixels}, {len(fetched.data):,} bytes"
    return Finding(
        answer=answer, fits=form is not None, evidence={"headers": headers, "label": fetched.ref.get("file_name")}
    )


# --- the second image: a stream that waits for a confirmation ---


def _asked(visit: Visit) -> Flow[Answer]:
    return visit.once("asked", lambda: visit.start(_DRAW, stream=True, tools=[_CONFIRMED]))


def _streamed(visit: Visit) -> Flow[Answer]:
    """Return the streamed answer with an image: after the confirmation, or at once if the server wants none."""
    asked = yield from _asked(visit)
    calls = pending_calls(asked.message)
    if not calls:
        return asked
    allowed = [{"tool_call_id": call["id"], "confirmation": "allow"} for call in calls[:1]]
    body = {"tool_confirmations": allowed}
    return (yield from visit.once("allowed", lambda: visit.append(asked.conversation_id, body, stream=True)))


def _confirmation(visit: Visit) -> Flow[Finding]:
    asked = yield from _asked(visit)
    calls = pending_calls(asked.message)
    if calls:
        names = ", ".join(sorted({call["name"] for call in calls}))
        return Finding(
            answer=f"yes, {names} waits", fits=True, evidence=[outline(item.as_sent()) for item in asked.items]
        )
    if images_of(asked.message):
        return Finding(answer="no, the image was drawn unasked", fits=False)
    return Finding(answer="not known: the model did not call the tool", fits=None)


def _stream_shape(visit: Visit) -> Flow[Finding]:
    return _shape_of((yield from _streamed(visit)))


# --- images as input ---


def _tool_file(visit: Visit) -> Flow[Finding]:
    drawn = yield from _drawn(visit)
    ids = [ref["file_id"] for ref in images_of(drawn.message) if "file_id" in ref]
    if not ids:
        return Finding(answer="not asked: there is no file", fits=None)
    chunks = [{"type": "tool_file", "tool": "image_generation", "file_id": ids[0]}, {"type": "text", "text": _LOOK}]
    try:
        answer = yield from visit.start([{"role": "user", "content": chunks}])
    except InvalidRequestError as error:
        return Finding(answer=f"no: {error.status_code} {error}", fits=True)
    return Finding(answer=f"yes, the model answers {str(answer.message.text)[:40]!r}", fits=True)


def _edit(visit: Visit) -> Flow[Finding]:
    fetched, asked = (yield from _fetched(visit)), (yield from _asked(visit))
    if fetched is None:
        return Finding(answer="not asked: there is no image", fits=None)
    if not pending_calls(asked.message):
        return Finding(answer="not asked: without a confirmation it would draw a third image", fits=None)
    form = sniff_image(fetched.data)
    url = f"data:{form.mime_type if form else 'image/jpeg'};base64,{base64.b64encode(fetched.data).decode()}"
    chunks = [{"type": "image_url", "image_url": url}, {"type": "text", "text": _EDIT}]
    answer = yield from visit.start([{"role": "user", "content": chunks}], tools=[_CONFIRMED])
    calls = pending_calls(answer.message)
    if not calls:
        return Finding(answer="not known: the model did not call the tool", fits=None)
    (name, arguments) = calls[0]["name"], calls[0]["args"]
    takes = f"{name} takes {', '.join(sorted(arguments)) or 'nothing'}"
    return Finding(answer=takes, fits=set(arguments) <= {"prompt"}, evidence=json.loads(json.dumps(outline(arguments))))


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
        find=_file,
    ),
    Question(
        name="type",
        text="Which headers and which true type does the image have?",
        assumes="its type is read from its bytes: JPEG, PNG, WEBP or GIF",
        otherwise="the image is refused as no image",
        find=_type,
    ),
    Question(
        name="early",
        text="Is a conversation listed by its metadata before its answer is complete?",
        assumes="at the latest when the answer is complete",
        otherwise="an answer that does not arrive may be paid for twice",
        find=_early,
    ),
    Question(
        name="unfinished",
        text="What does the history show while an answer is written?",
        assumes="the inputs alone, or no history",
        otherwise="looking for a lost answer may return an incomplete one",
        find=_unfinished,
    ),
    Question(
        name="confirmation",
        text="Does requires_confirmation take the function's name?",
        assumes="yes: generate_image, edit_image",
        otherwise="images are drawn and paid for unasked: do not rely on approval",
        find=_confirmation,
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
        find=_tool_file,
    ),
    Question(
        name="edit",
        text="Can an uploaded image be edited?",
        assumes="no: the tool takes a prompt only",
        otherwise="works all the same, and more is possible than the package offers",
        find=_edit,
    ),
)
"""Questions that need an image."""
