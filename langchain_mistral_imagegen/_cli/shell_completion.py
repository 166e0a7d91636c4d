"""`mistral-imagegen completion`: a completion script for a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import shtab

from langchain_mistral_imagegen._cli.arguments import full_parser
from langchain_mistral_imagegen._cli.exit_codes import DONE
from langchain_mistral_imagegen._cli.report import Report

_PATHS_BY_METAVAR = {"FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY}


@dataclass(frozen=True)
class CompletionCommand:
    """Prints the completion script of a shell."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Print the script and return the exit code."""
        parser = full_parser()
        for action in _actions(parser):
            if paths := _PATHS_BY_METAVAR.get(str(action.metavar)):
                action.complete = paths  # type: ignore[attr-defined]  # shtab reads it there
        self.report.print(shtab.complete(parser, self.args.shell))
        return DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  # there is no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as shtab does
            for subparser in action.choices.values():
                yield from _actions(subparser)
