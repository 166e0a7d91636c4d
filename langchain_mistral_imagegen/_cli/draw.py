"""One prompt: its images are drawn and stored."""

from __future__ import annotations

import argparse
import functools
from contextlib import suppress
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage

from langchain_mistral_imagegen._cli.draw_report import report_for
from langchain_mistral_imagegen._cli.earlier_image import (
    NEEDS_KEY,
    conversation_of,
    message_with_image,
    messages_before,
)
from langchain_mistral_imagegen._cli.exit_codes import DONE, NO_IMAGE
from langchain_mistral_imagegen._cli.manifest import Status
from langchain_mistral_imagegen._cli.output import Output, short_path, writable_output
from langchain_mistral_imagegen._cli.preview import is_previewed, preview
from langchain_mistral_imagegen._cli.report import Report, facts_of
from langchain_mistral_imagegen._cli.run_record import RunRecord, fetch_command
from langchain_mistral_imagegen._cli.session import Session, session
from langchain_mistral_imagegen._conversations.turn import KEY
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._prompt_words import with_shape
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import ImageStoreError, MistralImagegenError, OutcomeUnknownError
from langchain_mistral_imagegen.images import ImageRef

_LOOKUP_SECONDS = 30.0  # how long to look for an answer that did not arrive


@dataclass(frozen=True)
class Request:
    """What is sent.

    Attributes:
        messages: The conversation so far, and the prompt.
        conversation: The conversation that is continued, if one is.
    """

    messages: list[BaseMessage]
    conversation: str | None


@dataclass(frozen=True)
class DrawCommand:
    """Sends one prompt."""

    args: argparse.Namespace
    report: Report

    @classmethod
    def of(cls, args: argparse.Namespace) -> DrawCommand:
        """Create the command with the report that the options choose."""
        return cls(args, report_for(as_json=args.json, quiet=args.quiet, prompt=args.prompt))

    async def run(self) -> int:
        """Send the prompt, store the images, and return the exit code."""
        output = writable_output(self.args.output)
        conversation, ref = conversation_of(self.args, output.store)
        prompt = message_with_image(with_shape(self.args.prompt, self.args.shape), self.args.image)
        needs_key = NEEDS_KEY if conversation else ""
        async with session(self.args, self.report.notice, needs_key=needs_key) as connected:
            self.report.is_free = connected.is_sandbox
            before = await messages_before(connected.model, conversation, ref) if conversation else []
            with self.report:
                return await self._generate(connected, output, Request([*before, prompt], conversation))

    async def _generate(self, connected: Session, output: Output, request: Request) -> int:
        store = output.store
        record = RunRecord(self.args.prompt, store, connected.is_sandbox)
        answer = await self._paid_answer(connected, record, request)
        images = images_of(answer)
        record.write_if_possible("drawn" if images else "text", images=images, **facts_of(answer))
        outcomes = await connected.model.astore_images(
            images,
            store,
            name=output.name(self.args.prompt),
            on_bytes=self.report.bytes_received,
        )
        stored: list[ImageRef] = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        if len(stored) == len(images):
            self.report.rescue = ""
        if images:
            refs = [attempted(ref, outcome) for ref, outcome in zip(images, outcomes, strict=True)]
            record.write_if_possible("stored" if len(stored) == len(images) else "drawn", images=refs)
        self.report.finished(answer, [(ref, short_path(store.location(ref["key"]))) for ref in stored])
        for correction in {output.correction(ref["key"]) for ref in stored} - {""}:
            self.report.notice(correction)
        if is_previewed(self.args):
            await preview(stored, store)
        for outcome in outcomes:
            if isinstance(outcome, ImageStoreError) and self.report.rescue:  # the same place would fail again
                self.report.rescue = fetch_command(facts_of(answer)["conversation_id"], "another_folder")
            if isinstance(outcome, Exception):
                raise outcome
        return DONE if stored else NO_IMAGE

    async def _paid_answer(self, connected: Session, record: RunRecord, request: Request) -> AIMessage:
        """Send the prompt between two lines of the record."""
        record.sent()
        if not connected.is_sandbox:
            self._name_rescue(request.conversation or record.key)
        try:
            return await self._answer(connected.model, request.messages, record.key)
        except MistralImagegenError as error:
            status: Status = "failed" if is_unpaid(error) else "asked"
            record.write_if_possible(status, error=f"{type(error).__name__}: {error}")
            if status == "failed":
                self.report.rescue = ""
            raise

    def _name_rescue(self, conversation: str) -> None:
        self.report.rescue = fetch_command(conversation, self.args.output)

    async def _answer(self, model: ChatMistralConversations, messages: list[BaseMessage], key: str) -> AIMessage:
        try:
            return await self._request(model, messages, key)
        except OutcomeUnknownError as error:
            wait = min(_LOOKUP_SECONDS, model.timeout)
            self.report.looking(wait)
            answer = None
            with suppress(MistralImagegenError):  # the first error is the one to report
                answer = await model.areconcile(error, wait)
            if answer is None:
                raise
            self.report.text_received(answer.text)
            return answer

    async def _request(self, model: ChatMistralConversations, messages: list[BaseMessage], key: str) -> AIMessage:
        metadata = {KEY: key}
        if self.args.no_stream:
            answer = await model.ainvoke(messages, conversation_metadata=metadata)
            self.report.text_received(answer.text)
            return answer
        chunks = []
        async for chunk in model.astream(messages, conversation_metadata=metadata):
            if self.report.rescue and (conversation := chunk.response_metadata.get("conversation_id")):
                self._name_rescue(conversation)
            self.report.chunk_received(chunk)
            chunks.append(chunk)
        return functools.reduce(lambda left, right: left + right, chunks)
