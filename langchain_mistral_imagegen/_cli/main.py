"""The command `mistral-imagegen`: draw one prompt or many, and turn errors into exit codes.

`arguments.py` defines the options. A module per command runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol

from langchain_mistral_imagegen._cli.arguments import BadArgumentsError, parse, refuse
from langchain_mistral_imagegen._cli.exit_codes import BAD_USAGE, FAILED, INTERRUPTED, UsageError
from langchain_mistral_imagegen._cli.log_handler import log_to
from langchain_mistral_imagegen._cli.standard_streams import UnfailingStream, unfailing_streams

if TYPE_CHECKING:
    from langchain_mistral_imagegen._cli.report import Report


_COMMANDS = {
    "draw": "draw:DrawCommand.of",
    "batch": "batch:BatchCommand.of",
    "gallery": "gallery:GalleryCommand",
    "show": "show:ShowCommand.of",
    "recent": "recent:RecentCommand",
    "gc": "gc:GarbageCommand",
    "agents": "agents:AgentsCommand",
    "check": "check:CheckCommand",
    "completion": "shell_completion:CompletionCommand",
}


class Command(Protocol):
    """A command that can be run."""

    @property
    def report(self) -> Report:
        """Where errors are printed."""

    async def run(self) -> int:
        """Run the command and return its exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments; those of the process by default.
    """
    with unfailing_streams() as output:
        try:
            return _main(argv, output)
        except BadArgumentsError as error:
            print(error, file=sys.stderr)  # noqa: T201
            if "--json" in (sys.argv if argv is None else argv):
                print(json.dumps({"schema_version": 1, "outcome": "failed", "images": [], "error": error.reason}))  # noqa: T201
            return BAD_USAGE
        except SystemExit as end:  # of argparse, after it has printed
            return FAILED if output.error else int(end.code or 0)
        except KeyboardInterrupt:  # before there is a command that could report it
            return INTERRUPTED


def _main(argv: Sequence[str] | None, output: UnfailingStream) -> int:
    args = parse(argv)
    try:
        command = _command(args)
    except ImportError as error:
        refuse(f"{error.name} is not installed: pip install 'langchain-mistral-imagegen[cli]'")
    code = _run(command)
    if output.error is None:
        return code
    command.report.output_failed(output.error)
    return code if code in {FAILED, INTERRUPTED} else FAILED


def _command(args: argparse.Namespace) -> Command:
    # Imported late: `--help` must be fast, and the extra `cli` may be missing.
    make: Callable[[argparse.Namespace], Command] = resolve_name(f"{__package__}.{_COMMANDS[args.command]}")
    return make(args)


def _run(command: Command) -> int:
    """Run the command; print expected errors and return their exit codes. Others are bugs, and keep their traceback."""
    from langchain_mistral_imagegen.errors import (  # noqa: PLC0415  # heavy
        AuthenticationError,
        InvalidInputError,
        MistralImagegenError,
    )

    try:
        with log_to(command.report):
            return asyncio.run(command.run())
    except KeyboardInterrupt:
        command.report.aborted("Interrupted. No partial file was left behind.")
        return INTERRUPTED
    except (UsageError, InvalidInputError) as error:
        command.report.aborted(str(error))
        return BAD_USAGE
    except AuthenticationError as error:
        command.report.aborted(f"{error}; check MISTRAL_API_KEY")
        return FAILED
    except (MistralImagegenError, OSError) as error:
        command.report.aborted(f"{type(error).__name__}: {error}")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
