"""The command `mistral-imagegen`: a prompt in, a picture in a file; or many of them.

`_cli_arguments` says what can be asked of it, the other `_cli_*` modules carry it out. Here errors become exit codes.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from langchain_mistral_imagegen._cli.arguments import BAD_USAGE, FAILED, INTERRUPTED, parse, refuse

if TYPE_CHECKING:
    from langchain_mistral_imagegen._cli.report import Report


class Command(Protocol):
    """What can be run."""

    @property
    def report(self) -> Report:
        """Where failures are told."""

    async def run(self) -> int:
        """Do it and return the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments; those of the process by default.
    """
    args = parse(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a console cannot show is no reason to stop half-way
    try:
        command = _command(args)
    except ImportError as error:
        refuse(f"{error.name} is not installed: pip install 'langchain-mistral-imagegen[cli]'")
    return _guarded(command)


def _command(args: argparse.Namespace) -> Command:
    # Imported late: help comes at once, and the extra `cli` may be missing.
    match args.command:
        case "batch":
            from langchain_mistral_imagegen._cli.batch import BatchCommand  # noqa: PLC0415

            return BatchCommand.of(args)
        case "gallery":
            from langchain_mistral_imagegen._cli.gallery import GalleryCommand  # noqa: PLC0415

            return GalleryCommand(args)
        case "show":
            from langchain_mistral_imagegen._cli.show import Showing  # noqa: PLC0415

            return Showing(args)
        case "agents":
            from langchain_mistral_imagegen._cli.agents import AgentsCommand  # noqa: PLC0415

            return AgentsCommand(args)
        case "completion":
            from langchain_mistral_imagegen._cli.shell_completion import Completion  # noqa: PLC0415

            return Completion(args)
        case _:
            from langchain_mistral_imagegen._cli.draw import Drawing  # noqa: PLC0415

            return Drawing.of(args)


def _guarded(command: Command) -> int:
    """Run, and turn what goes wrong into words and an exit code."""
    from langchain_mistral_imagegen._cli.session import BadPlaceError  # noqa: PLC0415  # heavy
    from langchain_mistral_imagegen.errors import (  # noqa: PLC0415  # heavy
        AuthenticationError,
        MissingAPIKeyError,
        MistralImagegenError,
    )

    try:
        return asyncio.run(command.run())
    except KeyboardInterrupt:
        command.report.failed("Interrupted; nothing half-written was left behind")
        return INTERRUPTED
    except (MissingAPIKeyError, ValueError, BadPlaceError) as error:
        command.report.failed(str(error))
        return BAD_USAGE
    except AuthenticationError as error:
        command.report.failed(f"{error}; check MISTRAL_API_KEY")
        return FAILED
    except (MistralImagegenError, OSError) as error:
        command.report.failed(f"{type(error).__name__}: {error}")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
