"""A JSON value with each of its fields set to null or left out, by the fields that Mistral's SDK has."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Path = tuple[Any, ...]


def fields(value: Any, needed: frozenset[str], path: Path = ()) -> Iterator[Path]:
    """Yield the path of each field but the needed ones, whose names may follow the `type` of their object."""
    if isinstance(value, dict):
        for name, part in value.items():
            if not {name, f"{value.get('type')} {name}"} & needed:
                yield (*path, name)
            yield from fields(part, needed, (*path, name))
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from fields(part, needed, (*path, place))


def changed(value: Any, path: Path, *, null: bool) -> Any:
    """Return a copy with a field set to null, or without it."""
    value = copy.deepcopy(value)
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    if null:
        holder[path[-1]] = None
    else:
        del holder[path[-1]]
    return value


def everywhere(value: Any, name: str) -> Any:
    """Return a copy in which each field of that name is null."""
    if isinstance(value, dict):
        return {key: None if key == name else everywhere(part, name) for key, part in value.items()}
    return [everywhere(part, name) for part in value] if isinstance(value, list) else value


def left_out(read: Any, where: str = "") -> Iterator[str]:
    """Yield the fields of Mistral's SDK that what it has read lacks: examples must have them all."""
    match read:
        case BaseModel():
            names = type(read).model_fields
            yield from (f"{where}{type(read).__name__}.{name}" for name in names if name not in read.model_fields_set)
            for name in names:
                yield from left_out(getattr(read, name))
        case list():
            for part in read:
                yield from left_out(part)
