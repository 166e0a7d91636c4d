"""The library's log on a terminal: waiting is progress, warnings are notices, and all of it has one writer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from langchain_mistral_imagegen._logger import package_logger

_LOGGER = package_logger()
_RETRY = "retrying in %g seconds"


class Listener(Protocol):
    """A report that shows what the library logs."""

    def waiting(self, seconds: float, reason: str) -> None:
        """Take how long the command waits before it sends a request again."""

    def notice(self, text: str) -> None:
        """Print a warning."""


class _Handler(logging.Handler):
    def __init__(self, listener: Listener) -> None:
        super().__init__(logging.INFO)
        self._listener = listener

    def emit(self, record: logging.LogRecord) -> None:
        if _RETRY in record.msg and isinstance(record.args, tuple):
            _, error, seconds = record.args
            self._listener.waiting(float(str(seconds)), str(error))
        elif record.levelno >= logging.WARNING:
            self._listener.notice(record.getMessage())


@contextmanager
def log_to(listener: Listener) -> Iterator[None]:
    """Show the library's log in a report while the command runs."""
    handler, before = _Handler(listener), (_LOGGER.level, _LOGGER.propagate)
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        _LOGGER.level, _LOGGER.propagate = before
