"""The options of each command."""

from __future__ import annotations

import argparse
import math

from langchain_mistral_imagegen._prompt_words import SHAPES


def add_draw_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for drawing one prompt or many."""
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
        default=4,
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


OPTIONS = {
    "gallery": _add_gallery,
    "show": _add_show,
    "recent": _add_recent,
    "gc": _add_gc,
    "agents": _add_agents,
    "check": _add_check,
}
"""Adds the options of a command to its parser, by its name."""
