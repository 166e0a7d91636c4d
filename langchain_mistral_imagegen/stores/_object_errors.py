"""What errors of object stores mean: the object is there already, another write is in progress, or anything else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_EXISTS = "PreconditionFailed"
_IN_PROGRESS = "ConditionalRequestConflict"
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds


def _code(error: BaseException | None) -> str | None:
    """Return S3's own code of an error, which s3fs translates away."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code: str | None = response.get("Error", {}).get("Code")
            return code
        error = error.__cause__
    return None


@contextmanager
def object_errors() -> Iterator[None]:
    """Raise the errors that `ImageStore` promises: the client libraries of object stores have their own.

    Raises:
        FileExistsError: If a conditional write was refused. Amazon names the condition in its 412, as s3fs expects
            it; other servers do not.
        OSError: For any other error.
    """
    try:
        yield
    except Exception as error:
        if _code(error) == _EXISTS:
            raise FileExistsError(str(error)) from error
        if isinstance(error, OSError):
            raise
        raise OSError(f"{type(error).__name__}: {error}") from error


def create(write: Callable[[], object]) -> None:
    """Call a conditional write, and again while the store answers that another write of the same key is in progress.

    Amazon documents this answer, 409 `ConditionalRequestConflict`; nothing was written.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

    Raises:
        FileExistsError: If the object exists.
        OSError: If it could not be written, or that is uncertain.
    """
    for pause in (*_PAUSES, None):
        try:
            with object_errors():
                write()
        except OSError as error:
            if pause is None or _code(error) != _IN_PROGRESS:
                raise
            threading.Event().wait(pause)
        else:
            return
