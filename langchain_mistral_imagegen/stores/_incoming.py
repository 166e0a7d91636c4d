"""`PictureFile`: a picture on its way into an image store."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_mistral_imagegen.errors import ImageStoreError, InvalidImageError
from langchain_mistral_imagegen.images import ImageRef, image_size, incoming_file, sniff_image
from langchain_mistral_imagegen.stores import DEFAULT_MAX_BYTES, ImageStore


class PictureFile:
    """A picture on its way into a store: takes the bytes as they come, hashes them, and puts them in their place.

    Memory does not grow with the picture. It is a `Sink` for `requests.Request`.
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
            if self._is_discarded:  # by another thread: what it does not know of would stay
                raise FileNotFoundError("it is not wanted any more")
            folder = self._store.temporary_folder() or Path(tempfile.gettempdir())
            path = incoming_file(folder)
            path.touch(exist_ok=False)
            self._path = path
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Add bytes.

        Raises:
            InvalidImageError: If the picture is larger than allowed.
            ImageStoreError: If the disk refuses.
        """
        path = self._begun()
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise InvalidImageError(f"Image {self._ref['id']!r} is larger than the {self._max_bytes:,} bytes allowed")
        self._hash.update(piece)
        # Not open between two pieces: a process may have fewer open files than downloads.
        with self._lock, self._as_store_error(), path.open("rb+") as file:  # "ab" would make it anew
            file.seek(0, os.SEEK_END)
            file.write(piece)

    def finish(self, name: Callable[[str], str]) -> ImageRef:
        """Put the picture in its place and return its reference, `stored`.

        Args:
            name: Gives the key, without suffix, for the SHA-256.

        Raises:
            InvalidImageError: If the bytes are not a picture.
            ImageStoreError: If the store refuses.
        """
        path = self._begun()
        digest = self._hash.hexdigest()
        try:
            with self._as_store_error():
                mime_type, suffix, size = self._describe(path)
                place = name(digest) + suffix
                self._put(path, suffix, place)
        finally:
            self.discard()
        stored = ImageRef(id=self._ref["id"], status="stored", key=place, sha256=digest, size_bytes=self._size)
        measured = ImageRef(**stored, width=size[0], height=size[1]) if size else stored
        kept = {name: value for name, value in self._ref.items() if name != "error"}
        return {**kept, **measured, "mime_type": mime_type}  # type: ignore[typeddict-item]  # `kept` is a part of one

    def _put(self, incoming: Path, suffix: str, place: str) -> None:
        # fsspec tells object stores the content type by the suffix of the local file.
        complete = incoming.rename(incoming.with_name(incoming.name + suffix))
        try:
            self._store.put(complete, place)
        finally:
            complete.unlink(missing_ok=True)

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

    def _begun(self) -> Path:
        if self._path is None:
            self.restart()
        return self._path  # type: ignore[return-value]  # `restart` has set it

    def _describe(self, path: Path) -> tuple[str, str, tuple[int, int] | None]:
        with path.open("rb+") as written:  # Windows flushes only what could be written
            os.fsync(written.fileno())
            kind = sniff_image(written.read(16))
            if kind is None:
                raise InvalidImageError(f"What was given for {self._ref['id']!r} is not a picture")
            written.seek(0)
            return *kind, image_size(written)

    @contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            ref, place = self._ref, self._store.location("").rstrip("/")
            kept = f"; it is still at Mistral ({ref['conversation_id']!r})" if "conversation_id" in ref else ""
            raise ImageStoreError(f"Image {ref['id']!r} cannot be stored in {place}: {error}{kept}") from error
