"""Removing pictures that nothing refers to any more: `collect_garbage`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Send
from pydantic import BaseModel

from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import FsspecImageStore

_PICTURE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.(jpg|png|webp|gif)")
_RECORD = re.compile(r"_intents/[0-9a-f]{32}\.json|\.incoming-[0-9a-f]{16}(\.\w+)?")


def collect_garbage(
    store: FsspecImageStore | str, live: Iterable[ImageRef | str], grace: timedelta = timedelta(days=7)
) -> list[str]:
    """Delete pictures that nothing refers to, and what crashed writers and finished turns have left behind.

    What is younger than `grace` stays in any case: a picture is stored before the state refers to it. So does what was
    named otherwise, such as the command's files. Whoever stores a picture again renews its age, so one that comes back
    into use while this runs is kept, but for the milliseconds between the last look at its age and its removal.

    Args:
        store: A path, an fsspec URL or a store.
        live: All references, or their keys, that are still needed; `live_images` finds those of a checkpointer. Forks
            and threads share pictures, so it must name those of all that use the store. A generator is read only after
            the store was listed.
        grace: Age from which something may go. A run that was interrupted while it paid, and is resumed later than
            this, pays again.

    Returns:
        The keys that were deleted.

    Raises:
        InvalidInputError: If `live` is empty, though there are pictures that old: it was probably not meant.
    """
    place = FsspecImageStore(store) if isinstance(store, str) else store
    limit = datetime.now(UTC) - grace
    old = [key for key in place.all_keys() if _is_ours(key) and _is_older(place, key, limit)]
    kept = {ref if isinstance(ref, str) else ref.get("key") for ref in live}
    if not kept and any(map(_PICTURE.fullmatch, old)):
        raise InvalidInputError(
            f"`live` names no picture, so all of {place.root!r} that is older than {grace} would go; "
            "to delete everything, delete the folder or bucket itself"
        )
    dead = [key for key in old if key not in kept and _is_older(place, key, limit)]
    for key in dead:
        place.delete(key)
    return dead


def live_images(checkpointer: BaseCheckpointSaver[Any]) -> Iterator[ImageRef]:
    """Find all stored pictures that any checkpoint of any thread refers to, in whatever channel, message or write.

    Args:
        checkpointer: A synchronous one; every checkpoint is read, so this is for maintenance.
    """
    for saved in checkpointer.list(None):
        yield from _stored(saved.checkpoint["channel_values"])
        yield from _stored(saved.pending_writes)


def _is_ours(key: str) -> bool:
    return bool(_PICTURE.fullmatch(key) or _RECORD.fullmatch(key))


def _is_older(store: FsspecImageStore, key: str, limit: datetime) -> bool:
    try:
        return store.modified(key) < limit
    except FileNotFoundError:
        return False


def _stored(value: Any) -> Iterator[ImageRef]:
    """Look for references in nested values of any kind that a checkpoint can hold."""
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
