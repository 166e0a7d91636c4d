"""The package's logger, on which every record is one line."""

from __future__ import annotations

import logging

from langchain_mistral_imagegen._printable import one_line


class _OneLine(logging.Filter):
    """Makes one line of what a record shows of others' texts: ids, names, and errors with words of the server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record and let it pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(arg if isinstance(arg, (int, float)) else one_line(str(arg)) for arg in record.args)
        return True


def package_logger() -> logging.Logger:
    """Return the logger `langchain_mistral_imagegen`."""
    logger = logging.getLogger("langchain_mistral_imagegen")
    # Compared by name: after a reload of this module the class is another.
    if all(type(present).__name__ != _OneLine.__name__ for present in logger.filters):
        logger.addFilter(_OneLine())
    return logger
