"""What can be said to the command, and what its exit codes mean."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from langchain_mistral_imagegen._version import __version__

PICTURE, NO_PICTURE, BAD_USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
CONCURRENCY = 4
SHELLS = ("bash", "zsh", "tcsh")
_NAME = "mistral-imagegen"
_COMMANDS = {
    "gallery": "make one HTML page of the pictures in a folder",
    "show": "show a conversation or a file at Mistral",
    "agents": "list, make or delete agents",
    "completion": "print what lets a shell complete this command",
}
_USAGE = f"""\
{_NAME} [options] PROMPT
       {_NAME} [options] --from FILE
       {_NAME} {{{",".join(_COMMANDS)}}} ...
"""
_EPILOG = f"""\
commands, of which each has a --help of its own:
{"".join(f"  {name:<12}{what}" + chr(10) for name, what in _COMMANDS.items())}
  Only the first word can be a command: {_NAME} -- show asks for a picture of a show.

many prompts:
  --from takes a text file with a prompt per line (blank lines and lines with # are left out), or JSON lines such as
  {{"prompt": "Draw a cat.", "id": "cat"}}; - reads either from stdin. What became of each prompt stands in
  manifest.jsonl beside the pictures. A second run asks only for what was not paid yet; with --resume it also looks at
  Mistral for answers that were lost, and downloads what is missing. Nothing is paid for twice.

Without MISTRAL_API_KEY a local sandbox answers: free, offline, its pictures are placeholders.

exit codes: 0 picture, 1 an answer without a picture, 2 bad usage, 3 API error, 130 interrupted
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the arguments, and the prompt from standard input if it shall come from there."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in _COMMANDS:
        return every_parser().parse_args(words)
    parser = _drawing()
    args = parser.parse_args(words)
    args.command = "draw" if args.prompts is None else "batch"
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


def every_parser() -> argparse.ArgumentParser:
    """Return the parser of commands, with the options of drawing, for a shell to complete."""
    parser = argparse.ArgumentParser(prog=_NAME)
    _add_drawing_options(parser)
    commands = parser.add_subparsers(dest="command", prog=_NAME)
    for name, add in (("gallery", _add_gallery), ("show", _add_show), ("agents", _add_agents)):
        add(
            commands.add_parser(
                name, help=_COMMANDS[name], description=f"{_COMMANDS[name][0].upper()}{_COMMANDS[name][1:]}."
            )
        )
    completion = commands.add_parser(
        "completion",
        help=_COMMANDS["completion"],
        description="Print a script for a shell, such as: source <(mistral-imagegen completion bash)",
    )
    completion.add_argument("shell", choices=SHELLS)
    return parser


def _drawing() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_NAME,
        usage=_USAGE,
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
    _add_preview(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per prompt and nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the paths only")
    many = parser.add_argument_group("many prompts")
    many.add_argument("--from", dest="prompts", metavar="FILE", help="a .txt or .jsonl file of prompts, or - for stdin")
    many.add_argument("--resume", action="store_true", help="finish what an earlier run has paid for, then go on")
    many.add_argument(
        "--concurrency", type=_positive, default=CONCURRENCY, metavar="N", help="prompts at once (default: %(default)s)"
    )
    many.add_argument("--manifest", metavar="FILE", help="where it is kept (default: manifest.jsonl in the folder)")


def _add_gallery(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="where the pictures are")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (default: gallery.html in the folder)")
    parser.add_argument("--manifest", metavar="FILE", help="what tells the prompts (default: manifest.jsonl there)")
    parser.add_argument("--title", help="the page's title (default: the folder's name)")
    parser.add_argument("--originals", action="store_true", help="put whole pictures into the page, not reduced ones")


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of a conversation (conv_...) or a file")
    parser.add_argument("-o", "--output", metavar="PLACE", help="download the pictures to this folder or fsspec URL")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _add_preview(parser)
    _add_server(parser)


def _add_agents(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="{list,ensure,delete}", required=True)
    listing = actions.add_parser("list", help="list the agents of the key", description="List the agents of the key.")
    ensure = actions.add_parser(
        "ensure",
        help="make an agent that draws, or change it",
        description="Make an agent that draws, once, or give it a new version if it shall be different; print its id.",
    )
    ensure.add_argument("name", metavar="NAME")
    ensure.add_argument("--model", help="its model (default: mistral-medium-latest)")
    ensure.add_argument("--instructions", metavar="TEXT", help="what it is told before everything else")
    ensure.add_argument("--description", metavar="TEXT", help="what it is for; other agents read it")
    delete = actions.add_parser(
        "delete", help="delete an agent", description="Delete an agent with all its versions, without asking back."
    )
    delete.add_argument("id", metavar="ID")
    for action in (listing, ensure, delete):
        action.add_argument("--json", action="store_true", help="print JSON, an object per agent")
        _add_server(action)


def _add_preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-preview", dest="preview", action="store_false", help="show no pictures on the terminal")


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base-url", metavar="URL", help="server (default: MISTRAL_BASE_URL or https://api.mistral.ai)"
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="to wait for a silent server (default: 300)")


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
