"""The arguments of the command, and its help; `options.py` has the options of each command."""

from __future__ import annotations

import argparse
import difflib
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from langchain_mistral_imagegen._cli.options import OPTIONS, add_draw_options
from langchain_mistral_imagegen._prompt_words import INSTRUCTIONS
from langchain_mistral_imagegen._version import __version__

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
    add_draw_options(parser)
    commands = parser.add_subparsers(dest="command", prog=_NAME)
    for name, add in OPTIONS.items():
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
    add_draw_options(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


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


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
