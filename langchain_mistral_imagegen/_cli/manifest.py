"""`Manifest`: what became of each of many prompts, written before and after everything that costs money."""

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

from langchain_mistral_imagegen._protocol.entries import read_json
from langchain_mistral_imagegen.images import ImageRef

MANIFEST = "manifest.jsonl"
Status = Literal["asked", "drawn", "stored", "text", "failed"]


class Record(TypedDict):
    """A line of a manifest."""

    id: str
    prompt: str
    status: Status
    """`asked` (the answer is not known, it may have been paid for), `drawn` (paid for, not all downloaded), `stored`,
    `text` (answered without a picture) or `failed` (refused; nothing was paid)."""
    time: str
    """When it was written; of `asked`, when it was asked."""
    key: NotRequired[str]
    """In the metadata of the conversation at Mistral, by which a lost answer is found."""
    conversation_id: NotRequired[str]
    model_name: NotRequired[str]
    agent_id: NotRequired[str]
    text: NotRequired[str]
    images: NotRequired[list[ImageRef]]
    usage: NotRequired[dict[str, Any]]
    connectors: NotRequired[dict[str, int]]
    error: NotRequired[str]
    sandbox: NotRequired[bool]
    """Whether a sandbox answered that is gone now."""


class BadManifestError(ValueError):
    """A manifest cannot be read, or somebody else writes it."""


def now() -> str:
    """Return the time as it stands in a manifest."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_manifest(path: Path) -> dict[str, Record]:
    """Read the last line of each id; a line that is being written does not count.

    Raises:
        BadManifestError: If it is not one.
        OSError: If it cannot be read.
    """
    return _records(path.read_bytes(), path)


class Manifest:
    """Takes lines, on the disk before `write` returns. None is ever changed, and the last one with an id counts.

    Whoever is killed while writing a line leaves a part of one, which the next one removes. Only one process at a time
    can write.
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
                f"The manifest cannot be kept there: {error}; use another with --manifest"
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
        """Return what is known of a prompt."""
        return self._records.get(prompt_id)

    def write(self, record: Record) -> Record:
        """Add a line."""
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        written = self._file.write(line)
        if written != len(line):
            raise OSError(f"{self.path} takes no more: is the disk full?")
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
            raise BadManifestError(f"{path}, line {number}: not a line of a manifest; use another with --manifest")
        found[record["id"]] = cast("Record", record)
    return found


def _is_record(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in ("id", "prompt", "time")):
        return False
    images, status = value.get("images", []), value.get("status")
    needed = {"asked": "key", "drawn": "images", "stored": "images"}.get(str(status))
    return (
        status in get_args(Status)
        and (needed is None or needed in value)
        and isinstance(images, list)
        and all(isinstance(ref, dict) and isinstance(ref.get("id"), str) and "status" in ref for ref in images)
    )
