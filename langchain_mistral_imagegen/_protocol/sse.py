"""Server-sent events without I/O: bytes in, in whatever pieces; the `data` of each event out.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import Iterator

from langchain_mistral_imagegen.errors import InvalidResponseError

_MAX_EVENT = 16 * 1024 * 1024  # bytes
_MAX_STREAM = 256 * 1024 * 1024  # bytes of all events; the largest answers have a few megabytes
_BLANK = (b"", b"\r")
_EMPTY_LINE = 40  # bytes that a line takes in memory besides its text


class EventStreamDecoder:
    """Splits a body into events; comments, names and ids are ignored (the data has its type)."""

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line without its end
        self._data: list[bytes] = []
        self._size = 0  # of the data
        self._received = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of every event that `piece` completes.

        Raises:
            InvalidResponseError: If an event, or the stream, has no end.
        """
        self._received += len(piece)
        if self._received > _MAX_STREAM:
            raise InvalidResponseError(f"The server sent a stream larger than {_MAX_STREAM:,} bytes")
        *lines, rest = piece.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].removesuffix(b"\r").removeprefix(b" ")
                self._data.append(data)
                self._size += len(data) + _EMPTY_LINE
            elif self._data and line in _BLANK:
                yield self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                self._data, self._size = [], 0
        if len(self._rest) + self._size > _MAX_EVENT:
            raise InvalidResponseError(f"The server sent an event larger than {_MAX_EVENT:,} bytes")

    def flush(self) -> Iterator[bytes]:
        """Yield the last event, which may lack its blank line, after the body has ended."""
        return self.feed(b"\n\n")
