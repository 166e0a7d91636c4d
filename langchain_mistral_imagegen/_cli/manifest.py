"""`Manifest`: the result of each prompt, written before and after each step that costs money."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NotRequired, Self, cast, get_args

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from typing_extensions import TypedDict

from langchain_mistral_imagegen._cli.exit_codes import UsageError
from langchain_mistral_imagegen._files import make_folder, sync_folder
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
    """Read a manifest: the last line of each id. A last line that was not written completely is ignored.

    Raises:
        BadManifestError: If it cannot be read, or is not a manifest.
    """
    return {record["id"]: record for record in read_lines(path)}


def read_lines(path: Path) -> list[Record]:
    """Read all lines of a manifest, oldest first.

    Raises:
        BadManifestError: See `read_manifest`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadManifestError(f"Cannot read the manifest: {error}; choose another with --manifest") from error
    return list(_lines(data, path))


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
            make_folder(self.path.parent)
            self._file = self.path.open("a+b", buffering=0)
            sync_folder(self.path.parent)
        except OSError as error:
            raise BadManifestError(
                f"Cannot write the manifest: {error}; choose another file with --manifest"
            ) from error
        try:
            self._lock()
            self._file.seek(0)
            data = self._file.read()
            self._records = {record["id"]: record for record in _lines(data, self.path)}
            self._end_last_line(data)
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

    def records(self) -> list[Record]:
        """Return the last line of each prompt."""
        return list(self._records.values())

    def write(self, record: Record) -> Record:
        """Add a line and return it.

        Raises:
            OSError: If it cannot be written.
        """
        _add(self._file, record)
        self._records[record["id"]] = record
        return record

    def _end_last_line(self, data: bytes) -> None:
        """Remove a last line that was not written completely; end one that lost its line break in an editor."""
        start = data.rfind(b"\n") + 1
        if _is_torn(data[start:]):
            self._file.truncate(start)
        elif data[start:]:
            self._file.write(b"\n")

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadManifestError(f"Another run is writing {self.path}") from error


def append_record(path: Path, record: Record) -> None:
    """Add a line to a manifest, also while another run writes it. Make the file if it does not exist.

    The line, and the file's name, are on the disk when this returns.

    Raises:
        OSError: If it cannot be written.
    """
    make_folder(path.parent)
    with path.open("a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        _add(file, record)
    sync_folder(path.parent)


def _add(file: FileIO, record: Record) -> None:
    line = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    written = file.write(line)
    if written != len(line):
        raise OSError(f"Cannot write all of a line to {file.name!r}; is the disk full?")
    os.fsync(file.fileno())


def _lines(data: bytes, path: Path) -> Iterator[Record]:
    """Read the lines, as an editor may have left them: with a BOM, CRLF, blank lines, or no last line break."""
    *lines, last = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate([*lines, b"" if _is_torn(last) else last], start=1):
        if not line.strip():
            continue
        record = _parsed(line)
        if not _is_record(record):
            raise BadManifestError(
                f"{path}, line {number}: not a line of a manifest. Correct the line: it may be the only record of an "
                "image that is paid for"
            )
        yield cast("Record", record)


def _is_torn(line: bytes) -> bool:
    """Return whether a process that ended while it wrote left this line; nothing was sent before it was complete."""
    return line.startswith(b'{"id": "'[: len(line)]) and _parsed(line) is None


def _parsed(line: bytes) -> Any:
    try:
        return read_json(line)
    except ValueError:
        return None


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
