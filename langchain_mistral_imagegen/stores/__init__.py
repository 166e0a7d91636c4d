"""Image stores: where the bytes of pictures are kept, by their SHA-256.

A picture goes through a local temporary file, hashed as it is written, and appears under its key only when it is
complete. The same picture is stored once, however often it arrives.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from langchain_mistral_imagegen.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_core.stores import ByteStore

DEFAULT_FOLDER = "generated_images"
STORE_VARIABLE = "MISTRAL_IMAGEGEN_STORE"
DEFAULT_MAX_BYTES = 100 * 1024 * 1024
_FRESH = timedelta(hours=1)  # younger objects are not written again to renew their time


@runtime_checkable
class ImageStore(Protocol):
    """Keeps the bytes of pictures. Its methods may block; they are called in threads where that would hurt."""

    def put(self, source: Path, key: str) -> None:
        """Copy a complete local file to a key, atomically, unless the key exists: of several writers, one wins.

        Keys name pictures by their bytes, so one that exists holds these bytes already. Others begin with `_`.

        Raises:
            OSError: If it cannot be written.
        """

    def get(self, key: str) -> bytes:
        """Read a picture.

        Raises:
            FileNotFoundError: If there is no such key.
        """

    def delete(self, key: str) -> None:
        """Delete a key; it need not exist.

        Raises:
            OSError: If it cannot be deleted.
        """

    def location(self, key: str) -> str:
        """Name the place of a key for a person: a path, or a URL of the store."""

    def temporary_folder(self) -> Path | None:
        """Return a local folder from which a file can be moved into place, or `None` if any will do."""


@dataclass(frozen=True)
class FsspecImageStore:
    """Keeps pictures below any fsspec URL: a folder, `memory://`, or with the fitting extra `s3://`, `gs://`, `abfs://`.

    Keys are `{sha256[:2]}/{sha256}{suffix}` below the root. It can be pickled: only root and options are.

    Attributes:
        root: A path, `file:///var/pictures`, `memory://pictures`, `s3://bucket/pictures`, ...
        options: Passed to the fsspec filesystem, such as `{"profile": "..."}`.
    """

    root: str = field(default_factory=lambda: os.environ.get(STORE_VARIABLE) or DEFAULT_FOLDER)
    options: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @functools.cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec  # noqa: PLC0415  # only those who store pictures pay for it

        filesystem, root = fsspec.core.url_to_fs(os.path.expanduser(self.root), **self.options)  # noqa: PTH111  # a URL
        return filesystem, root.rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "options": self.options}

    @property
    def _filesystem(self) -> Any:
        return self._place[0]

    @functools.cached_property
    def _folder(self) -> Path | None:
        protocol = self._filesystem.protocol
        is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
        return Path(self._place[1]) if is_local else None

    def put(self, source: Path, key: str) -> None:
        """See `ImageStore.put`."""
        if self._folder:
            target = Path(self._path(key))
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
        else:
            with _os_errors():
                self._put_object(source, key)

    def _put_object(self, source: Path, key: str) -> None:
        # Object stores make an object visible when it is complete, and refuse a second one of the same name.
        try:
            self._filesystem.put_file(str(source), self._path(key), mode="create")
        except FileExistsError:
            if not key.startswith("_") and self.modified(key) < datetime.now(UTC) - _FRESH:
                self._filesystem.put_file(str(source), self._path(key))

    def get(self, key: str) -> bytes:
        """See `ImageStore.get`."""
        path = self._path(key)
        with _os_errors():
            data: bytes = self._filesystem.cat_file(path)
        return data

    def location(self, key: str) -> str:
        """See `ImageStore.location`."""
        return self._path(key) if self._folder else f"{self.root.rstrip('/')}/{key}"

    def url(self, key: str, expires: int = 3600) -> str:
        """Make a link with which whoever has it can see a picture. It is a secret: keep it out of messages and state.

        Args:
            key: The picture's.
            expires: Seconds for which the link is good; the `file:` URI of a picture in a folder does not expire.

        Raises:
            InvalidInputError: If this kind of store cannot make links; serve the pictures yourself, for instance with
                `langchain_mistral_imagegen.web.image_routes`.
        """
        if self._folder:
            return Path(self._path(key)).absolute().as_uri()
        try:
            link: str = self._filesystem.sign(self._path(key), expiration=expires)
        except NotImplementedError:
            raise InvalidInputError(
                f"The image store {self.root!r} cannot make links; serve its pictures with `web.image_routes`"
            ) from None
        return link

    def all_keys(self) -> Iterator[str]:
        """List everything that is kept, also intents and the files of writers that are at work or were killed."""
        filesystem, root = self._place
        filesystem.invalidate_cache()
        for path in filesystem.find(root):
            yield path[len(root) + 1 :]

    def modified(self, key: str) -> datetime:
        """Tell when a key was last put, also if it was there already.

        Raises:
            FileNotFoundError: If there is no such key.
        """
        path = self._path(key)
        self._filesystem.invalidate_cache(path.rpartition("/")[0])
        when: datetime = self._filesystem.modified(path)
        return when

    def delete(self, key: str) -> None:
        """See `ImageStore.delete`."""
        with suppress(FileNotFoundError), _os_errors():
            self._filesystem.rm_file(self._path(key))

    def _path(self, key: str) -> str:
        if key.startswith("/") or "\\" in key or ".." in key.split("/"):  # Windows takes "\\" for "/"
            raise ValueError(f"{key!r} is not a key: keys lie below the store's root")
        return f"{self._place[1]}/{key}"

    def temporary_folder(self) -> Path | None:
        """See `ImageStore.temporary_folder`."""
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder


@dataclass(frozen=True)
class ByteStoreImageStore:
    """Keeps pictures in a LangChain `ByteStore`, such as `LocalFileStore` or `RedisStore`.

    What such a store promises is its own: `LocalFileStore`, for one, may leave half a picture behind when its process
    is killed, and of two workers that announce the same turn at once both may believe to be first. Where pictures cost
    money, prefer `FsspecImageStore`.

    Attributes:
        byte_store: Where bytes are kept, by key.
    """

    byte_store: ByteStore

    def put(self, source: Path, key: str) -> None:
        """See `ImageStore.put`; not atomic."""
        if self.byte_store.mget([key]) == [None]:
            self.byte_store.mset([(key, source.read_bytes())])

    def get(self, key: str) -> bytes:
        """See `ImageStore.get`."""
        (data,) = self.byte_store.mget([key])
        if data is None:
            raise FileNotFoundError(key)
        return data

    def delete(self, key: str) -> None:
        """See `ImageStore.delete`."""
        self.byte_store.mdelete([key])

    def location(self, key: str) -> str:
        """See `ImageStore.location`."""
        return f"{type(self.byte_store).__name__}:{key}"

    def temporary_folder(self) -> Path | None:
        """See `ImageStore.temporary_folder`."""
        return None


def _link(source: Path, target: Path) -> None:
    """Let a complete file appear, unless there is one: of several writers, one wins."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        with suppress(PermissionError):  # it is somebody else's
            os.utime(target)  # it is wanted again: `collect_garbage` looks at the time
    except OSError:  # a filesystem without hard links
        if not target.exists():
            source.replace(target)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Raise what `ImageStore` promises: the client libraries of object stores have errors of their own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


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
