"""`FsspecImageStore`: images in a local folder, in memory, or in a bucket."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from langchain_mistral_imagegen.errors import InvalidInputError

DEFAULT_FOLDER = "generated_images"
STORE_VARIABLE = "MISTRAL_IMAGEGEN_STORE"
_FRESH = timedelta(hours=1)  # younger objects are not written again to renew their time


_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}


def _missing_extra(root: str, error: ImportError) -> ImportError:
    """Name the extra that brings the filesystem of a URL."""
    protocol = root.partition("://")[0]
    extra = _EXTRAS.get(protocol)
    remedy = f"pip install 'langchain-mistral-imagegen[{extra}]'" if extra else str(error)
    return ImportError(f"An image store at {protocol}:// needs another package: {remedy}", name=error.name)


@dataclass(frozen=True)
class FsspecImageStore:
    """Stores images below any fsspec URL: a folder, `memory://`, or with its extra `s3://`, `gs://` or `abfs://`.

    Keys are `{sha256[:2]}/{sha256}{suffix}`, relative to the root. A pickle contains the root and the options.

    Attributes:
        root: A path, `file:///var/images`, `memory://images`, `s3://bucket/images`, ...; by default
            `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
        options: Passed to the fsspec filesystem, such as `{"profile": "..."}`.
    """

    root: str = field(default_factory=lambda: os.environ.get(STORE_VARIABLE) or DEFAULT_FOLDER)
    options: dict[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @functools.cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec  # noqa: PLC0415  # not needed before an image is stored

        try:
            filesystem, root = fsspec.core.url_to_fs(os.path.expanduser(self.root), **self.options)  # noqa: PTH111  # a URL
        except ImportError as error:
            raise _missing_extra(self.root, error) from error
        return filesystem, root.rstrip("/")

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "options": self.options}

    @property
    def _filesystem(self) -> Any:
        return self._place[0]

    @functools.cached_property
    def local_folder(self) -> Path | None:
        """The root if it is a local folder, which need not exist yet; `None` for other stores."""
        protocol = self._filesystem.protocol
        is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
        return Path(self._place[1]) if is_local else None

    def put(self, source: Path, key: str) -> None:
        """See `ImageStore.put`."""
        if self.local_folder:
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
        return self._path(key) if self.local_folder else f"{self.root.rstrip('/')}/{key}"

    def url(self, key: str, expires: int = 3600) -> str:
        """Make a link to an image. It grants access, so keep it out of messages and state.

        Args:
            key: The image's key.
            expires: Seconds until the link expires; the `file:` URI of an image in a folder does not expire.

        Raises:
            InvalidInputError: If this kind of store cannot make links; serve the images yourself, for example with
                `langchain_mistral_imagegen.web.image_routes`.
        """
        if self.local_folder:
            return Path(self._path(key)).absolute().as_uri()
        try:
            link: str = self._filesystem.sign(self._path(key), expiration=expires)
        except NotImplementedError:
            raise InvalidInputError(
                f"The image store {self.root!r} cannot make links; serve its images with `web.image_routes`"
            ) from None
        return link

    def all_keys(self) -> Iterator[str]:
        """See `ListableStore.all_keys`."""
        filesystem, root = self._place
        filesystem.invalidate_cache()
        for path in filesystem.find(root):
            yield path[len(root) + 1 :]

    def modified(self, key: str) -> datetime:
        """See `ListableStore.modified`."""
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
            raise ValueError(f"{key!r} is not a key: keys are relative to the store's root and stay below it")
        return f"{self._place[1]}/{key}"

    def temporary_folder(self) -> Path:
        """See `ImageStore.temporary_folder`."""
        if self.local_folder is None:
            return Path(tempfile.gettempdir())
        self.local_folder.mkdir(parents=True, exist_ok=True)
        return self.local_folder


def _link(source: Path, target: Path) -> None:
    """Make a complete file appear under its name, unless that exists: of several writers, one wins."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        with suppress(PermissionError):  # another user's file
            os.utime(target)  # it is in use again: `collect_garbage` looks at the time
    except OSError:  # a filesystem without hard links
        if not target.exists():
            source.replace(target)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Raise the errors that `ImageStore` promises: the client libraries of object stores have their own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
