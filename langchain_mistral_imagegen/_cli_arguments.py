"""What can be said to the command, and what its exit codes mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from langchain_mistral_imagegen._version import __version__

PICTURE, NO_PICTURE, BAD_USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
CONCURRENCY = 4

_EPILOG = """\
many prompts:
  --from takes a text file with a prompt per line (blank lines and lines with # are left out), or JSON lines such as
  {"prompt": "Draw a cat.", "id": "cat"}; - reads either from stdin. What became of each prompt stands in manifest.jsonl
  beside the pictures. A second run asks only for what was not paid yet; with --resume it also looks at Mistral for
  answers that were lost, and downloads what is missing. Nothing is paid for twice.

Without MISTRAL_API_KEY a local sandbox answers: free, offline, its pictures are placeholders.

exit codes: 0 picture, 1 an answer without a picture, 2 bad usage, 3 API error, 130 interrupted
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments, and the prompt from standard input if it shall come from there."""
    parser = _drawing()
    args = parser.parse_args(argv)
    if args.prompts is None and args.prompt is None:
        parser.error("the following arguments are required: prompt (or --from)")
    if args.prompts is not None and args.prompt is not None:
        parser.error("argument --from: not allowed with a prompt")
    if args.prompt is not None:
        args.prompt = (sys.stdin.read() if args.prompt == "-" else args.prompt).strip()
        if not args.prompt:
            parser.error("the prompt is empty")
    return args


def refuse(reason: str) -> NoReturn:
    """Tell that the command cannot be used like this, and exit."""
    _drawing().error(reason)


def _drawing() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mistral-imagegen",
        description="Generate pictures with Mistral.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "prompt", nargs="?", help='what to ask for, such as "Generate an orange cat in an office."; - reads stdin'
    )
    _add_drawing_options(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _add_drawing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="PLACE", help="folder or fsspec URL for the pictures (default: generated_images)"
    )
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--model", help="model to ask (default: mistral-medium-latest)")
    whom.add_argument("--agent-id", metavar="ID", help="agent to ask instead of a model")
    _add_server(parser)
    parser.add_argument("--no-stream", action="store_true", help="print the text when it is complete")
    parser.add_argument("--json", action="store_true", help="print one JSON object per prompt and nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the paths only")
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="to wait for a silent server (default: 300)",
    )
    many = parser.add_argument_group("many prompts")
    many.add_argument(
        "--from", dest="prompts", metavar="FILE", help="ask for each prompt of a .txt or .jsonl file, or -"
    )
    many.add_argument("--resume", action="store_true", help="finish what an earlier run has paid for, then go on")
    many.add_argument(
        "--concurrency", type=_positive, default=CONCURRENCY, metavar="N", help="prompts at once (default: %(default)s)"
    )
    many.add_argument("--manifest", metavar="FILE", help="where it is kept (default: manifest.jsonl in the folder)")


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base-url", metavar="URL", help="server (default: MISTRAL_BASE_URL or https://api.mistral.ai)"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
