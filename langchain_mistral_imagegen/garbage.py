"""Delete images that nothing refers to any more: `collect_garbage`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Send
from pydantic import BaseModel

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ListableStore
from langchain_mistral_imagegen.stores._incoming import IMAGE_KEY

_RECORD = re.compile(r"_intents/[0-9a-f]{32}\.json|\.incoming-[0-9a-f]{16}(\.\w+)?")


def collect_garbage(
    image_store: ListableStore | str, live: Iterable[ImageRef | str], *, grace: timedelta = timedelta(days=7)
) -> list[str]:
    """Delete images that nothing refers to, and files and intents that crashed writers and finished turns left behind.

    Everything younger than `grace` is kept, because an image is stored before the state refers to it. Files with other
    names, such as those of the command, are kept, too. Storing an image again renews its age, so an image that comes
    back into use while this runs is kept, except in the milliseconds between the last look at its age and its removal.

    Args:
        image_store: A path, an fsspec URL, or a store that can list its keys, such as `FsspecImageStore`.
        live: All references, or their keys, that are still needed; `live_images` finds those of a checkpointer. Forks
            and threads share images, so pass the references of everything that uses the store. A generator is read
            after the store was listed.
        grace: Minimum age of what is deleted. A run that was interrupted while it paid, and is resumed later than this,
            pays again.

    Returns:
        The keys that were deleted.

    Raises:
        InvalidInputError: If the store cannot list its keys; or if `live` is empty although there are old images,
            because that is probably a mistake.
    """
    place = _listable(image_store)
    limit = datetime.now(UTC) - grace
    old = [key for key in place.all_keys() if _is_ours(key) and _is_older(place, key, limit)]
    kept = {ref if isinstance(ref, str) else ref.get("key") for ref in live}
    if not kept and any(map(IMAGE_KEY.fullmatch, old)):
        raise InvalidInputError(
            f"`live` names no image, so all images in {place.location('').rstrip('/')!r} older than {grace} would be "
            "deleted; to delete everything, delete the folder or bucket itself"
        )
    dead = [key for key in old if key not in kept and _is_older(place, key, limit)]
    for key in dead:
        place.delete(key)
    return dead


def live_images(checkpointer: BaseCheckpointSaver[Any]) -> Iterator[ImageRef]:
    """Find all stored images that any checkpoint of any thread refers to, in any channel, message or pending write.

    Args:
        checkpointer: A synchronous checkpointer. Every checkpoint is read, so use this for maintenance only.
    """
    for saved in checkpointer.list(None):
        yield from _stored(saved.checkpoint["channel_values"])
        yield from _stored(saved.pending_writes)


def _listable(image_store: ListableStore | str) -> ListableStore:
    store = stores.image_store(image_store)
    if not isinstance(store, ListableStore):
        raise InvalidInputError(
            f"{type(store).__name__} cannot be cleaned up, because it cannot list its keys and their age: it needs the "
            "methods of ListableStore, as FsspecImageStore has them"
        )
    return store


def _is_ours(key: str) -> bool:
    return bool(IMAGE_KEY.fullmatch(key) or _RECORD.fullmatch(key))


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
