"""The command `mistral-imagegen`: a prompt in, a picture in a file."""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_mistral_imagegen._names import picture_name
from langchain_mistral_imagegen._version import __version__

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

    from langchain_mistral_imagegen._report import Report
    from langchain_mistral_imagegen.chat_models import ChatMistralConversations
    from langchain_mistral_imagegen.images import ImageRef
    from langchain_mistral_imagegen.stores import ImageStore

PICTURE, NO_PICTURE, BAD_USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130

_EPILOG = """\
Without MISTRAL_API_KEY a local sandbox answers: free, offline, its pictures are placeholders.

exit codes: 0 picture, 1 an answer without a picture, 2 bad usage, 3 API error, 130 interrupted
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mistral-imagegen",
        description="Generate a picture with Mistral.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompt", help='what to ask for, such as "Generate an orange cat in an office."; - reads stdin')
    parser.add_argument(
        "-o", "--output", metavar="PLACE", help="folder or fsspec URL for the pictures (default: generated_images)"
    )
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--model", help="model to ask (default: mistral-medium-latest)")
    whom.add_argument("--agent-id", metavar="ID", help="agent to ask instead of a model")
    parser.add_argument(
        "--base-url", metavar="URL", help="server (default: MISTRAL_BASE_URL or https://api.mistral.ai)"
    )
    parser.add_argument("--no-stream", action="store_true", help="print the text when it is complete")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the paths only")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: Arguments; those of the process by default.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    args.prompt = (sys.stdin.read() if args.prompt == "-" else args.prompt).strip()
    if not args.prompt:
        parser.error("the prompt is empty")
    try:
        from langchain_mistral_imagegen._report import report_for  # noqa: PLC0415  # needs the extra `cli`
    except ImportError as error:
        parser.error(f"{error.name} is not installed: pip install 'langchain-mistral-imagegen[cli]'")
    report = report_for(as_json=args.json, quiet=args.quiet)
    return _guarded(args, report)


class _BadPlaceError(Exception):
    """The place for the pictures cannot be written to."""


def _guarded(args: argparse.Namespace, report: Report) -> int:
    """Run, and turn what goes wrong into words and an exit code."""
    from langchain_mistral_imagegen.errors import (  # noqa: PLC0415  # heavy
        AuthenticationError,
        MissingAPIKeyError,
        MistralImagegenError,
    )

    try:
        return asyncio.run(_Command(args, report).run())
    except KeyboardInterrupt:
        report.failed("Interrupted; nothing half-written was left behind")
        return INTERRUPTED
    except (MissingAPIKeyError, ValueError, _BadPlaceError) as error:
        report.failed(str(error))
        return BAD_USAGE
    except AuthenticationError as error:
        report.failed(f"{error}; check MISTRAL_API_KEY")
        return FAILED
    except (MistralImagegenError, OSError) as error:
        report.failed(f"{type(error).__name__}: {error}")
        return FAILED


@dataclass(frozen=True)
class _Command:
    args: argparse.Namespace
    report: Report

    async def run(self) -> int:
        from langchain_mistral_imagegen.stores import image_store  # noqa: PLC0415

        store = image_store(self.args.output)
        _check_writable(store)
        async with AsyncExitStack() as stack:
            model = self._model(stack)
            stack.push_async_callback(model.aclose)
            with self.report:
                return await self._generate(model, store)

    def _model(self, stack: AsyncExitStack) -> ChatMistralConversations:
        from langchain_mistral_imagegen.chat_models import ChatMistralConversations  # noqa: PLC0415

        chosen = {"model": self.args.model, "agent_id": self.args.agent_id, "base_url": self._base_url()}
        options = {name: value for name, value in chosen.items() if value}
        if not os.environ.get("MISTRAL_API_KEY") and "base_url" not in options:
            from langchain_mistral_imagegen.sandbox import Sandbox  # noqa: PLC0415  # needs the extra `sandbox`

            self.report.notice("No MISTRAL_API_KEY: using the local sandbox; its pictures are placeholders.")
            options |= {"base_url": stack.enter_context(Sandbox()).url, "api_key": "sandbox"}
        return ChatMistralConversations(**options)

    def _base_url(self) -> str | None:
        return self.args.base_url or os.environ.get("MISTRAL_BASE_URL")

    async def _generate(self, model: ChatMistralConversations, store: ImageStore) -> int:
        from langchain_mistral_imagegen._references import images_of  # noqa: PLC0415

        answer = await self._ask(model)
        refs = images_of(answer)
        outcomes = await model.astore_images(
            refs, store, name=functools.partial(picture_name, self.args.prompt), on_bytes=self.report.received
        )
        stored: list[ImageRef] = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        self.report.finished(answer, [(ref, _shown(store.location(ref["key"]))) for ref in stored])
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return PICTURE if stored else NO_PICTURE

    async def _ask(self, model: ChatMistralConversations) -> AIMessage:
        if self.args.no_stream:
            answer = await model.ainvoke(self.args.prompt)
            self.report.said(answer.text)
            return answer
        chunks = []
        async for chunk in model.astream(self.args.prompt):
            self.report.heard(chunk)
            chunks.append(chunk)
        return functools.reduce(lambda left, right: left + right, chunks)


def _check_writable(store: ImageStore) -> None:
    """Find out before anything is paid whether a folder can be written to."""
    try:
        if folder := store.temporary_folder():
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _BadPlaceError(f"Pictures cannot be written there: {error}; choose another place with -o") from error


def _shown(location: str) -> str:
    """Shorten a path below the current folder."""
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location


if __name__ == "__main__":
    sys.exit(main())
