"""`Nested`: an asynchronous generator that is closed by the one around it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TypeVar

T = TypeVar("T")


class Nested(AsyncIterator[T]):
    """Iterates a generator of which the event loop knows nothing.

    A loop that ends closes all generators it knows at the same time. Where one closes another, both close the inner
    one, and the loop reports that it "is already running". Whoever uses this must close it, with `aclosing`.
    """

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator
        self._is_new = True

    def __anext__(self) -> Awaitable[T]:
        """Return the next item."""
        return self._first() if self._is_new else self._generator.__anext__()

    def _first(self) -> Awaitable[T]:
        # A generator is made known when its first item is asked for.
        self._is_new, hooks = False, sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=None)
        try:
            return self._generator.__anext__()
        finally:
            sys.set_asyncgen_hooks(*hooks)

    async def aclose(self) -> None:
        """Close the generator."""
        await self._generator.aclose()
