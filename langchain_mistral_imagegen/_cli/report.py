"""`Report`: what every command prints, and how it words it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from langchain_core.messages import AIMessage, AIMessageChunk

from langchain_mistral_imagegen._cli.wording import in_words_of_the_command
from langchain_mistral_imagegen._printable import printable
from langchain_mistral_imagegen.costs import PRICES
from langchain_mistral_imagegen.images import ImageRef

Stored = Sequence[tuple[ImageRef, str]]  # references, and the paths of the images


def facts_of(answer: AIMessage) -> dict[str, Any]:
    """Return the facts of an answer as JSON: its text, usage, conversation, model and connectors."""
    metadata = answer.response_metadata
    facts = {name: metadata.get(name) for name in ("conversation_id", "model_name", "agent_id", "connectors")}
    return {"text": answer.text, "usage": answer.usage_metadata, **facts}


class Report:
    """Prints paths on standard output, and notices and errors on standard error.

    Attributes:
        rescue: The command that fetches what was paid for, while it is not stored; else empty.
        paths: Where images were stored.
        is_free: Whether the sandbox answers.
    """

    def __init__(self) -> None:
        self.rescue = ""
        self.paths: list[str] = []
        self.is_free = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing progress."""

    def notice(self, text: str) -> None:
        """Print something the user should know first."""
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201

    def failed(self, reason: str) -> None:
        """Print why there is no image."""
        text = printable(f"mistral-imagegen: {in_words_of_the_command(reason)}")
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def aborted(self, reason: str) -> None:
        """Print why the command ends, and how to fetch what was paid for."""
        self.failed(reason)
        if self.rescue:
            self.notice(f"To fetch what may be paid for: {self.rescue}")

    def output_failed(self, error: OSError) -> None:
        """Print that standard output failed, and where the images are; a reader that stops reading is no error."""
        if self.paths:
            self.notice(f"Cannot write to standard output: {error.strerror}. Stored: {', '.join(self.paths)}")
        elif not isinstance(error, BrokenPipeError):
            self.notice(f"Cannot write to standard output: {error.strerror}.")

    def chunk_received(self, chunk: AIMessageChunk) -> None:
        """Take a chunk of the answer."""

    def looking(self, wait: float) -> None:
        """Print that the answer did not arrive, and how long the command looks for it.

        Args:
            wait: Seconds.
        """
        self.notice(f"The answer did not arrive. Looking for it at Mistral for up to {wait:g} seconds.")

    def waiting(self, seconds: float, reason: str) -> None:
        """Take that the server refused for now, and in how many seconds the command sends the request again."""

    def text_received(self, text: str) -> None:
        """Take text of the answer."""

    def bytes_received(self, ref: ImageRef, count: int) -> None:
        """Take the number of bytes of an image received so far."""

    def finished(self, answer: AIMessage, stored: Stored) -> None:
        """Print the paths of the images; on standard error, the text of an answer without images."""
        self.paths += [path for _, path in stored]
        if not stored:
            self.notice(answer.text)
        for path in self.paths:
            self.print(path)

    def cost(self, connectors: Mapping[str, int] | None) -> str:
        """Return about what images cost, as the end of a line; empty if nothing, or if no price is known."""
        count = (connectors or {}).get("image_generation", 0)
        price = PRICES.of("image_generation", "calls")
        if not count or price is None or self.is_free:
            return ""
        images = "1 image" if count == 1 else f"{count} images"
        return f"; about {count * price:.2f} {PRICES.currency} for {images}"

    def print(self, text: str, end: str = "\n") -> None:
        """Print to standard output, at once."""
        print(printable(text), end=end, flush=True)  # noqa: T201


def waiting_text(seconds: float, reason: str) -> str:
    """Return what the command waits for, and until when."""
    until = (datetime.now(UTC).astimezone() + timedelta(seconds=seconds)).strftime("%H:%M:%S")
    what = "the quota" if "rate limit" in reason.lower() else "the server"
    return f"Waiting for {what} until {until}"


def path_and_size(ref: ImageRef, path: str) -> str:
    """Return the path of a stored image with its size in pixels, if known, and bytes."""
    pixels = f"{ref['width']}x{ref['height']} pixels, " if "width" in ref else ""
    return f"{path} ({pixels}{ref['size_bytes']:,} bytes)"


def times(count: int) -> str:
    """Return a count as words."""
    return "once" if count == 1 else f"{count} times"
