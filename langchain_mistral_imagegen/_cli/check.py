"""`mistral-imagegen check`: find out from the real API what the documentation leaves open."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from langchain_mistral_imagegen._cli.check_report import CheckReport
from langchain_mistral_imagegen._cli.exit_codes import DOES_NOT_FIT, DONE, UsageError
from langchain_mistral_imagegen._cli.report import Report
from langchain_mistral_imagegen._cli.session import session
from langchain_mistral_imagegen._contact.free import FREE, KEY
from langchain_mistral_imagegen._contact.paid import IMAGES, PAID
from langchain_mistral_imagegen._contact.question import Question, ask
from langchain_mistral_imagegen._contact.visit import Visit, tidy
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.costs import PRICES

_WAIT = 30.0  # seconds for what was under way when the check was interrupted
_WAIT_FOR_IMAGES = 90.0  # seconds


@dataclass(frozen=True)
class CheckCommand:
    """Asks the API, prints what it answered, and deletes what the check made."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Run the check and return the exit code."""
        if not os.environ.get("MISTRAL_API_KEY", "").strip():
            raise UsageError("No API key: set MISTRAL_API_KEY. The check asks the real API; the sandbox cannot answer")
        file = _writable(self.args.report)
        self.report.notice(_cost(pay=self.args.pay))
        if self.args.pay and not (self.args.yes or self._agrees()):
            self.report.notice("Nothing was sent.")
            return DONE
        async with session(self.args, self.report.notice) as connected:
            model = connected.model
            host = urlsplit(str(model.base_url)).hostname or ""
            visit = Visit(model=str(model.model), host=host)
            results = CheckReport(visit, is_paid=self.args.pay)
            try:
                await self._ask_all(model, visit, results)
            finally:
                await self._tidy(model, visit, results)
                self._print(results, file)
        return DONE if results.all_fit else DOES_NOT_FIT

    def _agrees(self) -> bool:
        # asyncio's handler would only cancel the task, which waits for the user.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            print("Continue? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
            answer = sys.stdin.readline()
        finally:
            signal.signal(signal.SIGINT, handler)
        if not answer:
            raise UsageError("Nobody answered, so nothing was sent; pass --yes to pay without being asked")
        return answer.strip().lower() in {"y", "yes"}

    async def _ask_all(self, model: ChatMistralConversations, visit: Visit, results: CheckReport) -> None:
        run = model.async_client.run
        results.add(KEY, await run(KEY.find(visit)))  # its error ends the check
        questions = [one for one in self._questions() if one.applies(visit)]
        for place, question in enumerate(questions, 1):
            if sys.stderr.isatty():
                self.report.notice(f"{place}/{len(questions)} {question.text}")
            results.add(question, await run(ask(question, visit)))

    def _questions(self) -> Sequence[Question]:
        return (*FREE, *PAID) if self.args.pay else FREE

    async def _tidy(self, model: ChatMistralConversations, visit: Visit, results: CheckReport) -> None:
        if visit.is_waiting:
            self.report.notice("Deleting what the check made; waiting for what is still under way.")
        if not visit.has_traces:
            return
        wait = _WAIT_FOR_IMAGES if self.args.pay else _WAIT
        results.left = await model.async_client.run(tidy(visit, wait))

    def _print(self, results: CheckReport, file: Path | None) -> None:
        if self.args.json:
            self.report.print(results.as_json())
        elif results.rows:
            self.report.print(results.as_table(), end="")
        for what in results.left:
            self.report.notice(f"Not deleted: {what}")
        if file:
            file.write_text(results.as_json(indent=2, evidence=True) + "\n", encoding="utf-8")
            self.report.notice(f"Written: {file}")


def _writable(name: str | None) -> Path | None:
    """Make sure that the file can be written before anything is paid for."""
    if name is None:
        return None
    try:
        with Path(name).open("a", encoding="utf-8"):
            return Path(name)
    except OSError as error:
        raise UsageError(f"Cannot write {name!r}: {error.strerror}; choose another file with --report") from None


def _cost(*, pay: bool) -> str:
    texts = "The check sends about 30 short requests for text: less than 0.01 USD of tokens."
    price = PRICES.connectors["image_generation"]
    images = f"It draws {IMAGES} images: about {IMAGES * price:.2f} USD (at {price:.2f} USD each, an assumption)."
    return " ".join([texts, images if pay else "It draws no image.", "All that it makes at Mistral is deleted."])
