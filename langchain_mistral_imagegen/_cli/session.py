"""Whom the command talks to, and where it puts pictures."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.stores import FsspecImageStore

_CHOSEN = ("model", "agent_id", "instructions", "base_url", "timeout")


class BadPlaceError(Exception):
    """The place for the pictures, or for the manifest, cannot be used."""


@dataclass(frozen=True)
class Session:
    """A connection to Mistral, or to the sandbox that stands in for it.

    Attributes:
        model: What is asked.
        is_sandbox: Whether it is a sandbox that ends with the command.
    """

    model: ChatMistralConversations
    is_sandbox: bool


@asynccontextmanager
async def session(args: argparse.Namespace, notice: Callable[[str], None]) -> AsyncIterator[Session]:
    """Connect to the server that is meant; without a key, to a local sandbox.

    Args:
        args: May choose settings of the model.
        notice: Is told that it is a sandbox.
    """
    chosen = {name: getattr(args, name, None) for name in _CHOSEN}
    chosen["base_url"] = chosen["base_url"] or os.environ.get("MISTRAL_BASE_URL")
    options = {name: value for name, value in chosen.items() if value}
    is_sandbox = not os.environ.get("MISTRAL_API_KEY") and "base_url" not in options
    async with AsyncExitStack() as stack:
        if is_sandbox:
            from langchain_mistral_imagegen.sandbox import Sandbox  # noqa: PLC0415  # needs the extra `sandbox`

            notice("No MISTRAL_API_KEY: using the local sandbox; its pictures are placeholders.")
            options |= {"base_url": stack.enter_context(Sandbox()).url, "api_key": "sandbox"}
        model = ChatMistralConversations(**options)
        stack.push_async_callback(model.aclose)
        yield Session(model, is_sandbox)


def writable_store(place: str | None) -> FsspecImageStore:
    """Return the store for a place, after finding out, before anything is paid, whether a folder can be written to.

    Raises:
        BadPlaceError: If it cannot.
    """
    store = FsspecImageStore(place) if place else FsspecImageStore()
    try:
        tempfile.TemporaryFile(dir=store.temporary_folder()).close()
    except OSError as error:
        raise BadPlaceError(f"Pictures cannot be written there: {error}; choose another place with -o") from error
    return store


def shown(location: str) -> str:
    """Shorten a path below the current folder."""
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location
