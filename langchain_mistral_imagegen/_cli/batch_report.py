"""What the command prints for many prompts: progress on a terminal, a line or a JSON object per prompt."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Self, cast

from langchain_core.messages import AIMessage
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from langchain_mistral_imagegen._cli.manifest import Record
from langchain_mistral_imagegen._cli.prompts import Prompt
from langchain_mistral_imagegen._cli.report import (
    Report,
    Stored,
    facts_of,
    path_and_size,
    times,
    waiting_text,
)
from langchain_mistral_imagegen._cli.result import Outcome, Result, result
from langchain_mistral_imagegen._cli.wording import in_words_of_the_command
from langchain_mistral_imagegen._printable import one_line
from langchain_mistral_imagegen.images import ImageRef

_REFRESH = 0.1  # seconds
_current: ContextVar[Prompt | None] = ContextVar("current prompt", default=None)  # of this task
_SUMMARY = {
    "stored": "stored",
    "text": "answered without an image",
    "failed": "failed",
    "skipped": "done before",
    "no_image_before": "answered without an image before (--retry asks again)",
    "unfinished": "unfinished",
    "not_sent": "not sent",
}


class BatchReport(Report):
    """Prints the paths of new images on standard output, and errors on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def announced(self, count: int) -> None:
        """Take how many prompts will be sent to Mistral, and be paid for."""

    def started(self, prompts: Sequence[Prompt]) -> None:
        """Take the list of prompts."""

    def working(self, prompt: Prompt, what: str) -> None:
        """Take the current step of a prompt."""

    def answered(self, answer: AIMessage) -> None:
        """Take an answer that has just been paid for."""

    def image_bytes_received(self, prompt: Prompt, ref: ImageRef, count: int) -> None:
        """Take the number of bytes of an image received so far."""

    def ended(self, prompt: Prompt, outcome: str, record: Record, stored: Stored) -> None:
        """Print the outcome of a prompt.

        Args:
            prompt: The prompt.
            outcome: A key of the summary, such as `stored` or `failed`.
            record: Its last line in the manifest.
            stored: Its images and their paths.
        """
        self.counts[outcome] += 1
        self.paths += [path for _, path in stored if outcome == "stored"]
        if outcome in {"failed", "unfinished"}:
            self.failed(
                f"{prompt.id}: {record.get('error', 'interrupted; run again with --resume to look for the answer')}"
            )
        elif outcome not in {"skipped", "no_image_before"}:
            self.print_result(prompt, record, stored)

    def print_result(self, prompt: Prompt, record: Record, stored: Stored) -> None:  # noqa: ARG002  # others show more
        """Print the paths of the images."""
        for _, path in stored:
            self.print(path)

    def not_sent(self, prompt: Prompt) -> None:  # noqa: ARG002  # others show more
        """Take a prompt that was not sent because Mistral would have refused it too."""
        self.counts["not_sent"] += 1

    def summarize(self, place: str) -> None:
        """Print how many prompts had which outcome.

        Args:
            place: The path of the manifest.
        """


class JsonBatchReport(BatchReport):
    """Prints one JSON object per prompt on standard output, in the order in which they end."""

    def ended(self, prompt: Prompt, outcome: str, record: Record, stored: Stored) -> None:
        """See `BatchReport.ended`; an error is part of the object."""
        self.counts[outcome] += 1
        self.paths += [path for _, path in stored if outcome == "stored"]
        paths = {ref["id"]: {"path": path} for ref, path in stored}
        images = [{**paths.get(ref["id"], {}), **ref} for ref in record.get("images", ())]
        facts = {**record, "images": images, "id": prompt.id, "prompt": prompt.text}
        self._print_json(result(cast("Outcome", outcome), facts))

    def not_sent(self, prompt: Prompt) -> None:
        """See `BatchReport.not_sent`."""
        super().not_sent(prompt)
        self._print_json(result("not_sent", {"id": prompt.id, "prompt": prompt.text}))

    def failed(self, reason: str) -> None:
        """See `Report.failed`; the reason why the batch ends is a result without a prompt."""
        self._print_json(result("failed", {"error": in_words_of_the_command(reason), "rescue": self.rescue or None}))

    def aborted(self, reason: str) -> None:
        """See `Report.aborted`; the command that continues is part of the result."""
        self.failed(reason)

    def _print_json(self, value: Result) -> None:
        self.print(json.dumps(value))


class TextBatchReport(BatchReport):
    """Prints a line per prompt and a summary on standard output; bars on standard error, if it is a terminal.

    The event loop alone draws and prints: a thread that refreshed the bars would write into the lines.
    """

    def __init__(self) -> None:
        super().__init__()
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
        )
        self._progress = Progress(*columns, console=console, auto_refresh=False)
        self._live: Live | None = None
        self._overall: TaskID | None = None
        self._count = 0
        self._tasks: dict[str, TaskID] = {}
        self._states: dict[str, str] = {}
        self._called: Counter[str] = Counter()
        self._tick: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._show()
            self._refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing progress."""
        if self._tick:
            self._tick.cancel()
        self._hide()

    def _refresh(self) -> None:
        if self._live:
            self._live.refresh()
        self._tick = asyncio.get_running_loop().call_later(_REFRESH, self._refresh)

    def _show(self) -> None:
        self._live = Live(
            self._progress,
            console=self._progress.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _hide(self) -> None:
        if self._live:
            self._live.stop()
        self._live = None

    @contextmanager
    def _without_bars(self) -> Iterator[None]:
        """Take the bars away while a line is printed."""
        is_shown = self._live is not None
        self._hide()
        try:
            yield
        finally:
            if is_shown:
                self._show()

    def print(self, text: str, end: str = "\n") -> None:
        """See `Report.print`."""
        with self._without_bars():
            super().print(text, end)

    def failed(self, reason: str) -> None:
        """See `Report.failed`."""
        with self._without_bars():
            super().failed(reason)

    def notice(self, text: str) -> None:
        """See `Report.notice`."""
        with self._without_bars():
            super().notice(text)

    def announced(self, count: int) -> None:
        """See `BatchReport.announced`; on a terminal, with about what it costs."""
        cost = self.cost({"image_generation": count}).removeprefix("; ")
        if self._progress.console.is_terminal and cost:
            self.notice(f"Sending {count} {'prompt' if count == 1 else 'prompts'}: {cost}, if each draws one.")

    def started(self, prompts: Sequence[Prompt]) -> None:
        """Show the bar for all prompts."""
        self._overall = self._progress.add_task("all", total=len(prompts), state=f"0 of {len(prompts)}")
        self._count = len(prompts)

    def working(self, prompt: Prompt, what: str) -> None:
        """Show the bar of a prompt with its current step."""
        if prompt.id not in self._tasks:
            self._tasks[prompt.id] = self._progress.add_task(one_line(prompt.id), total=None, state=what)
        self._progress.update(self._tasks[prompt.id], state=what)
        self._states[prompt.id] = what
        _current.set(prompt)

    def waiting(self, seconds: float, reason: str) -> None:
        """See `Report.waiting`; the bar of the prompt shows it, and then what it showed before."""
        if prompt := _current.get():
            before = self._states.get(prompt.id, "")
            self.working(prompt, waiting_text(seconds, reason).lower())
            asyncio.get_running_loop().call_later(seconds, self._go_on, prompt, before)

    def _go_on(self, prompt: Prompt, state: str) -> None:
        if self._states.get(prompt.id, "").startswith("waiting"):
            self.working(prompt, state)

    def answered(self, answer: AIMessage) -> None:
        """Count the tool calls that Mistral bills."""
        self._called.update(facts_of(answer)["connectors"] or {})

    def image_bytes_received(self, prompt: Prompt, ref: ImageRef, count: int) -> None:  # noqa: ARG002
        """Show the number of bytes received."""
        self.working(prompt, f"downloading, {count:,} bytes")

    def ended(self, prompt: Prompt, outcome: str, record: Record, stored: Stored) -> None:
        """See `BatchReport.ended`."""
        self._states.pop(prompt.id, None)
        if prompt.id in self._tasks:
            self._progress.remove_task(self._tasks.pop(prompt.id))
        if self._overall is not None:
            done = self.counts.total() + 1
            self._progress.update(self._overall, completed=done, state=f"{done} of {self._count}")
        super().ended(prompt, outcome, record, stored)

    def print_result(self, prompt: Prompt, record: Record, stored: Stored) -> None:
        """Print the paths and sizes of the images, or the text of an answer without images."""
        for ref, path in stored:
            self.print(f"{one_line(prompt.id)}: {path_and_size(ref, path)}")
        if not stored:
            self.print(one_line(f"{prompt.id}: no image: {record.get('text', '')}"))

    def summarize(self, place: str) -> None:
        """Print how many prompts had which outcome.

        Args:
            place: The path of the manifest.
        """
        self._hide()
        self.counts["unfinished"] += len(self._tasks)  # interrupted
        self.counts["not_sent"] += self._count - self.counts.total()
        outcomes = [f"{self.counts[outcome]} {words}" for outcome, words in _SUMMARY.items() if self.counts[outcome]]
        called = [f"{one_line(name)} called {times(count)}" for name, count in self._called.items()]
        done = ", ".join(outcomes) or "Nothing was done"
        self.print("; ".join([done, *called]) + self.cost(self._called) + f"; see {place}")


def batch_report(*, as_json: bool, quiet: bool) -> BatchReport:
    """Return the report that the options choose."""
    if as_json:
        return JsonBatchReport()
    return BatchReport() if quiet else TextBatchReport()
