"""`Manifest`: the result of each prompt, written before and after each step that costs money."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NotRequired, Self, TypedDict, cast, get_args

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen.images import ImageRef

MANIFEST = "manifest.jsonl"
Status = Literal["asked", "drawn", "stored", "text", "failed"]


class Record(TypedDict):
    """A line of a manifest."""

    id: str
    prompt: str
    status: Status
    """`asked` (sent, no answer recorded; it may have been paid for), `drawn` (paid for, not all downloaded), `stored`,
    `text` (answered without an image) or `failed` (refused; nothing was paid)."""
    time: str
    """When the line was written, in UTC; with `asked`, when the prompt was sent."""
    key: NotRequired[str]
    """Also in the metadata of the conversation at Mistral, to find a lost answer."""
    conversation_id: NotRequired[str]
    model_name: NotRequired[str]
    agent_id: NotRequired[str]
    text: NotRequired[str]
    images: NotRequired[list[ImageRef]]
    usage: NotRequired[dict[str, Any]]
    connectors: NotRequired[dict[str, int]]
    error: NotRequired[str]
    sandbox: NotRequired[bool]
    """Whether a sandbox that ended with the command answered."""


class BadManifestError(UsageError):
    """A manifest cannot be read or written, or another run is writing it."""


def now() -> str:
    """Return the current time in the format of a manifest."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_manifest(path: Path) -> dict[str, Record]:
    """Read a manifest: the last line of each id. An incomplete last line is ignored.

    Raises:
        BadManifestError: If it cannot be read, or is not a manifest.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadManifestError(f"Cannot read the manifest: {error}; choose another with --manifest") from error
    return _records(data, path)


class Manifest:
    """A file of lines that are only added. If an id occurs more than once, the last line wins.

    A line is on the disk when `write` returns. A process that is killed while it writes leaves an incomplete line,
    which the next process removes. Only one process at a time can write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, Record] = {}

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise BadManifestError(
                f"Cannot write the manifest: {error}; choose another file with --manifest"
            ) from error
        try:
            self._lock()
            self._file.seek(0)
            data = self._file.read()
            self._records = _records(data, self.path)
            self._file.truncate(data.rfind(b"\n") + 1)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def get(self, prompt_id: str) -> Record | None:
        """Return the last line of a prompt, or `None`."""
        return self._records.get(prompt_id)

    def write(self, record: Record) -> Record:
        """Add a line and return it.

        Raises:
            OSError: If it cannot be written.
        """
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        written = self._file.write(line)
        if written != len(line):
            raise OSError(f"Cannot write all of a line to {self.path}; is the disk full?")
        os.fsync(self._file.fileno())
        self._records[record["id"]] = record
        return record

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadManifestError(f"Another run is writing {self.path}") from error


def _records(data: bytes, path: Path) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            record = read_json(line)
        except ValueError:
            record = None
        if not _is_record(record):
            raise BadManifestError(
                f"{path}, line {number}: not a line of a manifest; choose another file with --manifest"
            )
        found[record["id"]] = cast("Record", record)
    return found


def _is_record(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in ("id", "prompt", "time")):
        return False
    images, status = value.get("images", []), value.get("status")
    required = {"asked": "key", "drawn": "images", "stored": "images"}.get(str(status))
    return (
        status in get_args(Status)
        and (required is None or required in value)
        and isinstance(images, list)
        and all(isinstance(ref, dict) and isinstance(ref.get("id"), str) and "status" in ref for ref in images)
    )
