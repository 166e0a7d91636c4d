"""What the command shows of many prompts: progress on a terminal, a line per prompt, or a JSON object per prompt."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from langchain_core.messages import AIMessage
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from langchain_mistral_imagegen._cli.manifest import Record
from langchain_mistral_imagegen._cli.prompts import Prompt
from langchain_mistral_imagegen._cli.report import Report, Stored, facts_of, printable, times
from langchain_mistral_imagegen.images import ImageRef

_SUMMARY = {
    "stored": "stored",
    "text": "answered without a picture",
    "failed": "failed",
    "skipped": "done before",
    "unfinished": "unfinished",
    "left": "not asked",
}


class BatchReport(Report):
    """Tells the paths of new pictures, and on standard error what failed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def began(self, prompts: Sequence[Prompt]) -> None:
        """Take all that there is to do."""

    def working(self, prompt: Prompt, what: str) -> None:
        """Take what is being done for a prompt."""

    def answered(self, answer: AIMessage) -> None:
        """Take an answer that was just paid for."""

    def fetched(self, prompt: Prompt, ref: ImageRef, count: int) -> None:
        """Take the number of bytes received of a picture so far."""

    def ended(self, prompt: Prompt, outcome: str, record: Record, stored: Stored) -> None:
        """Tell what came of a prompt.

        Args:
            prompt: The prompt.
            outcome: One of the names of the summary.
            record: What stands in the manifest.
            stored: Its pictures, and where they are.
        """
        self.counts[outcome] += 1
        if outcome in {"failed", "unfinished"}:
            self.failed(f"{prompt.id}: {record.get('error', 'it was interrupted; --resume looks for the answer')}")
        elif outcome != "skipped":
            self.told(prompt, record, stored)

    def told(self, prompt: Prompt, record: Record, stored: Stored) -> None:  # noqa: ARG002  # others show more
        """Tell what was stored, or said instead."""
        for _, path in stored:
            self.say(path)

    def left(self, prompt: Prompt) -> None:  # noqa: ARG002  # others show more
        """Take a prompt that was not asked, because it would have been refused as well."""
        self.counts["left"] += 1

    def summed_up(self, place: str) -> None:
        """Tell how many prompts came to what."""


class JsonBatchReport(BatchReport):
    """One JSON object per prompt on standard output, in the order in which they end."""

    def ended(self, prompt: Prompt, outcome: str, record: Record, stored: Stored) -> None:
        """See `BatchReport.ended`; failures are in the object."""
        self.counts[outcome] += 1
        paths = {ref["id"]: {"path": path} for ref, path in stored}
        images = [{**paths.get(ref["id"], {}), **ref} for ref in record.get("images", ())]
        self._tell({**record, "images": images, "outcome": outcome, "id": prompt.id})

    def left(self, prompt: Prompt) -> None:
        """See `BatchReport.left`."""
        super().left(prompt)
        self._tell({"id": prompt.id, "prompt": prompt.text, "images": [], "outcome": "left"})

    def _tell(self, told: dict[str, object]) -> None:
        self.say(json.dumps(told))


class TextBatchReport(BatchReport):
    """A line per prompt and a summary on standard output; bars on standard error, if that is a terminal."""

    def __init__(self) -> None:
        super().__init__()
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
        )
        self._progress = Progress(
            *columns,
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # what goes to a file must not be shown instead
        )
        self._overall: TaskID | None = None
        self._count = 0
        self._tasks: dict[str, TaskID] = {}
        self._called: Counter[str] = Counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing progress."""
        self._stop_progress()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def began(self, prompts: Sequence[Prompt]) -> None:
        """Show the bar of all."""
        self._overall = self._progress.add_task("all", total=len(prompts), state=f"0 of {len(prompts)}")
        self._count = len(prompts)

    def working(self, prompt: Prompt, what: str) -> None:
        """Show the bar of a prompt."""
        if prompt.id not in self._tasks:
            self._tasks[prompt.id] = self._progress.add_task(printable(prompt.id), total=None, state=what)
        self._progress.update(self._tasks[prompt.id], state=what)

    def answered(self, answer: AIMessage) -> None:
        """Count what Mistral bills."""
        self._called.update(facts_of(answer)["connectors"] or {})

    def fetched(self, prompt: Prompt, ref: ImageRef, count: int) -> None:  # noqa: ARG002  # mostly there is but one
        """Show the bytes received."""
        self.working(prompt, f"downloading, {count:,} bytes")

    def ended(self, prompt: Prompt, outcome: str, record: Record, stored: Stored) -> None:
        """See `BatchReport.ended`."""
        if prompt.id in self._tasks:
            self._progress.remove_task(self._tasks.pop(prompt.id))
        if self._overall is not None:
            done = self.counts.total() + 1
            self._progress.update(self._overall, completed=done, state=f"{done} of {self._count}")
        super().ended(prompt, outcome, record, stored)

    def told(self, prompt: Prompt, record: Record, stored: Stored) -> None:
        """Tell where the pictures are, or what was said instead."""
        for ref, path in stored:
            size = f"{ref['width']}x{ref['height']} pixels, " if "width" in ref else ""
            self.say(f"{prompt.id}: {path} ({size}{ref['size_bytes']:,} bytes)")
        if not stored:
            self.say(f"{prompt.id}: no picture: {record.get('text', '')}")

    def _stop_progress(self) -> None:
        if self._progress.live.is_started:  # before rich 15, what was not started ends with an empty line
            self._progress.stop()

    def summed_up(self, place: str) -> None:
        """Tell how many prompts came to what."""
        self._stop_progress()
        self.counts["unfinished"] += len(self._tasks)  # interrupted
        self.counts["left"] += self._count - self.counts.total()
        told = [f"{self.counts[outcome]} {words}" for outcome, words in _SUMMARY.items() if self.counts[outcome]]
        called = [f"{name} called {times(count)}" for name, count in self._called.items()]
        self.say("; ".join([", ".join(told) or "Nothing was done", *called, f"see {place}"]))


def batch_report(*, as_json: bool, quiet: bool) -> BatchReport:
    """Choose how to report."""
    if as_json:
        return JsonBatchReport()
    return BatchReport() if quiet else TextBatchReport()
