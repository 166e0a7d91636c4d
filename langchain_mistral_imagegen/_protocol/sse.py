"""Server-sent events without I/O: bytes in, in whatever pieces; the `data` of each event out.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import Iterator

from langchain_mistral_imagegen.errors import InvalidResponseError

_MAX_EVENT = 16 * 1024 * 1024  # bytes


class EventStreamDecoder:
    """Splits a body into events; comments, names and ids are ignored (the data has its type)."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of every event that `piece` completes.

        Raises:
            InvalidResponseError: If an event has no end.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))
        if len(self._rest) + sum(map(len, self._data)) > _MAX_EVENT:
            raise InvalidResponseError(f"The server sent an event larger than {_MAX_EVENT:,} bytes")

    def flush(self) -> Iterator[bytes]:
        """Yield the last event, which may lack its blank line, after the body has ended."""
        rest, self._rest = self._rest, b""
        yield from self._line(rest.removesuffix(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            yield data
