"""Where the command writes: a folder or URL that is checked first, and paths as they are printed."""

from __future__ import annotations

import functools
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen._cli.file_names import image_name
from langchain_mistral_imagegen.images import SUFFIXES
from langchain_mistral_imagegen.stores import FsspecImageStore

_NEEDED = 10_000_000  # bytes: a few images
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}


@dataclass(frozen=True)
class Output:
    """Where images go, and how they are named there.

    Attributes:
        store: A folder or URL.
        file_name: The name that the user chose for one image; `None` to name images after their prompts.
    """

    store: FsspecImageStore
    file_name: str | None = None

    def name(self, prompt: str) -> Callable[[str], str]:
        """Return what names an image, given its SHA-256."""
        if self.file_name is None:
            return functools.partial(image_name, prompt)
        stem = self.file_name.rpartition(".")[0]
        return lambda _sha256: stem

    def correction(self, key: str) -> str:
        """Return a sentence if a chosen file name had the suffix of another format than the image has."""
        chosen = (self.file_name or key).rpartition(".")[2].lower().replace("jpeg", "jpg")
        actual = key.rpartition(".")[2]
        return "" if chosen == actual else f"The image is in another format, so its name ends with .{actual}."


def writable_output(place: str | None) -> Output:
    """Open the output for one prompt: a folder or URL, or a file name such as `cat.png`.

    Raises:
        UsageError: See `writable_store`.
    """
    folder, slash, last = (place or "").rpartition("/")
    is_file = last.lower().endswith((".jpeg", *SUFFIXES)) and not Path(place or "").is_dir()
    if not is_file:
        return Output(writable_store(place))
    return Output(writable_store(f"{folder}{slash}" or "."), last)


def writable_store(place: str | None) -> FsspecImageStore:
    """Open the image store for a folder or URL, and try to write to it before anything is paid for.

    Args:
        place: A folder or fsspec URL; `None` for the default.

    Raises:
        UsageError: If the URL cannot be opened or written to; it names the extra to install.
    """
    store = FsspecImageStore() if place is None else FsspecImageStore(place)
    try:
        _try_to_write(store)
    except Exception as error:  # fsspec's own, and those of the client libraries of object stores
        extra = _EXTRAS.get(store.root.partition("://")[0]) if isinstance(error, ImportError) else None
        remedy = f"pip install 'langchain-mistral-imagegen[{extra}]'" if extra else "choose another output with -o"
        raise UsageError(f"Cannot write images to {store.root}: {_reason(error)}; {remedy}") from error
    return store


def _try_to_write(store: FsspecImageStore) -> None:
    free = shutil.disk_usage(store.temporary_folder()).free
    if free < _NEEDED:
        raise OSError(f"only {free:,} bytes are free")
    with tempfile.NamedTemporaryFile(dir=store.temporary_folder(), prefix=".incoming-") as file:
        if store.local_folder is None:
            key = f"_write-test-{secrets.token_hex(8)}"
            store.put(Path(file.name), key)
            store.delete(key)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def short_path(location: str) -> str:
    """Return a path relative to the current folder if it lies below it."""
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location
