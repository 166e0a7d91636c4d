"""What the command prints for one prompt: progress on a terminal, plain lines elsewhere, or one JSON object."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

from langchain_core.messages import AIMessage, AIMessageChunk
from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from langchain_mistral_imagegen._cli.report import Report, Stored, facts_of, path_and_size, times, waiting_text
from langchain_mistral_imagegen._cli.result import Result, result
from langchain_mistral_imagegen._cli.wording import in_words_of_the_command
from langchain_mistral_imagegen._messages.markdown import to_markdown
from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen.images import ImageRef


class JsonReport(Report):
    """Prints one `Result` on standard output, also for an error, even if some images were stored.

    Args:
        facts: What is known of the result from the beginning.
    """

    def __init__(self, **facts: Any) -> None:
        super().__init__()
        self._facts = facts
        self._result: Result | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Print the result, unless `failed` will."""
        if error is None and self._result:
            self.print(json.dumps(self._result))

    def failed(self, reason: str) -> None:
        """Print the result with the error that explains why images are missing."""
        facts = {**self._facts, **dict(self._result or {}), "error": in_words_of_the_command(reason)}
        facts |= {"rescue": self.rescue} if self.rescue else {}
        self.print(json.dumps({**result("failed", facts), "outcome": "unfinished" if self.rescue else "failed"}))

    def aborted(self, reason: str) -> None:
        """Print the result with the error; the command that fetches what was paid for is part of it."""
        self.failed(reason)

    def finished(self, answer: AIMessage, stored: Stored) -> None:
        """Keep the result, to print it at the end."""
        self.paths += [path for _, path in stored]
        images = [{"path": path, **ref} for ref, path in stored]
        paths = {ref["id"]: path for ref, path in stored}
        facts = facts_of(answer) | {"markdown": to_markdown(answer, url=lambda ref: paths.get(ref["id"]))}
        self.keep(result("stored" if stored else "text", {**self._facts, "images": images, **facts}))

    def keep(self, finished: Result) -> None:
        """Keep a result, to print it at the end."""
        self._result = finished


class TextReport(Report):
    """Prints text and results on standard output; a spinner and byte counts on standard error, if it is a terminal."""

    def __init__(self) -> None:
        super().__init__()
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
        self._stop_status()
        _stop(self._progress)
        self._end_line()

    def chunk_received(self, chunk: AIMessageChunk) -> None:
        """Print text, or show that an image is being drawn."""
        for block in chunk.content:
            if isinstance(block, dict) and block["type"] == "tool.execution":
                self._show_tool(block)
        self.text_received(chunk.text)

    def looking(self, wait: float) -> None:
        """See `Report.looking`; the whole answer will be printed, with the part that is already on the screen."""
        self._stop_status()
        self._end_line()
        super().looking(wait)

    def waiting(self, seconds: float, reason: str) -> None:
        """See `Report.waiting`; the spinner shows it."""
        if self._status:
            self._status.update(Text(one_line(waiting_text(seconds, reason))))

    def text_received(self, text: str) -> None:
        """Print text."""
        text = self._held + text
        line = text.rstrip("\n")
        self._held = text[len(line) :]
        if line:
            self._stop_status()
            self.print(line, end="")
            self._at_line_start = False

    def bytes_received(self, ref: ImageRef, count: int) -> None:
        """Show the bytes received."""
        self._stop_status()
        self._end_line()
        if not self._tasks:
            self._progress.start()
        if ref["id"] not in self._tasks:
            self._tasks[ref["id"]] = self._progress.add_task(
                one_line(f"Downloading {ref.get('file_name', ref['id'])}"), total=None
            )
        self._progress.update(self._tasks[ref["id"]], completed=count)

    def finished(self, answer: AIMessage, stored: Stored) -> None:
        """Print the paths and sizes of the images, and the usage."""
        self._stop_status()
        _stop(self._progress)
        self._end_line()
        self.paths += [path for _, path in stored]
        for ref, path in stored:
            self.print(path_and_size(ref, path))
        self.print("".join(filter(None, (_usage(answer), self.cost(answer.response_metadata.get("connectors"))))))

    def _show_tool(self, block: dict[str, Any]) -> None:
        self._arguments += block.get("arguments", "")
        if self._status and "status" not in block:
            self._end_line()
            self._status.update(Text(f"Drawing {one_line(_tool_prompt(self._arguments))}"))
            self._status.start()
        if "status" in block:
            self._arguments = ""

    def _stop_status(self) -> None:
        if self._status:
            self._status.stop()

    def _end_line(self) -> None:
        if not self._at_line_start:
            self.print("")
            self._at_line_start, self._held = True, ""


def _tool_prompt(arguments: str) -> str:
    """Return the prompt in the arguments of a tool call, if they are complete."""
    try:
        return str(json.loads(arguments)["prompt"])
    except (ValueError, KeyError, TypeError):
        return "an image"


def _usage(answer: AIMessage) -> str:
    usage = answer.usage_metadata
    calls = answer.response_metadata.get("connectors") or {}
    tools = "".join(f", {one_line(name)} called {times(count)}" for name, count in calls.items())
    if not usage:
        return f"Usage: not reported{tools}"
    return f"Usage: {usage['input_tokens']:,} tokens in, {usage['output_tokens']:,} out{tools}"


def _stop(progress: Progress) -> None:
    """Stop a progress display that has been started."""
    if progress.live.is_started:  # before rich 15, stopping one that was not started prints an empty line
        progress.stop()


def report_for(*, as_json: bool, quiet: bool, prompt: str) -> Report:
    """Return the report that the options choose."""
    if as_json:
        return JsonReport(prompt=prompt)
    return Report() if quiet else TextReport()
