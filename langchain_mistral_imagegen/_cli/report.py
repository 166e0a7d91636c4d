"""What the command shows: text as it comes and progress on a terminal, plain lines elsewhere, or one JSON object."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from langchain_core.messages import AIMessage, AIMessageChunk
from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from langchain_mistral_imagegen.images import ImageRef

Stored = Sequence[tuple[ImageRef, str]]  # references, and where the pictures are
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Leave out what a terminal would obey: prompts, answers and file names are anybody's."""
    return _CONTROL.sub("", text)


def facts_of(answer: AIMessage) -> dict[str, Any]:
    """Return what an answer says of itself, as JSON."""
    metadata = answer.response_metadata
    told = {name: metadata.get(name) for name in ("conversation_id", "model_name", "agent_id", "connectors")}
    return {"text": answer.text, "usage": answer.usage_metadata, **told}


class Report:
    """Tells nothing but what matters in every mode: a notice, and what failed, both on standard error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing progress."""

    def notice(self, text: str) -> None:
        """Tell something the user should know first."""
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201

    def failed(self, reason: str) -> None:
        """Tell why there is no picture."""
        print(printable(f"mistral-imagegen: {reason}"), file=sys.stderr, flush=True)  # noqa: T201

    def heard(self, chunk: AIMessageChunk) -> None:
        """Take a piece of the answer."""

    def looking(self, wait: float) -> None:
        """Tell that the answer did not arrive, and is looked for at Mistral for so many seconds."""
        self.notice(f"The answer did not arrive; looking for it at Mistral, for up to {wait:g} seconds")

    def said(self, text: str) -> None:
        """Take text of the answer."""

    def received(self, ref: ImageRef, count: int) -> None:
        """Take the number of bytes received of a picture so far."""

    def finished(self, answer: AIMessage, stored: Stored) -> None:
        """Tell what came of it."""
        if not stored:
            self.say(answer.text)
        for _, path in stored:
            self.say(path)

    def say(self, text: str, end: str = "\n") -> None:
        """Print to standard output, at once."""
        print(printable(text), end=end, flush=True)  # noqa: T201


class JsonReport(Report):
    """One JSON object on standard output, also for a failure, even if some pictures were stored."""

    def __init__(self) -> None:
        self._result: dict[str, Any] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Tell the result, unless `failed` is going to."""
        if error is None:
            self.say(json.dumps(self._result))

    def failed(self, reason: str) -> None:
        """Tell why there is no picture, or not all of them."""
        self.say(json.dumps({**self._result, "error": reason}))

    def finished(self, answer: AIMessage, stored: Stored) -> None:
        """Remember what came of it."""
        self._result = {"images": [{"path": path, **ref} for ref, path in stored], **facts_of(answer)}


class TextReport(Report):
    """Text and results on standard output; a spinner and byte counts on standard error, if that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._status = console.status("Waiting for the answer") if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._arguments = ""
        self._at_line_start = True
        self._held = ""  # line ends, kept back until more text follows

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing progress."""
        self._quiet_down()
        self._stop_progress()
        self._end_line()

    def heard(self, chunk: AIMessageChunk) -> None:
        """Print text, or show that a picture is being drawn."""
        for block in chunk.content:
            if isinstance(block, dict) and block["type"] == "tool.execution":
                self._show_tool(block)
        self.said(chunk.text)

    def looking(self, wait: float) -> None:
        """See `Report.looking`; what had arrived will be printed again, as a part of the whole."""
        self._quiet_down()
        self._end_line()
        super().looking(wait)

    def said(self, text: str) -> None:
        """Print text."""
        text = self._held + text
        shown = text.rstrip("\n")
        self._held = text[len(shown) :]
        if shown:
            self._quiet_down()
            self.say(shown, end="")
            self._at_line_start = False

    def received(self, ref: ImageRef, count: int) -> None:
        """Show the bytes received."""
        self._quiet_down()
        self._end_line()
        if not self._tasks:
            self._progress.start()
        if ref["id"] not in self._tasks:
            self._tasks[ref["id"]] = self._progress.add_task(
                printable(f"Downloading {ref.get('file_name', ref['id'])}"), total=None
            )
        self._progress.update(self._tasks[ref["id"]], completed=count)

    def finished(self, answer: AIMessage, stored: Stored) -> None:
        """Tell where the pictures are and what they cost."""
        self._quiet_down()
        self._stop_progress()
        self._end_line()
        for ref, path in stored:
            size = f"{ref['width']}x{ref['height']} pixels, " if "width" in ref else ""
            self.say(f"{path} ({size}{ref['size_bytes']:,} bytes)")
        self.say(_usage(answer))

    def _show_tool(self, block: dict[str, Any]) -> None:
        self._arguments += block.get("arguments", "")
        if self._status and "status" not in block:
            self._end_line()
            self._status.update(Text(f"Drawing {printable(_drawn(self._arguments))}"))
            self._status.start()
        if "status" in block:
            self._arguments = ""

    def _quiet_down(self) -> None:
        if self._status:
            self._status.stop()

    def _stop_progress(self) -> None:
        if self._progress.live.is_started:  # before rich 15, what was not started ends with an empty line
            self._progress.stop()

    def _end_line(self) -> None:
        if not self._at_line_start:
            self.say("")
            self._at_line_start, self._held = True, ""


def _drawn(arguments: str) -> str:
    """Return the prompt in a tool's arguments, as far as they are complete."""
    try:
        return str(json.loads(arguments)["prompt"])
    except (ValueError, KeyError, TypeError):
        return "a picture"


def _usage(answer: AIMessage) -> str:
    usage = answer.usage_metadata
    calls = answer.response_metadata.get("connectors") or {}
    tools = "".join(f", {name} called {times(count)}" for name, count in calls.items())
    if not usage:
        return f"Usage: not reported{tools}"
    return f"Usage: {usage['input_tokens']:,} tokens in, {usage['output_tokens']:,} out{tools}"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def report_for(*, as_json: bool, quiet: bool) -> Report:
    """Choose how to report."""
    if as_json:
        return JsonReport()
    return Report() if quiet else TextReport()
