"""Images on a terminal: as sixels, by kitty's protocol, or as coloured half blocks, whichever it can show."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import sys
from collections.abc import Iterable

from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._reduced_image import reduced_image
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ImageStore

_log = package_logger()
_ROWS = 16
_LONGEST = 1024  # pixels: more than so many rows show


def is_previewed(args: argparse.Namespace) -> bool:
    """Return whether to show images: the options allow it, and there is a terminal that can be queried."""
    is_allowed = args.preview and not args.json and not getattr(args, "quiet", False)
    is_terminal = sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") not in {None, "dumb"}
    return is_allowed and is_terminal


async def preview(refs: Iterable[ImageRef], store: ImageStore) -> None:
    """Show stored images; one that the terminal cannot show is left out."""
    for ref in refs:
        _show(await asyncio.to_thread(store.get, ref["key"]))


def _show(data: bytes) -> None:
    # It queries the terminal while it is imported, so this must not be done for anything else.
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # no warning about a terminal that does not answer
    try:
        from rich.console import Console  # noqa: PLC0415
        from textual_image.renderable import Image as TerminalImage  # noqa: PLC0415

        image = reduced_image(io.BytesIO(data), _LONGEST).convert("RGB")
        Console().print(TerminalImage(image, width="auto", height=_ROWS))
    except Exception:  # noqa: BLE001 - whatever the terminal or Pillow raises: the image is paid for, and stored
        _log.debug("this terminal cannot show an image", exc_info=True)
