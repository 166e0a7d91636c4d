"""Delete images that nothing refers to any more: `collect_garbage`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from langchain_core.runnables.config import run_in_executor
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Send
from pydantic import BaseModel

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen._ledger.cleanup import finished_chains
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ListableStore
from langchain_mistral_imagegen.stores._incoming import IMAGE_KEY
from langchain_mistral_imagegen.stores._thumbnails import image_key

_LEFT_BEHIND = re.compile(r"(_ledger/[^/]+/)?\.incoming-[0-9a-f]{16}(\.\w+)?|_ledger/probe-[0-9a-f]+/0\.json")
_RETENTION = timedelta(days=30)


def collect_garbage(
    image_store: ListableStore | str,
    live: Iterable[ImageRef | str],
    *,
    grace: timedelta = timedelta(days=7),
    retention: timedelta = _RETENTION,
    dry_run: bool = False,
) -> list[str]:
    """Delete images that nothing refers to, files that crashed writers left behind, and old records of the ledger.

    Thumbnails of `image_routes` go with their images.
    Everything younger than `grace` is kept, because an image is stored before the state refers to it. Files with other
    names, such as those of the command, are kept, too. Storing an image again renews its age, so an image that comes
    back into use while this runs is kept, except in the milliseconds between the last look at its age and its removal.

    Args:
        image_store: A path, an fsspec URL, or a store that can list its keys, such as `FsspecImageStore`.
        live: All references, or their keys, that are still needed; `live_images` finds those of a checkpointer. Forks
            and threads share images, so pass the references of everything that uses the store. A generator is read
            after the store was listed.
        grace: Minimum age of what is deleted.
        retention: Minimum age of records of the ledger whose answer is known; those of others are kept. A run that is
            resumed later than this pays again, so it must be longer than any thread may sleep.
        dry_run: Delete nothing.

    Returns:
        The keys that were deleted, or with `dry_run`, that would be.

    Raises:
        InvalidInputError: If the store cannot list its keys; or if `live` is empty although there are old images,
            because that is probably a mistake.
    """
    sweep = _Sweep(_listable(image_store), grace, max(grace, retention), dry_run)
    old = sweep.old()
    return sweep.delete(old, {_key(ref) for ref in live})


async def acollect_garbage(
    image_store: ListableStore | str,
    live: AsyncIterable[ImageRef | str],
    *,
    grace: timedelta = timedelta(days=7),
    retention: timedelta = _RETENTION,
    dry_run: bool = False,
) -> list[str]:
    """Delete images that nothing refers to, with references that arrive asynchronously; see `collect_garbage`.

    Example:
        ```python
        deleted = await acollect_garbage("images", alive_images(checkpointer))
        ```
    """
    sweep = _Sweep(_listable(image_store), grace, max(grace, retention), dry_run)
    old = await run_in_executor(None, sweep.old)
    kept = {_key(ref) async for ref in live}
    return await run_in_executor(None, sweep.delete, old, kept)


@dataclasses.dataclass(frozen=True)
class _Sweep:
    """One cleaning of a store.

    Attributes:
        store: The store.
        grace: Minimum age of images.
        retention: Minimum age of records.
        dry_run: Whether nothing is deleted.
    """

    store: ListableStore
    grace: timedelta
    retention: timedelta
    dry_run: bool

    def old(self) -> list[str]:
        """Return what is old enough."""
        limit = datetime.now(UTC) - self.grace
        return [key for key in self.store.all_keys() if _is_ours(key) and _is_older(self.store, key, limit)]

    def delete(self, old: Sequence[str], kept: AbstractSet[str | None]) -> list[str]:
        """Delete what is old and not kept, if it is still old."""
        if not kept and any(map(IMAGE_KEY.fullmatch, old)):
            raise InvalidInputError(
                f"`live` names no image, so all images in {self.store.location('').rstrip('/')!r} older than "
                f"{self.grace} would be deleted; to delete everything, delete the folder or bucket itself"
            )
        now = datetime.now(UTC)
        dead = [
            key for key in old if (image_key(key) or key) not in kept and _is_older(self.store, key, now - self.grace)
        ]
        dead += _old_records(self.store, now - self.retention)
        for key in [] if self.dry_run else dead:
            self.store.delete(key)
        return dead


def _key(ref: ImageRef | str) -> str | None:
    return ref if isinstance(ref, str) else ref.get("key")


def live_images(checkpointer: BaseCheckpointSaver[Any]) -> Iterator[ImageRef]:
    """Find all stored images that any checkpoint of any thread refers to, in any channel, message or pending write.

    Args:
        checkpointer: A synchronous checkpointer; `alive_images` takes others. Every checkpoint is read, so use this for
            maintenance only.
    """
    for saved in checkpointer.list(None):
        yield from _stored(saved.checkpoint["channel_values"])
        yield from _stored(saved.pending_writes)


async def alive_images(checkpointer: BaseCheckpointSaver[Any]) -> AsyncIterator[ImageRef]:
    """Find all stored images that any checkpoint of an asynchronous checkpointer refers to; see `live_images`."""
    async for saved in checkpointer.alist(None):
        for ref in (*_stored(saved.checkpoint["channel_values"]), *_stored(saved.pending_writes)):
            yield ref


def _old_records(place: ListableStore, limit: datetime) -> Iterator[str]:
    for chain in finished_chains(place.all_keys(), place.get):
        if _is_older(place, chain[-1], limit):
            yield from chain


def _listable(image_store: ListableStore | str) -> ListableStore:
    store = stores.image_store(image_store)
    if not isinstance(store, ListableStore):
        raise InvalidInputError(
            f"{type(store).__name__} cannot be cleaned up, because it cannot list its keys and their age: it needs the "
            "methods of ListableStore, as FsspecImageStore has them"
        )
    return store


def _is_ours(key: str) -> bool:
    return bool(IMAGE_KEY.fullmatch(key) or image_key(key) or _LEFT_BEHIND.fullmatch(key))


def _is_older(store: ListableStore, key: str, limit: datetime) -> bool:
    try:
        return store.modified(key) < limit
    except FileNotFoundError:
        return False


def _stored(value: Any) -> Iterator[ImageRef]:
    """Find references in nested values of any kind that a checkpoint can contain."""
    if isinstance(value, Mapping):
        if value.get("status") == "stored" and isinstance(value.get("key"), str):
            yield cast("ImageRef", value)
        yield from _stored(list(value.values()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            yield from _stored(part)
    elif isinstance(value, BaseModel):
        yield from _stored(dict(value))
    elif isinstance(value, Send):
        yield from _stored(value.arg)
    elif dataclasses.is_dataclass(value):
        yield from _stored([getattr(value, field.name) for field in dataclasses.fields(value)])
