"""Files that are created once: what a ledger needs of an image store, for each kind of store that can promise it.

Of several writers of one name exactly one succeeds, and the name appears for good. A folder promises it by hard links,
or by `O_EXCL` where there are none; object stores by conditional writes; `memory://` by a lock of its own.
"""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from langchain_mistral_imagegen._files import incoming_file, make_folder, sync_folder, write_new
from langchain_mistral_imagegen.errors import ImageStoreError, InvalidInputError
from langchain_mistral_imagegen.stores._object_errors import create, object_errors

_CONDITIONAL = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
_memory_lock = threading.Lock()


class LedgerFiles(Protocol):
    """Keeps small files; a name that was created stays as it is."""

    @property
    def name(self) -> str:
        """The place, for people."""

    def create(self, place: str, data: bytes, *, synced: bool) -> None:
        """Create a file.

        Args:
            place: Its path below the store's root.
            data: Its content.
            synced: Whether file and folders must be on the disk when this returns.

        Raises:
            FileExistsError: If there is one.
            OSError: If it cannot be written, or that is uncertain.
        """

    def names(self, folder: str) -> list[str]:
        """List the files of a folder; `[]` if there is none."""

    def read(self, place: str) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: If there is none.
        """

    def remove(self, place: str) -> None:
        """Remove a file; it need not exist."""


@dataclass(frozen=True)
class FolderFiles:
    """Files of a local folder."""

    root: Path

    @property
    def name(self) -> str:
        """See `LedgerFiles.name`."""
        return str(self.root)

    def create(self, place: str, data: bytes, *, synced: bool) -> None:
        """See `LedgerFiles.create`."""
        target = self.root / place
        make_folder(target.parent)
        hidden = incoming_file(target.parent)
        try:
            write_new(hidden, data, synced=synced)
            _appear(hidden, target, data, synced=synced)
        finally:
            hidden.unlink(missing_ok=True)
            if synced:  # also if the file was there: who finds his own of an uncertain attempt relies on it
                sync_folder(target.parent)

    def names(self, folder: str) -> list[str]:
        """See `LedgerFiles.names`."""
        with suppress(FileNotFoundError):
            return [path.name for path in (self.root / folder).iterdir()]
        return []

    def read(self, place: str) -> bytes:
        """See `LedgerFiles.read`."""
        return (self.root / place).read_bytes()

    def remove(self, place: str) -> None:
        """See `LedgerFiles.remove`."""
        target = self.root / place
        target.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            target.parent.rmdir()


def _appear(hidden: Path, target: Path, data: bytes, *, synced: bool) -> None:
    try:
        target.hardlink_to(hidden)
    except FileExistsError:
        raise
    except OSError:  # a filesystem without hard links; a torn file counts as a request
        write_new(target, data, synced=synced)


@dataclass(frozen=True)
class ObjectFiles:
    """Objects of a store with conditional writes, or of `memory://`."""

    filesystem: Any = field(repr=False)  # fsspec has no types
    root: str
    name: str
    lock: Any = field(default=None, repr=False, compare=False)  # a lock, if the store has no conditional writes

    def create(self, place: str, data: bytes, *, synced: bool) -> None:  # noqa: ARG002  # what is written is kept
        """See `LedgerFiles.create`."""
        path = f"{self.root}/{place}"
        if self.lock is None:
            create(functools.partial(self.filesystem.pipe_file, path, data, mode="create"), f"{self.name}/{place}")
            return
        with self.lock:
            if self.filesystem.exists(path):
                raise FileExistsError(path)
            self.filesystem.pipe_file(path, data)

    def names(self, folder: str) -> list[str]:
        """See `LedgerFiles.names`."""
        path = f"{self.root}/{folder}"
        with object_errors(f"{self.name}/{folder}"), suppress(FileNotFoundError):
            self.filesystem.invalidate_cache(path)
            names = [str(name).rpartition("/")[2] for name in self.filesystem.ls(path, detail=False)]
            return [name for name in names if name]  # SeaweedFS lists an empty folder as `folder/`
        return []

    def read(self, place: str) -> bytes:
        """See `LedgerFiles.read`."""
        with object_errors(f"{self.name}/{place}"):
            data: bytes = self.filesystem.cat_file(f"{self.root}/{place}")
        return data

    def remove(self, place: str) -> None:
        """See `LedgerFiles.remove`."""
        with object_errors(f"{self.name}/{place}"), suppress(FileNotFoundError):
            self.filesystem.rm_file(f"{self.root}/{place}")


def fsspec_ledger_files(filesystem: Any, root: str, name: str) -> LedgerFiles:
    """Return the files of an fsspec filesystem, probed once.

    Args:
        filesystem: The filesystem.
        root: The store's root in it.
        name: The store, for people.

    Raises:
        InvalidInputError: If it cannot promise that a file is created once.
    """
    protocol = filesystem.protocol
    protocols: Sequence[str] = (protocol,) if isinstance(protocol, str) else protocol
    if {"file", "local"} & set(protocols):
        return _probed(FolderFiles(Path(root)))
    if "memory" in protocols:
        return ObjectFiles(filesystem, root, name, _memory_lock)
    if not _CONDITIONAL & set(protocols):
        raise cannot_hold(name, f"{protocols[0]}:// has no write that fails if the file exists")
    return _probed(ObjectFiles(filesystem, root, name))


def ledger_files(store: Any) -> LedgerFiles:
    """Return the files of an image store in which a ledger is kept.

    Raises:
        InvalidInputError: If the store cannot promise that a file is created once.
    """
    if not hasattr(store, "ledger_files"):
        raise cannot_hold(type(store).__name__, "it has no write that fails if the key exists")
    files: LedgerFiles = store.ledger_files()
    return files


def cannot_hold(name: str, reason: str) -> InvalidInputError:
    """Make the error for a store that cannot hold a ledger."""
    return InvalidInputError(
        f"The image store {name} cannot hold a ledger, so nothing could be kept from being paid twice: {reason}. Use a "
        "folder, memory://, s3://, gs:// or abfs://; for one of your own see `stores.LedgerStore`"
    )


@functools.cache
def _probed(files: LedgerFiles) -> LedgerFiles:
    """Check that a second file of one name is refused; servers that only resemble S3 may overwrite it."""
    place = f"_ledger/probe-{secrets.token_hex(8)}/0.json"
    try:
        files.create(place, b"{}", synced=False)
    except OSError as error:
        raise ImageStoreError(
            f"The ledger in {files.name} cannot be written: {error}; nothing was asked or paid"
        ) from error
    try:
        files.create(place, b"{}", synced=False)
    except FileExistsError:
        return files
    finally:
        files.remove(place)
    raise cannot_hold(files.name, "it let a file be created that was there already")
