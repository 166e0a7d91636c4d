"""What the check found out: a table, JSON, and a file for a bug report."""

from __future__ import annotations

import io
import json
import os
import platform
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.visit import Visit
from langchain_mistral_imagegen._printable import printable
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._version import __version__

_FITS = {True: "yes", False: "NO", None: "open"}


class CheckReport:
    """The questions and their answers.

    Attributes:
        rows: Questions with their answers, in order.
        left: What could not be deleted.
    """

    def __init__(self, visit: Visit, *, is_paid: bool) -> None:
        self.rows: list[tuple[Question, Finding]] = []
        self.left: list[str] = []
        self._visit = visit
        self._is_paid = is_paid

    def add(self, question: Question, finding: Finding) -> None:
        """Add an answer."""
        self.rows.append((question, finding))

    @property
    def all_fit(self) -> bool:
        """Whether all is as the package assumes; a question that stays open does not count."""
        return bool(self.rows) and all(finding.fits is not False for _, finding in self.rows)

    def as_table(self) -> str:
        """Return a table as wide as the terminal, and below it what does not fit means for users."""
        table = Table(show_lines=True)
        for title in ("Question", "Answer", "The package assumes", "Fits?"):
            table.add_column(title, overflow="fold")
        for question, finding in self.rows:
            cells = (question.text, finding.answer, question.assumes, _FITS[finding.fits])
            table.add_row(*(Text(printable(_without_secrets(cell))) for cell in cells))
        console = Console(file=io.StringIO(), width=Console().width)
        console.print(table)
        for question, finding in self.rows:
            if finding.fits is False:
                console.print(Text(f"{question.text} If not as assumed: {question.otherwise}."))
        return str(console.file.getvalue())  # type: ignore[attr-defined]  # the StringIO above

    def as_json(self, *, indent: int | None = None, evidence: bool = False) -> str:
        """Return a JSON object, perhaps with what the server sent, in outline."""
        content = {
            "version": __version__,
            "python": platform.python_version(),
            "host": self._visit.host,
            "model": self._visit.model,
            "paid": self._is_paid,
            "findings": [_row(question, finding, evidence=evidence) for question, finding in self.rows],
            "not_deleted": self.left,
        }
        return _without_secrets(json.dumps(SignedUrls().redact(content, "redacted"), indent=indent))


def _row(question: Question, finding: Finding, *, evidence: bool) -> dict[str, Any]:
    row = {"name": question.name, "question": question.text, "answer": finding.answer, "assumes": question.assumes}
    more = {"evidence": finding.evidence} if evidence else {}
    otherwise = {"otherwise": question.otherwise} if finding.fits is False else {}
    return {**row, "fits": finding.fits, **otherwise, **more}


def _without_secrets(text: str) -> str:
    """Remove the key and signed URLs; neither should be in an answer, but the server's words are not ours."""
    key = os.environ.get("MISTRAL_API_KEY", "").strip()
    text = str(SignedUrls().redact(text, "redacted"))
    return text.replace(key, "***") if len(key) > len("sandbox") else text
