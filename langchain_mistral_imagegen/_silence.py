"""Silences warnings of a library, in several threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_filters = warnings.catch_warnings()


@contextmanager
def silence() -> Iterator[None]:
    """Ignore warnings until the last of the blocks that run at once has ended.

    Of two `warnings.catch_warnings` in threads, the one that ends last restores what the other one had set.
    """
    global _inside, _filters  # noqa: PLW0603  # the filters are the process's
    with _lock:
        if not _inside:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _filters.__exit__(None, None, None)
