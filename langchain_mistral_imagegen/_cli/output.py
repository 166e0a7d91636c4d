"""Where the command writes: a folder or URL that is checked first, and paths as they are printed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen.stores import FsspecImageStore


def writable_store(place: str | None) -> FsspecImageStore:
    """Open the image store for a folder or URL; try to write to a folder before anything is paid for.

    Args:
        place: A folder or fsspec URL; `None` for the default.

    Raises:
        UsageError: If the URL cannot be opened, or the folder cannot be written to.
    """
    store = FsspecImageStore() if place is None else FsspecImageStore(place)
    try:
        tempfile.TemporaryFile(dir=store.temporary_folder()).close()
    except (OSError, ValueError, ImportError) as error:  # fsspec's own: an unknown protocol, or one to install
        raise UsageError(f"Cannot write images to {store.root}: {error}; choose another output with -o") from error
    return store


def short_path(location: str) -> str:
    """Return a path relative to the current folder if it lies below it."""
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location
