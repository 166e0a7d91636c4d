"""One prompt: a picture in a file."""

from __future__ import annotations

import argparse
import asyncio
import functools
from contextlib import suppress
from dataclasses import dataclass

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen._cli.arguments import NO_PICTURE, PICTURE
from langchain_mistral_imagegen._cli.file_names import picture_name
from langchain_mistral_imagegen._cli.preview import can_preview, preview
from langchain_mistral_imagegen._cli.report import Report, report_for
from langchain_mistral_imagegen._cli.session import session, shown, writable_store
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import MistralImagegenError, OutcomeUnknownError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ImageStore

_PATIENCE = 30.0  # seconds for which an answer is looked for that did not arrive


@dataclass(frozen=True)
class Drawing:
    """Asks for one prompt."""

    args: argparse.Namespace
    report: Report

    @classmethod
    def of(cls, args: argparse.Namespace) -> Drawing:
        """Choose how to report."""
        return cls(args, report_for(as_json=args.json, quiet=args.quiet))

    async def run(self) -> int:
        """Ask, store the pictures, and return the exit code."""
        store = writable_store(self.args.output)
        async with session(self.args, self.report.notice) as connected:
            with self.report:
                return await self._generate(connected.model, store)

    async def _generate(self, model: ChatMistralConversations, store: ImageStore) -> int:
        answer = await self._answer(model)
        refs = images_of(answer)
        outcomes = await model.astore_images(
            refs, store, name=functools.partial(picture_name, self.args.prompt), on_bytes=self.report.received
        )
        stored: list[ImageRef] = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        self.report.finished(answer, [(ref, shown(store.location(ref["key"]))) for ref in stored])
        if self.args.preview and not (self.args.json or self.args.quiet) and can_preview():
            for ref in stored:
                preview(await asyncio.to_thread(store.get, ref["key"]))
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return PICTURE if stored else NO_PICTURE

    async def _answer(self, model: ChatMistralConversations) -> AIMessage:
        try:
            return await self._ask(model)
        except OutcomeUnknownError as error:
            wait = min(_PATIENCE, model.timeout)
            self.report.looking(wait)
            answer = None
            with suppress(MistralImagegenError):  # the first error is the one to tell
                answer = await error.areconcile(wait)
            if answer is None:
                raise
            self.report.said(answer.text)
            return answer

    async def _ask(self, model: ChatMistralConversations) -> AIMessage:
        if self.args.no_stream:
            answer = await model.ainvoke(self.args.prompt)
            self.report.said(answer.text)
            return answer
        chunks = []
        async for chunk in model.astream(self.args.prompt):
            self.report.heard(chunk)
            chunks.append(chunk)
        return functools.reduce(lambda left, right: left + right, chunks)
