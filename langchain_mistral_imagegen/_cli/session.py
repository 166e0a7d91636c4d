"""Connect to Mistral or to the sandbox."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen.chat_models import ChatMistralConversations

_SETTINGS = (
    "model",
    "agent_id",
    "instructions",
    "base_url",
    "timeout",
    "answer_within",
)  # options that are settings of the model


@dataclass(frozen=True)
class Session:
    """A connection to Mistral, or to a sandbox that takes its place.

    Attributes:
        model: The model that draws.
        is_sandbox: Whether it is connected to a sandbox that ends with the command.
    """

    model: ChatMistralConversations
    is_sandbox: bool


@asynccontextmanager
async def session(
    args: argparse.Namespace, notice: Callable[[str], None], *, needs_key: str = ""
) -> AsyncIterator[Session]:
    """Connect to the server the user chose; without a key and a server, to a local sandbox.

    Args:
        args: Options of the command; some are settings of the model.
        notice: Called with a sentence when the sandbox is used.
        needs_key: Why a new and empty sandbox would be of no use; empty if it is.

    Raises:
        UsageError: If the key is missing, or a setting is wrong.
    """
    settings = _settings(args)
    key = os.environ.get("MISTRAL_API_KEY", "").strip()
    if not key and "base_url" in settings:
        raise UsageError(
            "No API key: set MISTRAL_API_KEY; to use the local sandbox, leave out --base-url and MISTRAL_BASE_URL"
        )
    if not key and needs_key:
        raise UsageError(f"No API key: set MISTRAL_API_KEY. {needs_key}")
    async with AsyncExitStack() as stack:
        if not key:
            from langchain_mistral_imagegen.sandbox import Sandbox  # noqa: PLC0415  # needs the extra `sandbox`

            notice("No MISTRAL_API_KEY: using the local sandbox; its images are placeholders.")
            settings |= {"base_url": stack.enter_context(Sandbox()).url}
        model = _model({**settings, "api_key": key or "sandbox"})
        stack.push_async_callback(model.aclose)
        yield Session(model, is_sandbox=not key)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given; any value counts, also 0 and an empty text."""
    options = {name: getattr(args, name, None) for name in _SETTINGS}
    if options["base_url"] is None:
        options["base_url"] = os.environ.get("MISTRAL_BASE_URL") or None
    if not (options["base_url"] or "https://").startswith(("http://", "https://")):
        raise UsageError("--base-url and MISTRAL_BASE_URL must start with http:// or https://")
    return {name: value for name, value in options.items() if value is not None}


def _model(settings: dict[str, Any]) -> ChatMistralConversations:
    try:
        return ChatMistralConversations(**settings)
    except ValidationError as error:
        raise UsageError("; ".join(_reason(one["loc"], one["msg"]) for one in error.errors())) from None


def _reason(field: tuple[int | str, ...], message: str) -> str:
    name = "MISTRAL_API_KEY" if "api_key" in str(field) else ".".join(map(str, field))
    return ": ".join(filter(None, (name, message.removeprefix("Value error, "))))
