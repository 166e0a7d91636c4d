"""Local files that appear complete or not at all, and stay when the power is cut."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)  # Windows has it


def incoming_file(folder: Path) -> Path:
    """Name a hidden file for bytes that are still arriving; opened with mode `x`, it has a user's usual permissions."""
    return folder / f".incoming-{secrets.token_hex(8)}"


def append(path: Path, data: bytes) -> None:
    """Add bytes to a file, which must exist; without the file objects of Python, which take longer than the bytes.

    Raises:
        OSError: If they cannot be written.
    """
    opened = os.open(path, os.O_WRONLY | os.O_APPEND | _BINARY)
    try:
        left = memoryview(data)
        while left:  # a disk that is full takes a part first
            left = left[os.write(opened, left) :]
    finally:
        os.close(opened)


def write_file(target: Path, data: bytes) -> None:
    """Write a file atomically, and put it on the disk: readers see the old file, the new one, or none.

    Raises:
        OSError: If it cannot be written.
    """
    incoming = incoming_file(target.parent)
    try:
        write_new(incoming, data, synced=True)
        incoming.replace(target)
        sync_folder(target.parent)
    except BaseException:
        incoming.unlink(missing_ok=True)
        raise


def write_new(path: Path, data: bytes, *, synced: bool) -> None:
    """Write a file that does not exist yet, and put it on the disk if that is wanted."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        if synced:
            os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each on the disk: what is synced into it later relies on that."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names of a folder on the disk; Windows does so by itself."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
