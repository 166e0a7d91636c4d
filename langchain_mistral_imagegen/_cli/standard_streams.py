"""Standard output and standard error that no failed write can make raise: what is printed is never worth an image."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class UnfailingStream:
    """A text stream that keeps the error of the first failed write, and drops what is written after it.

    Attributes:
        error: Why the output is incomplete, or `None`.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._is_closed = stream is None
        # Also takes the place of a closed file descriptor, before a socket or an image can.
        self._stream: TextIO = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # until the end
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text at once, so that an error belongs to this text."""
        if self._is_closed and text:
            self.error = self.error or OSError(errno.EBADF, "it is closed")
        if self.error is None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except OSError as error:
                self.error = error
                self._redirect()
        return len(text)

    def flush(self) -> None:
        """Do nothing: `write` has flushed."""

    def _redirect(self) -> None:
        # Python would write the rest of its buffer again at the end, and fail.
        with suppress(OSError, ValueError), open(os.devnull, "wb") as null:  # noqa: PTH123  # a device
            os.dup2(null.fileno(), self._stream.fileno())


@contextmanager
def unfailing_streams() -> Iterator[UnfailingStream]:
    """Replace the standard streams while the command runs; yield standard output."""
    before = sys.stdin, sys.stdout, sys.stderr
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a character the console lacks is no reason to stop
    output, errors = UnfailingStream(sys.stdout), UnfailingStream(sys.stderr)
    sys.stdout, sys.stderr = cast("TextIO", output), cast("TextIO", errors)
    try:
        yield output
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
