"""A gateway that answers something else, before or after Mistral did the work: one image is paid for, and arrives."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from langchain_core.messages import HumanMessage

from langchain_mistral_imagegen import FsspecImageStore, images_of
from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen.errors import MistralImagegenError

CAT = HumanMessage("Draw a cat.")
HTML = b"<html><body>Please wait</body></html>"
CUT = object()  # the first half of what Mistral answered
SUCCESSES = [b"", HTML, CUT, b"{}", b"[]", b"null", b'"busy"']
FAILURES = [(408, b""), (425, HTML), (429, b""), (500, HTML), (502, b""), (503, HTML), (504, b"")]
LIES = [*[(200, body) for body in SUCCESSES], *FAILURES]


class Liar(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers the first paid request itself.

    Attributes:
        lie: Status and body.
        works_first: Whether Mistral gets the request before.
    """

    def __init__(self, lie, *, works_first):
        self.lie, self.works_first, self.is_new = lie, works_first, True
        self.sync, self.asynchronous = httpx.HTTPTransport(), httpx.AsyncHTTPTransport()

    def is_chosen(self, request):
        chosen = self.is_new and request.method == "POST"
        self.is_new = self.is_new and not chosen
        return chosen

    def answer(self, real):
        status, body = self.lie
        return httpx.Response(status, content=real[: len(real) // 2] if body is CUT else body)

    def handle_request(self, request):
        if not self.is_chosen(request):
            return self.sync.handle_request(request)
        if not self.works_first:
            return self.answer(b"{}")
        response = self.sync.handle_request(request)
        try:
            return self.answer(response.read())
        finally:
            response.close()

    def close(self):
        self.sync.close()

    async def handle_async_request(self, request):
        if not self.is_chosen(request):
            return await self.asynchronous.handle_async_request(request)
        if not self.works_first:
            return self.answer(b"{}")
        response = await self.asynchronous.handle_async_request(request)
        try:
            return self.answer(await response.aread())
        finally:
            await response.aclose()

    async def aclose(self):
        await self.asynchronous.aclose()


@pytest.fixture
async def clients():
    """Make HTTP clients that a liar serves."""
    made = []

    def make(liar):
        made.extend([httpx.Client(transport=liar), httpx.AsyncClient(transport=liar)])
        return {"http_client": made[0], "http_async_client": made[1]}

    yield make
    made[0].close()
    await made[1].aclose()


@pytest.mark.slow
@pytest.mark.parametrize("works_first", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: f"{lie[0]}-{'cut' if lie[1] is CUT else lie[1][:6].decode()}")
async def test_whatever_a_gateway_answers_one_image_is_paid_for(
    face, make_model, sandbox, clients, tmp_path, lie, works_first
):
    http = clients(Liar(lie, works_first=works_first))
    model = make_model(timeout=5, deadline=5, answer_within=0.6, max_retries=1, **http)
    answer, store = None, FsspecImageStore(str(tmp_path))
    for _ in range(4):
        with suppress(MistralImagegenError), paying_once(PayOnce(store=store, name="k")):
            answer = await face.call(model, "invoke", [CAT])
        if answer:
            break
    assert answer is not None
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)
