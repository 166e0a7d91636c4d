"""Files and blobs: generated and uploaded bytes, and the signed URLs that lead to them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.images import draw_image, padded
from langchain_mistral_imagegen.sandbox.records.problems import Problem

_AZURE_REFUSAL = (
    '<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code>'
    "<Message>Server failed to authenticate the request.</Message></Error>"
)
URL_LIFETIME = 3600  # seconds


@dataclass(frozen=True)
class StoredFile:
    """A file; `read` gives its bytes, which may first have to be drawn."""

    id: str
    name: str
    read: Callable[[], bytes] = field(repr=False)
    purpose: str = "batch"
    source: str = "mistral"
    mimetype: str = "image/jpeg"
    sample_type: str = "batch_result"
    created_at: int = field(default_factory=lambda: int(time.time()))

    def as_json(self) -> dict[str, Any]:
        """Return Mistral's file object; its values for generated files are a guess: no recording has one."""
        return {
            "id": self.id, "object": "file", "bytes": len(self.read()), "created_at": self.created_at,
            "filename": self.name, "purpose": self.purpose, "sample_type": self.sample_type, "source": self.source,
            "num_lines": None, "mimetype": self.mimetype, "signature": None, "expires_at": None,
            "visibility": "workspace",
        }  # fmt: skip


@dataclass
class Files:
    """All files and blobs.

    Attributes:
        base_url: Of the sandbox, for signed URLs.
        clock: Seconds since the epoch, for their expiry.
    """

    base_url: str
    clock: Callable[[], float]
    by_id: dict[str, StoredFile] = field(default_factory=dict)
    blobs: dict[str, tuple[Callable[[], bytes], dict[str, str], float]] = field(default_factory=dict)

    def add_image(self, prompt: str, number: int, behavior: Behavior) -> StoredFile:
        """Keep a generated image; labelled png although its bytes are JPEG, as the real ones are."""

        def read() -> bytes:
            if behavior.file_bytes is not None:
                return behavior.file_bytes
            return padded(draw_image(prompt), behavior.file_size or 0)

        file = StoredFile(ids.file_id(), f"image_generated_{number}", read)
        self.by_id[file.id] = file
        return file

    def add(self, name: str, data: bytes, purpose: str, mimetype: str) -> StoredFile:
        """Keep an uploaded file."""
        file = StoredFile(ids.file_id(), name, lambda: data, purpose, "upload", mimetype)
        self.by_id[file.id] = file
        return file

    def get(self, file_id: str) -> StoredFile:
        """Return a file."""
        if file_id not in self.by_id:
            raise Problem(404, {"detail": f"File {file_id} not found"})
        return self.by_id[file_id]

    def expire(self) -> None:
        """Forget all files, and what signed URLs lead to."""
        self.by_id.clear()
        self.blobs.clear()

    def find(self, wanted: Mapping[str, Sequence[str]], search: str) -> list[StoredFile]:
        """Return the files that have one of the wanted values in each field, and the search in their name."""
        found = [file for file in self.by_id.values() if search.lower() in file.name.lower()]
        return [file for file in found if all(getattr(file, name) in values for name, values in wanted.items())]

    def sign(self, file: StoredFile, lifetime: float = URL_LIFETIME) -> str:
        """Return a URL that leads to a file without an API key until it expires."""
        expires = self.clock() + lifetime
        digest = hashlib.sha256(f"{file.id} {expires}".encode()).hexdigest()
        path = f"/blob/images/blackforest/{digest[:4]}/{digest[4:8]}/-{digest[8:11]}/{digest[11:23]}/image.jpg"
        query = {
            "se": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "sp": "r",
            "sv": "2026-02-06",
            "sr": "b",
            "sig": digest[23:],
        }
        self.blobs[path] = (file.read, query, expires)
        return f"{self.base_url}{path}?{urlencode(query)}"

    def open_blob(self, path: str, query: Mapping[str, str]) -> Callable[[], bytes]:
        """Return the bytes behind a signed URL, whose signature covers the whole query."""
        read, signed, expires = self.blobs.get(path, (None, {}, 0.0))
        if read is None or dict(query) != signed or expires < self.clock():
            raise refusal()
        return read


def refusal() -> Problem:
    """Make Azure's answer to a URL whose signature is wrong or has expired."""
    return Problem(403, _AZURE_REFUSAL, {"content-type": "application/xml"})
