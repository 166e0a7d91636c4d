"""Local files that appear complete or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path


def incoming_file(folder: Path) -> Path:
    """Name a hidden file for bytes that are still arriving; opened with mode `x`, it has a user's usual permissions."""
    return folder / f".incoming-{secrets.token_hex(8)}"


def write_file(target: Path, data: bytes) -> None:
    """Write a file atomically: readers see the old file, the new one, or none.

    Raises:
        OSError: If it cannot be written.
    """
    incoming = incoming_file(target.parent)
    try:
        with incoming.open("xb") as file:
            file.write(data)
        incoming.replace(target)
    except BaseException:
        incoming.unlink(missing_ok=True)
        raise
