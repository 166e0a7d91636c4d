"""Image stores: where the bytes of pictures are kept, by their SHA-256.

A picture goes through a local temporary file, hashed as it is written, and appears under its key only when it is
complete. The same picture is stored once, however often it arrives.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from langchain_mistral_imagegen.errors import ImageStoreError, InvalidImageError
from langchain_mistral_imagegen.images import ImageRef, image_size, incoming_file, sniff_image

DEFAULT_FOLDER = "generated_images"
STORE_VARIABLE = "MISTRAL_IMAGEGEN_STORE"
DEFAULT_MAX_BYTES = 100 * 1024 * 1024


@runtime_checkable
class ImageStore(Protocol):
    """Keeps the bytes of pictures. Its methods may block; they are called in threads where that would hurt."""

    def put(self, source: Path, key: str) -> None:
        """Copy a complete local file to a key, atomically; if the key exists, it holds these bytes already.

        Raises:
            OSError: If it cannot be written.
        """

    def get(self, key: str) -> bytes:
        """Read a picture.

        Raises:
            FileNotFoundError: If there is no such key.
        """

    def location(self, key: str) -> str:
        """Name the place of a key for a person: a path, or a URL of the store."""

    def temporary_folder(self) -> Path | None:
        """Return a local folder from which a file can be moved into place, or `None` if any will do."""


@dataclass(frozen=True)
class FsspecImageStore:
    """Keeps pictures below any fsspec URL: a folder, `memory://`, or with the fitting extra `s3://`, `gs://`, `abfs://`.

    Keys are `{sha256[:2]}/{sha256}{suffix}` below the URL. It can be pickled: only the URL and options are.

    Attributes:
        url: A path, `file:///var/pictures`, `memory://pictures`, `s3://bucket/pictures`, ...
        options: Passed to the fsspec filesystem, such as `{"profile": "..."}`.
    """

    url: str = field(default_factory=lambda: os.environ.get(STORE_VARIABLE) or DEFAULT_FOLDER)
    options: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @functools.cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec  # noqa: PLC0415  # only those who store pictures pay for it

        filesystem, root = fsspec.core.url_to_fs(os.path.expanduser(self.url), **self.options)  # noqa: PTH111  # a URL
        return filesystem, root

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "options": self.options}

    @functools.cached_property
    def _folder(self) -> Path | None:
        filesystem, root = self._place
        return Path(root) if "file" in _protocols(filesystem) else None

    def put(self, source: Path, key: str) -> None:
        """See `ImageStore.put`."""
        filesystem, _ = self._place
        if self._folder:
            target = Path(self._path(key))
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
        elif not filesystem.exists(self._path(key)):
            # Object stores make an object visible when it is complete.
            filesystem.makedirs(self._path(key).rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(source), self._path(key))

    def get(self, key: str) -> bytes:
        """See `ImageStore.get`."""
        filesystem, _ = self._place
        data: bytes = filesystem.cat_file(self._path(key))
        return data

    def location(self, key: str) -> str:
        """See `ImageStore.location`."""
        return self._path(key) if self._folder else f"{self.url.rstrip('/')}/{key}"

    def _path(self, key: str) -> str:
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"{key!r} is not a key: keys lie below the store's URL")
        _, root = self._place
        return f"{root.rstrip('/')}/{key}"

    def temporary_folder(self) -> Path | None:
        """See `ImageStore.temporary_folder`."""
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder


def _link(source: Path, target: Path) -> None:
    """Let a complete file appear, unless there is one: of several writers, one wins."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return
    except OSError:  # a filesystem without hard links
        if not target.exists():
            source.replace(target)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def image_store(store: ImageStore | str | os.PathLike[str] | None) -> ImageStore:
    """Return a store for what users pass: a store, a path or URL, or `None` for the default.

    The default is the folder `generated_images`, or what `$MISTRAL_IMAGEGEN_STORE` says.
    """
    if store is None:
        return FsspecImageStore()
    return FsspecImageStore(os.fspath(store)) if isinstance(store, (str, os.PathLike)) else store


def content_address(sha256: str) -> str:
    """Name a picture by its hash, so that the same picture has one place."""
    return f"{sha256[:2]}/{sha256}"


class PictureFile:
    """A picture on its way into a store: takes the bytes as they come, hashes them, and puts them in their place.

    Memory does not grow with the picture. It is a `Sink` for `_protocol.Request`.
    """

    def __init__(self, store: ImageStore, ref: ImageRef, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._store = store
        self._ref = ref
        self._max_bytes = max_bytes
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._size = 0

    def restart(self) -> None:
        """Start with an empty file."""
        self.discard()
        with _as_store_error(self._ref):
            folder = self._store.temporary_folder() or Path(tempfile.gettempdir())
            self._file = incoming_file(folder).open("xb")
        self._hash, self._size = hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Add bytes.

        Raises:
            InvalidImageError: If the picture is larger than allowed.
            ImageStoreError: If the disk refuses.
        """
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise InvalidImageError(f"Image {self._ref['id']!r} is larger than the {self._max_bytes:,} bytes allowed")
        self._hash.update(piece)
        with _as_store_error(self._ref):
            self._open_file().write(piece)

    def finish(self, name: Callable[[str], str]) -> ImageRef:
        """Put the picture in its place and return its reference, `stored`.

        Args:
            name: Gives the key, without suffix, for the SHA-256.

        Raises:
            InvalidImageError: If the bytes are not a picture.
            ImageStoreError: If the store refuses.
        """
        file = self._open_file()
        digest = self._hash.hexdigest()
        try:
            with _as_store_error(self._ref):
                file.flush()
                os.fsync(file.fileno())
                mime_type, suffix, size = self._describe(file)
                file.close()
                place = name(digest) + suffix
                self._store.put(Path(file.name), place)
        finally:
            self.discard()
        stored = ImageRef(id=self._ref["id"], status="stored", key=place, sha256=digest, size_bytes=self._size)
        measured = ImageRef(**stored, width=size[0], height=size[1]) if size else stored
        kept = {name: value for name, value in self._ref.items() if name != "error"}
        return {**kept, **measured, "mime_type": mime_type}  # type: ignore[typeddict-item]  # `kept` is a part of one

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        file, self._file = self._file, None
        if file:
            file.close()
            with suppress(FileNotFoundError):
                Path(file.name).unlink()

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            self.restart()
        return self._file  # type: ignore[return-value]  # `restart` has set it

    def _describe(self, file: IO[bytes]) -> tuple[str, str, tuple[int, int] | None]:
        with open(file.name, "rb") as written:  # noqa: PTH123  # the name is a str
            kind = sniff_image(written.read(16))
            if kind is None:
                raise InvalidImageError(f"What was downloaded for {self._ref['id']!r} is not a picture")
            written.seek(0)
            return *kind, image_size(written)


@contextmanager
def _as_store_error(ref: ImageRef) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" (conversation {ref['conversation_id']!r})" if "conversation_id" in ref else ""
        raise ImageStoreError(
            f"Image {ref['id']!r} cannot be stored: {error}; it is still at Mistral{where}"
        ) from error
