"""`ByteStoreImageStore`: images in a LangChain `ByteStore`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_mistral_imagegen.stores._object_errors import object_errors

if TYPE_CHECKING:
    from langchain_core.stores import ByteStore


@dataclass(frozen=True)
class ByteStoreImageStore:
    """Stores images in a LangChain `ByteStore`, such as `LocalFileStore` or `RedisStore`.

    It is only as safe as that store: `LocalFileStore`, for example, may leave half an image behind if its process is
    killed, and two workers that announce the same turn at once may both believe they are first. Where images cost
    money, prefer `FsspecImageStore`. A `ByteStore` does not know the age of its keys, so `collect_garbage` cannot clean
    it up.

    Attributes:
        byte_store: Stores bytes by key.
    """

    byte_store: ByteStore

    def put(self, source: Path, key: str) -> None:
        """See `ImageStore.put`; not atomic."""
        with object_errors(self.location(key)):
            if self.byte_store.mget([key]) == [None]:
                self.byte_store.mset([(key, source.read_bytes())])

    def get(self, key: str) -> bytes:
        """See `ImageStore.get`."""
        with object_errors(self.location(key)):
            (data,) = self.byte_store.mget([key])
        if data is None:
            raise FileNotFoundError(key)
        return data

    def delete(self, key: str) -> None:
        """See `ImageStore.delete`."""
        with object_errors(self.location(key)):
            self.byte_store.mdelete([key])

    def location(self, key: str) -> str:
        """See `ImageStore.location`."""
        return f"{type(self.byte_store).__name__}:{key}"

    def temporary_folder(self) -> Path:
        """See `ImageStore.temporary_folder`."""
        return Path(tempfile.gettempdir())
