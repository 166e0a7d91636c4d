"""What a prompt goes on with: a conversation, also that of an image file, or an image that the model is shown."""

from __future__ import annotations

import argparse
import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen._cli.manifest import MANIFEST, Record, read_lines
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.images import ImageRef, sniff_image
from langchain_mistral_imagegen.stores import FsspecImageStore

NEEDS_KEY = "Conversations are at Mistral; those of the sandbox end with the command that made them."


def conversation_of(args: argparse.Namespace, store: FsspecImageStore) -> tuple[str | None, ImageRef | None]:
    """Find the conversation to continue, and the image in it that is meant, if it is one of several.

    Raises:
        UsageError: If there is none.
    """
    if args.conversation:
        return args.conversation, None
    if args.edit:
        return _drawn_in(Path(args.edit), store)
    return (_last_conversation(store), None) if args.go_on else (None, None)


async def messages_before(
    model: ChatMistralConversations, conversation: str, ref: ImageRef | None
) -> list[BaseMessage]:
    """Read a conversation up to the answer with an image, or all of it."""
    messages = await model.amessages(conversation)
    places = [n for n, message in enumerate(messages) if ref and ref["id"] in {one["id"] for one in images_of(message)}]
    return messages[: places[0] + 1] if places else messages


def message_with_image(prompt: str, file: str | None) -> HumanMessage:
    """Return the prompt, with an image that the model is shown.

    Raises:
        UsageError: If the file is not an image that can be read.
    """
    if file is None:
        return HumanMessage(prompt)
    data = _read(Path(file))
    kind = sniff_image(data[:16])
    if kind is None:
        raise UsageError(f"{file} is not an image (JPEG, PNG, WebP or GIF)")
    image: dict[str, Any] = {
        "type": "image",
        "base64": base64.b64encode(data).decode(),
        "mime_type": kind.mime_type,
    }
    return HumanMessage(content=[{"type": "text", "text": prompt}, image])


def _last_conversation(store: FsspecImageStore) -> str:
    folder = store.local_folder
    lines = _lines(folder) if folder else []
    drawn = [line for line in lines if line.get("images") and "conversation_id" in line and not line.get("sandbox")]
    if not drawn:
        raise UsageError(
            f"{store.location('')} records no image that Mistral has drawn: name a conversation with --conversation"
        )
    return drawn[-1]["conversation_id"]


def _drawn_in(file: Path, store: FsspecImageStore) -> tuple[str, ImageRef]:
    """Find the record of an image by its bytes, so that the file may have been renamed."""
    digest = hashlib.sha256(_read(file)).hexdigest()
    for record, ref in _records_near(file, store):
        conversation = ref.get("conversation_id") or record.get("conversation_id")
        if ref.get("sha256") == digest and conversation and not record.get("sandbox"):
            return conversation, ref
    raise UsageError(
        f"No record names the conversation in which {file} was drawn. To show it to the model instead: --image {file}"
    )


def _records_near(file: Path, store: FsspecImageStore) -> Iterator[tuple[Record, ImageRef]]:
    folders = [*file.absolute().parents[:2], *([store.local_folder] if store.local_folder else [])]
    for record in (record for folder in folders for record in reversed(_lines(folder))):
        for ref in record.get("images", ()):
            yield record, ref


def _lines(folder: Path) -> Sequence[Record]:
    path = folder / MANIFEST
    return read_lines(path) if path.exists() else []


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}") from error
