"""`FsspecImageStore`: images in a local folder, in memory, or in a bucket."""

from __future__ import annotations

import functools
import mimetypes
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from langchain_mistral_imagegen._files import make_folder, sync_folder
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.stores._blocks import put_blocks
from langchain_mistral_imagegen.stores._ledger_files import LedgerFiles, fsspec_ledger_files
from langchain_mistral_imagegen.stores._object_errors import create, object_errors

DEFAULT_FOLDER = "generated_images"
STORE_VARIABLE = "MISTRAL_IMAGEGEN_STORE"
_FRESH = timedelta(hours=1)  # younger objects are not written again to renew their time
_PIECE = 1024 * 1024
_LARGE = 5 * _PIECE  # smaller files are one request
_S3_PART = 5 * _PIECE  # the least that S3 takes, but for the last part
_GCS_CHUNK = 3 * _PIECE  # a multiple of 256 KB; aiohttp holds two of them

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
            make_folder(target.parent)
            _link(source, target)
            sync_folder(target.parent)
        else:
            self._put_object(source, key)

    def _put_object(self, source: Path, key: str) -> None:
        # Object stores make an object visible when it is complete, and refuse a second one of the same name.
        path, place = self._path(key), self.location(key)
        write = self._writer(source, path)
        try:
            create(functools.partial(write, mode="create"), place)
        except OSError as error:
            # Another error may hide that the write succeeded: its answer was lost, and a repetition was refused.
            if not isinstance(error, FileExistsError) and not self._holds(path, source):
                raise
            with object_errors(place):
                if not key.startswith("_") and self._modified(path) < datetime.now(UTC) - _FRESH:
                    write()

    def _writer(self, source: Path, path: str) -> Callable[..., None]:
        """Return what uploads a file with little memory, and labels it: s3fs and gcsfs read the suffix themselves."""
        put_file = functools.partial(self._filesystem.put_file, str(source), path)
        protocol = self._filesystem.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        if "s3" in protocols:
            return functools.partial(put_file, chunksize=_S3_PART, max_concurrency=1)
        if "gs" in protocols:
            return functools.partial(put_file, chunksize=_GCS_CHUNK)
        if "abfs" not in protocols:
            return put_file
        from azure.storage.blob import ContentSettings  # noqa: PLC0415  # comes with the extra

        settings = ContentSettings(content_type=mimetypes.guess_type(source)[0])
        if source.stat().st_size < _LARGE:
            return functools.partial(put_file, content_settings=settings, max_concurrency=1)
        return functools.partial(put_blocks, self._filesystem, source, path, content_settings=settings)

    def _holds(self, path: str, source: Path) -> bool:
        """Return whether an object is there and has these bytes; `False` if the store does not know."""
        try:
            self._filesystem.invalidate_cache(path.rpartition("/")[0])
            with self._filesystem.open(path, "rb") as stored, source.open("rb") as given:
                while piece := given.read(_PIECE):
                    if stored.read(len(piece)) != piece:
                        return False
                return not stored.read(1)
        except Exception:  # noqa: BLE001  # the client libraries have errors of their own; the first one is reported
            return False

    def get(self, key: str) -> bytes:
        """See `ImageStore.get`."""
        path = self._path(key)
        with object_errors(self.location(key)):
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
            InvalidInputError: If this kind of store, or its credentials, cannot make links; serve the images
                yourself, for example with `langchain_mistral_imagegen.web.image_routes`.
        """
        path = self._path(key)
        if self.local_folder:
            return Path(path).absolute().as_uri()
        try:
            link: str = self._filesystem.sign(path, expiration=expires)
        except OSError:
            raise
        except Exception as error:  # each client library has its own for credentials that cannot sign
            raise InvalidInputError(
                f"The image store {self.root!r} cannot make links; serve its images with `web.image_routes`"
            ) from error
        return link

    def all_keys(self) -> Iterator[str]:
        """See `ListableStore.all_keys`."""
        root = self._place[1]
        for path in _files_below(root) if self.local_folder else self._objects():
            yield path[len(root) + 1 :].replace(os.sep, "/")

    def _objects(self) -> Iterator[str]:
        """Yield the paths of all objects, folder by folder: a list of a million takes hundreds of megabytes."""
        filesystem, root = self._place
        filesystem.invalidate_cache()
        with object_errors(self.root), suppress(FileNotFoundError):
            for place in filesystem.ls(root, detail=False):
                if place.rstrip("/") != root:  # an empty object that stands for the folder itself
                    yield from filesystem.find(place)
                    filesystem.invalidate_cache(place)

    def modified(self, key: str) -> datetime:
        """See `ListableStore.modified`."""
        path = self._path(key)
        with object_errors(self.location(key)):
            return self._modified(path)

    def _modified(self, path: str) -> datetime:
        self._filesystem.invalidate_cache(path.rpartition("/")[0])
        when: datetime = self._filesystem.modified(path)
        return when

    def delete(self, key: str) -> None:
        """See `ImageStore.delete`."""
        path = self._path(key)
        with suppress(FileNotFoundError), object_errors(self.location(key)):
            self._filesystem.rm_file(path)

    def ledger_files(self) -> LedgerFiles:
        """Return the files in which a ledger is kept, below `_ledger/`.

        Raises:
            InvalidInputError: If the filesystem cannot create a file only if there is none.
        """
        return fsspec_ledger_files(*self._place, self.root)

    def _path(self, key: str) -> str:
        if key.startswith("/") or "\\" in key or ".." in key.split("/"):  # Windows takes "\\" for "/"
            raise ValueError(f"{key!r} is not a key: keys are relative to the store's root and stay below it")
        return f"{self._place[1]}/{key}"

    def temporary_folder(self) -> Path:
        """See `ImageStore.temporary_folder`."""
        if self.local_folder is None:
            return Path(tempfile.gettempdir())
        make_folder(self.local_folder)
        return self.local_folder


def _files_below(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(place, name)  # noqa: PTH118  # a million paths, as text


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
