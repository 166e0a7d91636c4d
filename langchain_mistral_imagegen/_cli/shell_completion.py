"""`mistral-imagegen completion`: a script with which a shell completes the command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import shtab

from langchain_mistral_imagegen._cli.arguments import PICTURE, every_parser
from langchain_mistral_imagegen._cli.report import Report

_COMPLETED = {"FILE": shtab.FILE, "PLACE": shtab.DIRECTORY, "FOLDER": shtab.DIRECTORY}  # by what help calls them


@dataclass(frozen=True)
class Completion:
    """Prints the script of a shell."""

    args: argparse.Namespace
    report: Report = field(default_factory=Report)

    async def run(self) -> int:
        """Print it."""
        parser = every_parser()
        for action in _actions(parser):
            if completed := _COMPLETED.get(str(action.metavar)):
                action.complete = completed  # type: ignore[attr-defined]  # where shtab looks
        self.report.say(shtab.complete(parser, self.args.shell))
        return PICTURE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  # there is no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as shtab does
            for below in action.choices.values():
                yield from _actions(below)
