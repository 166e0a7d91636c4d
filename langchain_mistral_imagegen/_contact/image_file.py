"""The file of the first image: how soon it can be fetched, and what it is."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langchain_mistral_imagegen._contact.first_image import first_answer
from langchain_mistral_imagegen._contact.question import Finding
from langchain_mistral_imagegen._contact.visit import Visit
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.flows import Flow, Pause, now, send
from langchain_mistral_imagegen._protocol.requests import Request
from langchain_mistral_imagegen.errors import APIError
from langchain_mistral_imagegen.images import ImageRef, image_size, sniff_image

_POLL = 1.0  # seconds; small plans allow one request a second
_FILE_WAIT = 30.0  # seconds


@dataclass
class _Memory:
    """Takes a body into memory."""

    data: bytes = b""

    def restart(self) -> None:
        self.data = b""

    def write(self, piece: bytes) -> None:
        self.data += piece


@dataclass(frozen=True, kw_only=True)
class Fetched:
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


def fetched_image(visit: Visit) -> Flow[Fetched | None]:
    """Download the first image as soon as possible; `None` if there is none, or it cannot be downloaded in time."""
    if "fetched" not in visit.notes:
        refs = images_of((yield from first_answer(visit)).message)
        visit.notes["fetched"] = (yield from _fetch(visit, refs[0])) if refs else None
    return visit.notes["fetched"]  # type: ignore[no-any-return]


def _fetch(visit: Visit, ref: ImageRef) -> Flow[Fetched | None]:
    begun, refusals = (yield from now()), list[int]()
    while True:
        sink = _Memory()
        try:
            response = yield from send(_download(visit, ref, sink))
        except APIError as error:
            refusals.append(error.status_code)
        else:
            seconds = (yield from now()).since(begun)
            return Fetched(ref=ref, data=sink.data, headers=response.headers, refusals=refusals, seconds=seconds)
        if (yield from now()).since(begun) > _FILE_WAIT:
            visit.notes["refusals"] = refusals
            return None
        yield Pause(_POLL)


def _download(visit: Visit, ref: ImageRef, sink: _Memory) -> Request:
    if "file_id" in ref:
        return requests.download_file(ref["file_id"], sink)
    return requests.download_url(visit.urls[ref["id"]], sink)


def file_wait(visit: Visit) -> Flow[Finding]:
    """Find out how soon the image can be fetched."""
    fetched = yield from fetched_image(visit)
    if fetched is None:
        refusals = visit.notes.get("refusals")
        answer = f"never within {_FILE_WAIT:.0f} s: {refusals}" if refusals else "there is no image to fetch"
        return Finding(answer=answer, fits=False if refusals else None)
    if fetched.refusals:
        return Finding(answer=f"after {fetched.seconds:.1f} s; before: {fetched.refusals}", fits=False)
    return Finding(answer=f"at once ({fetched.seconds:.1f} s)", fits=True)


def file_type(visit: Visit) -> Flow[Finding]:
    """Find out which headers and which true type the image has."""
    fetched = yield from fetched_image(visit)
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
