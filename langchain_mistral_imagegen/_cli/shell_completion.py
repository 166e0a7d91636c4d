"""`mistral-imagegen completion`: a completion script for a shell."""

from __future__ import annotations

import argparse
import shlex
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
        self.report.print(_fish(parser) if self.args.shell == "fish" else shtab.complete(parser, self.args.shell))
        return DONE


def _fish(parser: argparse.ArgumentParser) -> str:
    """Return a script for fish, which shtab does not know."""
    commands = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction))  # noqa: SLF001
    lines = [f"complete -c {parser.prog} -f", *_fish_options(parser, "__fish_use_subcommand")]
    for choice in commands._choices_actions:  # noqa: SLF001  # their help is nowhere else
        lines.append(_fish_line(parser, "__fish_use_subcommand", f"-a {choice.dest}", choice.help))
        inside = f"__fish_seen_subcommand_from {choice.dest}"
        lines += _fish_options(commands.choices[choice.dest], inside, parser)
    return "\n".join(lines)


def _fish_options(
    parser: argparse.ArgumentParser, condition: str, root: argparse.ArgumentParser | None = None
) -> Iterator[str]:
    for action in _actions(parser):
        names = " ".join(f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in action.option_strings)
        words = f" -a {shlex.quote(' '.join(map(str, action.choices)))}" if action.choices is not None else ""
        value = " -r" if action.option_strings and action.nargs != 0 else ""
        paths = " -F" if action.metavar in _PATHS_BY_METAVAR else ""
        is_command = isinstance(action, argparse._SubParsersAction)  # noqa: SLF001  # as above
        if (names or words or paths) and not (is_command and root is None):
            yield _fish_line(root or parser, condition, f"{names}{value}{paths}{words}".strip(), action.help)


def _fish_line(parser: argparse.ArgumentParser, condition: str, what: str, help_text: str | None) -> str:
    described = f" -d {shlex.quote((help_text or '').replace('%(default)s', 'default'))}"
    return f"complete -c {parser.prog} -n {shlex.quote(condition)} {what}{described}"


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  # there is no public list
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as shtab does
            for subparser in action.choices.values():
                yield from _actions(subparser)
