"""`IncomingImage`: an image on its way into an image store, and how it is named there."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_mistral_imagegen._files import append, incoming_file
from langchain_mistral_imagegen.errors import ImageStoreError, InvalidImageError
from langchain_mistral_imagegen.images import SUFFIXES, ImageFormat, ImageRef, decode_image, sniff_image
from langchain_mistral_imagegen.stores import ImageStore

DEFAULT_MAX_BYTES = 100 * 1024 * 1024
IMAGE_KEY = re.compile(rf"([0-9a-f]{{2}})/(?P<sha256>\1[0-9a-f]{{62}})({'|'.join(map(re.escape, SUFFIXES))})")
"""Matches the keys of images: `content_address` and a suffix. Stores contain other keys, too, such as records."""


def content_address(sha256: str) -> str:
    """Return the key of an image, without suffix, for its hash: the same image always has the same key."""
    return f"{sha256[:2]}/{sha256}"


def longer_names(name: str, digest: str) -> Iterator[str]:
    """Yield a name, and then with more and more digits of the hash: two images may have the first ones in common."""
    yield name
    known = next((count for count in range(len(digest), 0, -1) if name.endswith(digest[:count])), 0)
    stem = name[: len(name) - known] if known else f"{name}-"
    for count in range(known + 2, len(digest) + 1, 2):
        yield stem + digest[:count]


class IncomingImage:
    """An image on its way into a store: takes its bytes as they arrive, hashes them, and puts the image in its place.

    Memory does not grow with the image. It is a `Sink` for `requests.Request`.
    """

    def __init__(self, store: ImageStore, ref: ImageRef, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._store = store
        self._ref = ref
        self._max_bytes = max_bytes
        self._path: Path | None = None
        self._hash = hashlib.sha256()
        self._size = 0
        self._lock = threading.Lock()
        self._is_discarded = False

    def restart(self) -> None:
        """Start with an empty file."""
        with self._lock, self._as_store_error():
            self._remove()
            if self._is_discarded:  # by another thread, which would not remove a new file
                raise FileNotFoundError("the download was cancelled")
            folder = self._store.temporary_folder()
            path = incoming_file(folder)
            # On its way to another machine, in a folder of all users, it is nobody else's to read.
            path.touch(0o600 if folder == Path(tempfile.gettempdir()) else 0o666, exist_ok=False)
            self._path = path
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Add bytes.

        Raises:
            InvalidImageError: If the image is larger than allowed.
            ImageStoreError: If the file cannot be written.
        """
        path = self._started()
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise InvalidImageError(f"Image {self._ref['id']!r} is larger than the {self._max_bytes:,} bytes allowed")
        self._hash.update(piece)
        # Not open between two pieces: a process may have fewer open files than downloads.
        with self._lock, self._as_store_error():
            append(path, piece)

    def finish(self, name: Callable[[str], str]) -> ImageRef:
        """Put the image in its place and return its reference, `stored`.

        Args:
            name: Returns the key, without suffix, for a SHA-256 in hex.

        Raises:
            InvalidImageError: If the bytes are not an image.
            ImageStoreError: If the store cannot take it.
        """
        path = self._started()
        digest = self._hash.hexdigest()
        try:
            with self._as_store_error():
                kind, size = self._inspect(path)
                key = self._put(path, kind.suffix, digest, name(digest))
        finally:
            self.discard()
        stored = ImageRef(id=self._ref["id"], status="stored", key=key, sha256=digest, size_bytes=self._size)
        measured = ImageRef(**stored, width=size[0], height=size[1]) if size else stored
        kept = {name: value for name, value in self._ref.items() if name != "error"}
        return {**kept, **measured, "mime_type": kind.mime_type}  # type: ignore[typeddict-item]  # `kept` is a part of one

    def _put(self, incoming: Path, suffix: str, digest: str, name: str) -> str:
        """Put the image under the first name that no other image has, and return its key."""
        # fsspec derives the content type for object stores from the suffix of the local file.
        complete = incoming.rename(incoming.with_name(incoming.name + suffix))
        try:
            for longer in longer_names(name, digest):
                key = longer + suffix
                if longer == content_address(digest):
                    self._store.put(complete, key)
                    return key
                if self._holds(key, digest) is None:
                    self._store.put(complete, key)  # of several writers one wins
                if self._holds(key, digest):
                    return key
        finally:
            complete.unlink(missing_ok=True)
        raise FileExistsError(f"{name!r} and all longer names hold other images")

    def _holds(self, key: str, digest: str) -> bool | None:
        """Return whether a key holds these bytes; `None` if it does not exist."""
        try:
            return hashlib.sha256(self._store.get(key)).hexdigest() == digest
        except FileNotFoundError:
            return None

    def discard(self) -> None:
        """Remove the temporary file, if there is one, for good."""
        with self._lock:
            self._remove()
            self._is_discarded = True

    def _remove(self) -> None:
        path, self._path = self._path, None
        if path:
            with suppress(OSError):
                path.unlink()

    def _started(self) -> Path:
        if self._path is None:
            self.restart()
        return self._path  # type: ignore[return-value]  # `restart` has set it

    def _inspect(self, path: Path) -> tuple[ImageFormat, tuple[int, int]]:
        with path.open("rb+") as written:  # Windows flushes only what could be written
            os.fsync(written.fileno())
            kind = sniff_image(written.read(16))
            if kind is None:
                raise InvalidImageError(f"The file of {self._ref['id']!r} is not an image (JPEG, PNG, WebP or GIF)")
            written.seek(0)
            try:
                return kind, decode_image(written)
            except InvalidImageError as error:
                raise InvalidImageError(f"The file of {self._ref['id']!r} is damaged. {error}") from error

    @contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            ref, place = self._ref, self._store.location("").rstrip("/")
            kept = f"; it is still in conversation {ref['conversation_id']!r}" if "conversation_id" in ref else ""
            raise ImageStoreError(f"Image {ref['id']!r} cannot be stored in {place}: {error}{kept}") from error
