"""The arguments of the command, and its help."""

from __future__ import annotations

import argparse
import difflib
import math
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from langchain_mistral_imagegen._prompt_words import INSTRUCTIONS, SHAPES
from langchain_mistral_imagegen._version import __version__

CONCURRENCY = 4
SHELLS = ("bash", "zsh", "tcsh", "fish")
_NAME = "mistral-imagegen"
_COMMANDS = {
    "gallery": "make an HTML page of the images in a folder",
    "show": "show a conversation or a file stored at Mistral",
    "recent": "list the last images of a folder",
    "gc": "list or delete files that nothing refers to",
    "agents": "list, create or delete agents",
    "check": "find out how the real API behaves",
    "completion": "print a completion script for a shell",
}
_USAGE = f"""\
{_NAME} [options] PROMPT
       {_NAME} [options] --from FILE
       {_NAME} {{{",".join(_COMMANDS)}}} ...
"""
_EPILOG = f"""\
commands (each has its own --help):
{"".join(f"  {name:<12}{what}" + chr(10) for name, what in _COMMANDS.items())}
  Only the first word can be a command. This draws the prompt "show":
  {_NAME} -- show

many prompts:
  --from reads a text file with one prompt per line (blank lines and lines that
  start with # are ignored), or a .jsonl file with lines such as
  {{"prompt": "Draw a cat.", "id": "cat"}}. "--from -" reads from standard input.
  The result of each prompt is written to manifest.jsonl in the output folder.
  A second run sends only the prompts that have not been paid for. With --resume
  it also looks at Mistral for answers that did not arrive, and downloads
  missing images. No prompt is paid for twice.

Without MISTRAL_API_KEY, a local sandbox answers. It is free and works offline.
Its images are placeholders.

exit codes:
  0 image, 1 answer without an image, 2 bad usage, 3 API error, 130 interrupted
"""


class BadArgumentsError(Exception):
    """Arguments that the command does not take.

    Attributes:
        reason: What is wrong.
    """

    def __init__(self, usage: str, prog: str, reason: str) -> None:
        super().__init__(f"{usage}{prog}: error: {reason}")
        self.reason = reason


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadArgumentsError(self.format_usage(), self.prog, message)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the arguments; read the prompt from standard input if it is `-`."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in _COMMANDS:
        return full_parser().parse_args(words)
    parser = _draw_parser()
    args, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(_hint(unknown, args.prompt, parser))
    many = next((option for option, is_given in (("--from", args.prompts), ("-n", args.count > 1)) if is_given), None)
    earlier = [f"--{name}" for name in ("conversation", "edit", "image") if getattr(args, name)]
    if many and (given := [*earlier, *(["--continue"] if args.go_on else [])]):
        parser.error(f"argument {given[0]}: not allowed with {many}")
    args.instructions = None if args.agent_id else INSTRUCTIONS  # an agent has its own
    args.command = "batch" if many else "draw"
    if args.prompts is None and args.prompt is None:
        parser.error("the following arguments are required: prompt (or --from)")
    if args.prompts is not None and args.prompt is not None:
        parser.error("argument --from: not allowed with a prompt")
    if args.prompt is not None:
        args.prompt = _prompt(args.prompt, parser)
    return args


def refuse(reason: str) -> NoReturn:
    """Print the usage and the reason why the command cannot run, and exit."""
    _draw_parser().error(reason)


def full_parser() -> argparse.ArgumentParser:
    """Return a parser with all commands and the options for drawing, for shell completion."""
    parser = _Parser(prog=_NAME)
    _add_draw_options(parser)
    commands = parser.add_subparsers(dest="command", prog=_NAME)
    adders = {
        "gallery": _add_gallery,
        "show": _add_show,
        "recent": _add_recent,
        "gc": _add_gc,
        "agents": _add_agents,
        "check": _add_check,
    }
    for name, add in adders.items():
        add(commands.add_parser(name, help=_COMMANDS[name], description=_sentence(_COMMANDS[name])))
    completion = commands.add_parser(
        "completion",
        help=_COMMANDS["completion"],
        description=f"Print a completion script for a shell. Example:\n  source <({_NAME} completion bash)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=SHELLS, help="shell that runs the script")
    return parser


def _draw_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_NAME,
        allow_abbrev=False,  # a mistyped option must not become another one
        usage=_USAGE,
        description="Generate images with Mistral.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompt", nargs="?", help='such as "Generate an orange cat in an office."; - reads stdin')
    _add_draw_options(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _add_draw_options(parser: argparse.ArgumentParser) -> None:
    _add_output(parser, "output folder or URL for the images (default: generated_images)")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--model", type=_text, help="model to use (default: mistral-medium-latest)")
    model.add_argument("--agent-id", type=_text, metavar="ID", help="agent to use instead of a model")
    parser.add_argument("--shape", choices=SHAPES, help="ask for an image of this shape, in words")
    _add_server(parser)
    parser.add_argument("--no-stream", action="store_true", help="print the text only when it is complete")
    _add_preview(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per prompt and nothing else")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the paths of the images")
    _add_earlier(parser.add_argument_group("go on with an earlier image"))
    many = parser.add_argument_group("many images")
    many.add_argument("-n", dest="count", type=_positive, default=1, metavar="N", help="versions of the prompt to draw")
    many.add_argument(
        "--from", dest="prompts", type=_text, metavar="FILE", help=".txt or .jsonl file of prompts; - reads stdin"
    )
    many.add_argument("--resume", action="store_true", help="finish what an earlier run paid for, then continue")
    many.add_argument("--retry", action="store_true", help="send again what was answered without an image")
    many.add_argument(
        "--concurrency",
        type=_positive,
        default=CONCURRENCY,
        metavar="N",
        help="number of prompts at the same time (default: %(default)s)",
    )
    _add_manifest(many, "file for the results (default: manifest.jsonl in the output folder)")


def _add_earlier(group: argparse._ArgumentGroup) -> None:
    earlier = group.add_mutually_exclusive_group()
    earlier.add_argument(
        "--continue", dest="go_on", action="store_true", help="go on with the last image in the output folder"
    )
    earlier.add_argument("--conversation", type=_text, metavar="ID", help="go on with this conversation")
    earlier.add_argument(
        "--edit", type=_text, metavar="FILE", help="go on with the conversation in which this image was drawn"
    )
    group.add_argument("--image", type=_text, metavar="FILE", help="show this image to the model")


def _add_gallery(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=_text, metavar="FOLDER", help="folder with the images")
    parser.add_argument(
        "-o", "--output", type=_text, metavar="FILE", help="the page to write (default: gallery.html in the folder)"
    )
    _add_manifest(parser, "file with the prompts (default: manifest.jsonl in the folder)")
    parser.add_argument("--title", type=_text, help="title of the page (default: the name of the folder)")
    parser.add_argument("--originals", action="store_true", help="include the images in full size, not reduced")


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=_text, metavar="ID", help="id of a conversation (conv_...) or of a file")
    _add_output(parser, "download the images to this output folder or URL")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    _add_preview(parser)
    _add_server(parser)


def _add_recent(parser: argparse.ArgumentParser) -> None:
    _add_output(parser, "output folder with a manifest (default: generated_images)")
    parser.add_argument(
        "-n", dest="count", type=_positive, default=10, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per run")


def _add_gc(parser: argparse.ArgumentParser) -> None:
    _add_output(parser, "image store: a folder or URL (default: generated_images)")
    parser.add_argument(
        "--checkpoints",
        action="append",
        type=_text,
        metavar="FILE",
        help="SQLite file of a LangGraph checkpointer; images that no such file refers to are garbage, too. "
        "Name the files of all programs that use the store",
    )
    parser.add_argument(
        "--days", type=_positive, default=7, metavar="N", help="minimum age of garbage (default: %(default)s)"
    )
    parser.add_argument("--delete", action="store_true", help="delete it; otherwise it is only listed")


def _add_agents(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="{list,ensure,delete}", required=True)
    listing = actions.add_parser("list", help="list all agents", description="List all agents of the API key.")
    ensure = actions.add_parser(
        "ensure",
        help="create or update an agent that draws",
        description="Create an agent that draws, or update it if its settings differ. Print the agent.",
    )
    ensure.add_argument("name", type=_text, metavar="NAME", help="name of the agent")
    ensure.add_argument("--model", type=_text, help="model of the agent (default: mistral-medium-latest)")
    ensure.add_argument("--instructions", metavar="TEXT", help="system prompt of the agent")
    ensure.add_argument("--description", metavar="TEXT", help="purpose of the agent; other agents read it")
    delete = actions.add_parser(
        "delete",
        help="delete an agent",
        description="Delete an agent with all its versions. The command does not ask for confirmation.",
    )
    delete.add_argument("agent", type=_text, metavar="AGENT", help="name of the agent, or its id (ag_...)")
    for action in (listing, ensure, delete):
        action.add_argument("--json", action="store_true", help="print one JSON object per agent")
        _add_server(action)


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The exit code is 1 if an answer is not what the package assumes."
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--free", action="store_true", help="ask what needs no image (default)")
    extent.add_argument("--pay", action="store_true", help="also draw two images (about 0.20 USD)")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before paying")
    parser.add_argument("--model", type=_text, help="model to ask (default: mistral-medium-latest)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--report", type=_text, metavar="FILE", help="write a file without secrets, to attach to a bug report"
    )
    _add_server(parser)


def _add_output(parser: argparse.ArgumentParser, help_text: str) -> None:
    parser.add_argument("-o", "--output", type=_text, metavar="FOLDER", help=help_text)


def _add_manifest(parser: argparse._ActionsContainer, help_text: str) -> None:
    parser.add_argument("--manifest", type=_text, metavar="FILE", help=help_text)


def _add_preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-preview", dest="preview", action="store_false", help="do not show the images on the terminal"
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base-url",
        type=_text,
        metavar="URL",
        help="server to connect to (default: MISTRAL_BASE_URL, else https://api.mistral.ai)",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="how long to wait for the server to send anything (default: 300)",
    )
    parser.add_argument(
        "--answer-within",
        type=_seconds,
        metavar="SECONDS",
        help="with --from: how long an answer that was lost may still come (default: 60)",
    )


def _hint(unknown: Sequence[str], prompt: str | None, parser: argparse.ArgumentParser) -> str:
    """Return what is wrong with arguments that the command does not have."""
    options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    if not options:
        words = " ".join([prompt or "", *unknown])
        return f"put the prompt in quotes: {_NAME} {shlex.quote(words)}"
    known = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001  # no public list
    close = difflib.get_close_matches(options[0], known, n=1)
    return f"unknown option {options[0]}" + (f"; did you mean {close[0]}?" if close else "; see --help")


def _prompt(word: str, parser: argparse.ArgumentParser) -> str:
    try:
        prompt = (_standard_input() if word == "-" else word).strip()
        prompt.encode()  # the bytes of arguments that are not UTF-8 become lone surrogates
    except UnicodeDecodeError:
        parser.error("standard input is not UTF-8 text")
    except UnicodeEncodeError:
        parser.error("the prompt is not UTF-8 text")
    if not prompt:
        parser.error("the prompt is empty")
    return prompt


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8-sig")


def _text(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds greater than 0")
    return seconds


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
