"""`mistral-imagegen show`: a conversation or a file as Mistral keeps it."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._cli.draw_report import JsonReport
from langchain_mistral_imagegen._cli.exit_codes import DONE, UsageError
from langchain_mistral_imagegen._cli.output import Output, short_path, writable_output
from langchain_mistral_imagegen._cli.preview import is_previewed, preview
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen._cli.result import ResultImage, result
from langchain_mistral_imagegen._cli.session import session
from langchain_mistral_imagegen._cli.transcript import conversation_images, paragraphs
from langchain_mistral_imagegen._conversations.turn import KEY
from langchain_mistral_imagegen._protocol.entries import MessageInputEntry, Wire
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import InvalidImageError
from langchain_mistral_imagegen.images import ImageRef

_RUN_KEY = re.compile(r"[0-9a-f]{32}")  # a key of `RunRecord`
_NEEDS_KEY = "Conversations and files are at Mistral; those of the sandbox end with the command that made them."


@dataclass(frozen=True)
class ShowCommand:
    """Shows a conversation or a file."""

    args: argparse.Namespace
    report: Report

    @classmethod
    def of(cls, args: argparse.Namespace) -> ShowCommand:
        """Create the command with the report that the options choose."""
        return cls(args, JsonReport() if args.json else Report())

    async def run(self) -> int:
        """Print it, download its images if there is an output, and return the exit code."""
        with ExitStack() as stack:
            output = self._output(stack)
            async with session(self.args, self.report.notice, needs_key=_NEEDS_KEY) as connected:
                with self.report:
                    await self._show(connected.model, output)
        return DONE

    async def _show(self, model: ChatMistralConversations, output: Output | None) -> None:
        shown = await self._shown(model)
        if not isinstance(self.report, JsonReport):
            self.report.print(shown.text)
            if shown.refs and self.args.output is None and "conversation_id" in shown.facts:
                self.report.print(f"To download the images: mistral-imagegen show {self.args.id} -o FOLDER")
        images = await self._download(model, shown, output) if output else shown.refs
        if isinstance(self.report, JsonReport):
            self.report.keep(result("shown", {**shown.facts, "images": images}))

    def _output(self, stack: ExitStack) -> Output | None:
        """Open the output, or a temporary folder for images that are only previewed."""
        if self.args.output is not None:
            return writable_output(self.args.output)
        return writable_output(stack.enter_context(tempfile.TemporaryDirectory())) if is_previewed(self.args) else None

    async def _shown(self, model: ChatMistralConversations) -> Shown:
        given = self.args.id
        if given.startswith("conv_"):
            return await self._conversation(model, given)
        if _RUN_KEY.fullmatch(given):
            return await self._conversation(model, await _conversation_of_run(model, given))
        return await self._file(model)

    async def _conversation(self, model: ChatMistralConversations, conversation_id: str) -> Shown:
        history = await model.async_client.run(api.conversation_history(conversation_id))
        urls = SignedUrls()
        entries = [entry.redacted(urls) for entry in history.entries]
        return Shown(
            text="\n".join(paragraphs(entries)),
            facts={"conversation_id": conversation_id, "entries": [entry.as_sent() for entry in entries]},
            refs=conversation_images(conversation_id, entries),
            name=_first_prompt(history.entries) or conversation_id,
        )

    async def _file(self, model: ChatMistralConversations) -> Shown:
        file = await model.async_client.run(api.get_file(self.args.id))
        fields = file.as_sent()
        return Shown(
            text="\n".join(f"{name}: {value}" for name, value in fields.items()),
            facts={"file": fields},
            refs=[ImageRef(id=self.args.id, status="remote", file_id=self.args.id)],
            name=file.filename or self.args.id,
        )

    async def _download(self, model: ChatMistralConversations, shown: Shown, output: Output) -> list[ResultImage]:
        """Download images to the output or for the preview, and return them."""
        has_output, images = self.args.output is not None, []
        for outcome in await model.astore_images(shown.refs, output.store, name=output.name(shown.name)):
            if isinstance(outcome, Exception):
                if has_output or not isinstance(outcome, InvalidImageError):
                    raise outcome
                continue  # without an output, a file that is not an image is only described
            path = short_path(output.store.location(outcome["key"]))
            images.append(cast("ResultImage", {"path": path, **outcome}))
            if has_output and not self.args.json:
                self.report.print(path)
            if is_previewed(self.args):
                await preview([outcome], output.store)
        return images


@dataclass(frozen=True)
class Shown:
    """What is shown.

    Attributes:
        text: For people.
        facts: For programs: fields of a `Result`.
        refs: Its images.
        name: The names of their files begin with it.
    """

    text: str
    facts: dict[str, Any]
    refs: Sequence[ImageRef]
    name: str


async def _conversation_of_run(model: ChatMistralConversations, key: str) -> str:
    """Find the conversation of a run that was interrupted before it knew the id.

    Raises:
        UsageError: If there is none.
    """
    for conversation in await model.async_client.run(api.list_conversations(metadata={KEY: key})):
        if (conversation.metadata or {}).get(KEY) == key:
            return conversation.id
    raise UsageError(f"Mistral has no conversation with the key {key}, so nothing was paid for; or it begins only now")


def _first_prompt(entries: Sequence[Wire]) -> str:
    contents = [entry.content for entry in entries if isinstance(entry, MessageInputEntry)]
    return next((content for content in contents if isinstance(content, str)), "")
