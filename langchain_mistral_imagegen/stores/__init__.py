"""Image stores: where the bytes of images are kept, by their SHA-256.

An image goes through a local temporary file, is hashed while it is written, and appears under its key only when it is
complete. The same image is stored once, however often it arrives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.stores._byte_store import ByteStoreImageStore
from langchain_mistral_imagegen.stores._fsspec import FsspecImageStore
from langchain_mistral_imagegen.stores._ledger_files import LedgerFiles

__all__ = [
    "ByteStoreImageStore",
    "FsspecImageStore",
    "ImageStore",
    "LedgerFiles",
    "LedgerStore",
    "ListableStore",
    "image_store",
]


@runtime_checkable
class ImageStore(Protocol):
    """Stores the bytes of images. Its methods may block; they are called in threads where that would matter."""

    def put(self, source: Path, key: str) -> None:
        """Copy a complete local file to a key, atomically, unless the key exists: of several writers, one wins.

        The key of an image is made of its bytes, so a key that exists already holds these bytes. Other keys begin with
        `_`.

        Args:
            source: A file, best in `temporary_folder()`. It may be moved.
            key: Relative to the store's root.

        Raises:
            OSError: If it cannot be written.
        """

    def get(self, key: str) -> bytes:
        """Read an image.

        Raises:
            FileNotFoundError: If there is no such key.
        """

    def delete(self, key: str) -> None:
        """Delete a key; it need not exist.

        Raises:
            OSError: If it cannot be deleted.
        """

    def location(self, key: str) -> str:
        """Return where a key is, for people to read: a path, or a URL of the store."""

    def temporary_folder(self) -> Path:
        """Return an existing local folder for the files that `put` is given, ideally one from which they can be moved.

        Raises:
            OSError: If the folder cannot be made.
        """


@runtime_checkable
class ListableStore(ImageStore, Protocol):
    """An image store that can list its keys and their age, as `collect_garbage` needs it."""

    def all_keys(self) -> Iterator[str]:
        """List all keys, also of the ledger, and of files that writers are writing or left behind."""

    def modified(self, key: str) -> datetime:
        """Return when a key was last put, also if it existed already; with a time zone.

        Raises:
            FileNotFoundError: If there is no such key.
        """


@runtime_checkable
class LedgerStore(ImageStore, Protocol):
    """An image store that can also keep records of what was asked and paid for, so that nothing is paid for twice."""

    def ledger_files(self) -> LedgerFiles:
        """Return the files in which these records are kept, below `_ledger/`.

        Raises:
            InvalidInputError: If the store cannot promise that of several writers of one name exactly one succeeds.
            ImageStoreError: If the store cannot be written.
        """


def image_store(store: ImageStore | str | os.PathLike[str] | None) -> ImageStore:
    """Return the image store for a user's `image_store` argument.

    Args:
        store: A store, a path, or an fsspec URL; `None` for the default, which is the folder `generated_images`, or
            `$MISTRAL_IMAGEGEN_STORE` if that is set.

    Raises:
        InvalidInputError: If it is none of these.
    """
    if store is None:
        return FsspecImageStore()
    if isinstance(store, (str, os.PathLike)):
        return FsspecImageStore(os.fspath(store))
    if not isinstance(store, ImageStore) or isinstance(store, type):
        raise InvalidInputError(
            f"image_store={_described(store)} is no place for images: give a path, an fsspec URL such as "
            "'s3://bucket/images', or an ImageStore"
        )
    return store


def _described(value: object) -> str:
    """Name a value without showing what is in it: the repr of an object may hold secrets."""
    return repr(value) if isinstance(value, (int, float, type)) else f"<{type(value).__name__}>"
