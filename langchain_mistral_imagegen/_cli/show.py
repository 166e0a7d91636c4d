"""`mistral-imagegen show`: what Mistral has kept of a conversation or a file."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._cli.arguments import PICTURE
from langchain_mistral_imagegen._cli.file_names import picture_name
from langchain_mistral_imagegen._cli.preview import can_preview, preview
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen._cli.session import session, shown, writable_store
from langchain_mistral_imagegen._cli.transcript import pictures, told
from langchain_mistral_imagegen._protocol.entries import MessageInputEntry, Wire
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import InvalidImageError
from langchain_mistral_imagegen.images import ImageRef


@dataclass(frozen=True)
class Showing:
    """Shows a conversation or a file."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Show it, and download its pictures if that is asked for."""
        if self.args.output:
            writable_store(self.args.output)
        async with session(self.args, self.report.notice) as connected:
            is_conversation = self.args.id.startswith("conv_")
            await (self._conversation if is_conversation else self._file)(connected.model)
        return PICTURE

    async def _conversation(self, model: ChatMistralConversations) -> None:
        history = await model.async_client.run(api.conversation_history(self.args.id))
        urls = SignedUrls()
        paragraphs = list(told(history.entries, urls))
        refs = pictures(self.args.id, history.entries, urls)
        if self.args.json:
            entries = [urls.redact(entry.as_sent(), getattr(entry, "id", "")) for entry in history.entries]
            self._say_json({"conversation_id": self.args.id, "entries": entries, "images": refs})
        else:
            self.report.say("\n".join(paragraphs))
            if refs and not self.args.output:
                self.report.say(f"To download the pictures: mistral-imagegen show {self.args.id} -o FOLDER")
        await self._bring(model, refs, _first_words(history.entries) or self.args.id)

    async def _file(self, model: ChatMistralConversations) -> None:
        file = await model.async_client.run(api.get_file(self.args.id))
        known = file.as_sent()
        if self.args.json:
            self._say_json(known)
        else:
            self.report.say("\n".join(f"{name}: {value}" for name, value in known.items()))
        ref = ImageRef(id=self.args.id, status="remote", file_id=self.args.id)
        await self._bring(model, [ref], file.filename or self.args.id)

    async def _bring(self, model: ChatMistralConversations, refs: Sequence[ImageRef], name: str) -> None:
        """Download pictures to where they shall be, or only to show them."""
        is_shown = self.args.preview and not self.args.json and can_preview()
        if not (self.args.output or is_shown):
            return
        with ExitStack() as stack:
            place = self.args.output or stack.enter_context(tempfile.TemporaryDirectory())
            store = writable_store(place)
            for outcome in await model.astore_images(refs, store, name=functools.partial(picture_name, name)):
                if isinstance(outcome, Exception):
                    if self.args.output or not isinstance(outcome, InvalidImageError):
                        raise outcome
                    continue  # it was not said to be a picture
                if self.args.output and not self.args.json:
                    self.report.say(shown(store.location(outcome["key"])))
                if is_shown:
                    preview(await asyncio.to_thread(store.get, outcome["key"]))

    def _say_json(self, value: object) -> None:
        self.report.say(json.dumps(value))


def _first_words(entries: Sequence[Wire]) -> str:
    said = [entry.content for entry in entries if isinstance(entry, MessageInputEntry)]
    return next((text for text in said if isinstance(text, str)), "")
