"""Pictures on a terminal: as sixels, by kitty's protocol, or as coloured half blocks, whichever it can."""

from __future__ import annotations

import io
import logging
import os
import sys

from PIL import Image

_log = logging.getLogger("langchain_mistral_imagegen")
_ROWS = 16


def can_preview() -> bool:
    """Tell whether there is a terminal to show pictures on, that can also be asked what it can."""
    return sys.stdout.isatty() and sys.stdin.isatty() and os.environ.get("TERM") not in {None, "dumb"}


def preview(data: bytes) -> None:
    """Show a picture; one that cannot be shown is left out."""
    # It asks the terminal while it is imported, so this must not be done for anything else.
    logging.getLogger("textual_image").setLevel(logging.ERROR)  # not of a terminal that does not answer
    try:
        from rich.console import Console  # noqa: PLC0415
        from textual_image.renderable import Image as Picture  # noqa: PLC0415

        with Image.open(io.BytesIO(data)) as picture:
            Console().print(Picture(picture.convert("RGB"), width="auto", height=_ROWS))
    except Exception:  # noqa: BLE001 - whatever a terminal says, or Pillow: the picture is paid for, and stored
        _log.debug("a picture cannot be shown on this terminal", exc_info=True)
