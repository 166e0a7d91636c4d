"""Which chains of a ledger are finished, so that they may be deleted some day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from langchain_mistral_imagegen._ledger.records import Answered, Record, See, read_record

_PLACE = re.compile(r"_ledger/([^/]+)/(\d{1,9})\.json")


def finished_chains(keys: Iterable[str], get: Callable[[str], bytes]) -> list[list[str]]:
    """Find the chains that end with an answer, and those that lead to such.

    Args:
        keys: All keys of a store.
        get: Reads one.

    Returns:
        For each chain its keys in the order in which to delete them: the last record last, because it names what the
        chain is.
    """
    chains: dict[str, dict[int, str]] = {}
    for key in keys:
        if place := _PLACE.fullmatch(key):
            chains.setdefault(place[1], {})[int(place[2])] = key
    heads = {name: _read(get, records[max(records)]) for name, records in chains.items()}
    return [
        [records[number] for number in sorted(records)]
        for name, records in chains.items()
        if _is_finished(heads[name], heads)
    ]


def _read(get: Callable[[str], bytes], key: str) -> Record | None:
    try:
        return read_record(get(key))
    except FileNotFoundError:
        return None


def _is_finished(head: Record | None, heads: dict[str, Record | None]) -> bool:
    if isinstance(head, See):
        return head.key not in heads or isinstance(heads[head.key], Answered)
    return isinstance(head, Answered)
