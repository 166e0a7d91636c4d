"""The command's exit codes, and the error behind `BAD_USAGE`."""

from __future__ import annotations

DONE, NO_IMAGE, BAD_USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
DOES_NOT_FIT = 1  # of `check`: the API does something else than the package assumes


class UsageError(Exception):
    """An argument, an environment variable or a file of the user cannot be used; the message names it."""
