"""What errors of object stores mean: the object is there already, another write is in progress, or anything else."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langchain_mistral_imagegen._printable import one_line

_EXISTS = "PreconditionFailed"
_IN_PROGRESS = "ConditionalRequestConflict"
_QUERY = re.compile(r"\?[^\s?=\"'<>]+=[^\s\"'<>]*")
_PASSWORD = re.compile(r"://[^/\s@\"']+@")
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds


def _code(error: BaseException | None) -> str | None:
    """Return S3's own code of an error, which s3fs translates away."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code: str | None = response.get("Error", {}).get("Code")
            return code
        error = error.__cause__ or error.__context__  # a cause with secrets is not shown
    return None


@contextmanager
def object_errors(place: str) -> Iterator[None]:
    """Raise the errors that `ImageStore` promises: the client libraries of object stores have their own.

    Args:
        place: What is read or written: the store and the key, for people.

    Raises:
        FileExistsError: If a conditional write was refused. Amazon names the condition in its 412, as s3fs expects
            it; other servers do not.
        OSError: For any other error. It names the place in one line, and shows no credentials in URLs.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename:  # a local file's names it
            raise
        kind = FileExistsError if _code(error) == _EXISTS else _kind(error)
        text = str(error) if isinstance(error, OSError) and str(error) else f"{type(error).__name__}: {error}"
        # A traceback shows the cause, too.
        raise kind(_without_secrets(one_line(f"{place}: {text}"))) from (
            error if _without_secrets(text) == text else None
        )


def _kind(error: Exception) -> type[OSError]:
    """Return Python's own class of an error, such as `FileNotFoundError`."""
    kinds = (kind for kind in type(error).__mro__ if issubclass(kind, OSError) and kind.__module__ == "builtins")
    return next(kinds, OSError)


def _without_secrets(text: str) -> str:
    """Remove what may grant access: passwords in URLs, and queries, which may be signed."""
    return _QUERY.sub("?...", _PASSWORD.sub("://...@", text))


def create(write: Callable[[], object], place: str) -> None:
    """Call a conditional write, and again while the store answers that another write of the same key is in progress.

    Amazon documents this answer, 409 `ConditionalRequestConflict`; nothing was written.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

    Args:
        write: Writes an object if there is none.
        place: What is written, for people.

    Raises:
        FileExistsError: If the object exists.
        OSError: If it could not be written, or that is uncertain.
    """
    for pause in (*_PAUSES, None):
        try:
            with object_errors(place):
                write()
        except OSError as error:
            if pause is None or _code(error) != _IN_PROGRESS:
                raise
            threading.Event().wait(pause)
        else:
            return
