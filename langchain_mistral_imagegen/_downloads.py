"""Flows that download images: into memory, or into an image store without holding them in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from typing_extensions import TypedDict

from langchain_mistral_imagegen._protocol.flows import Flow, blocking, download, together
from langchain_mistral_imagegen.errors import InvalidImageError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._incoming import DEFAULT_MAX_BYTES, IncomingImage, content_address

MAX_CONCURRENCY = 16
OnBytes: TypeAlias = Callable[[ImageRef, int], None]


def _ignore_progress(_ref: ImageRef, _received: int) -> None:
    """Ignore the bytes received so far."""


class DownloadOptions(TypedDict, total=False):
    """Options that a caller may set; see `Downloads`."""

    max_concurrency: int
    max_bytes: int
    name: Callable[[str], str]
    on_bytes: OnBytes
    inline: bool


@dataclass(frozen=True, kw_only=True)
class Downloads:
    """How to download.

    Attributes:
        signed_urls: The signed URLs that are known, by image id.
        max_concurrency: Downloads at once.
        max_bytes: Most bytes of one image.
        name: Returns an image's key in the store, without suffix, for its SHA-256.
        on_bytes: Called with a reference and the number of bytes received so far.
        inline: Whether the reference to a stored image also gets its bytes.
    """

    signed_urls: MutableMapping[str, str] = field(repr=False)
    max_concurrency: int = MAX_CONCURRENCY
    max_bytes: int = DEFAULT_MAX_BYTES
    name: Callable[[str], str] = content_address
    on_bytes: OnBytes = _ignore_progress
    inline: bool = False

    def fetch(self, refs: Sequence[ImageRef]) -> Flow[list[GeneratedImage]]:
        """Download images into memory, in order.

        Raises:
            ImageError: The first error, in the order of the references.
            APIError: Likewise.
        """
        outcomes = yield from together([self._fetch(ref) for ref in refs], self.max_concurrency)
        return [_result(outcome) for outcome in outcomes]

    def store(self, refs: Sequence[ImageRef], store: ImageStore) -> Flow[list[ImageRef | Exception]]:
        """Download images into a store; an error takes the place of a reference, the others are stored all the same."""
        return (yield from together([self._store(ref, store) for ref in refs], self.max_concurrency))

    def _store(self, ref: ImageRef, store: ImageStore) -> Flow[ImageRef]:
        image = IncomingImage(store, ref, self.max_bytes)
        try:
            yield from self._download(ref, image)
            stored = yield from blocking(lambda: image.finish(self.name))
        except Exception:
            yield from blocking(image.discard)
            raise
        finally:
            image.discard()
        if self.inline:
            data = yield from blocking(lambda: store.get(stored["key"]))
            stored = {**stored, "base64": base64.b64encode(data).decode()}
        return stored

    def _fetch(self, ref: ImageRef) -> Flow[GeneratedImage]:
        memory = _Memory(ref, self.max_bytes)
        yield from self._download(ref, memory)
        return GeneratedImage.from_bytes(bytes(memory.data), ref)

    def _download(self, ref: ImageRef, sink: IncomingImage | _Memory) -> Flow[None]:
        return download(
            ref,
            sink,
            signed_urls=self.signed_urls,
            on_bytes=lambda received: self.on_bytes(ref, received),
        )


class _Memory:
    """A sink in memory."""

    def __init__(self, ref: ImageRef, max_bytes: int) -> None:
        self._ref = ref
        self._max_bytes = max_bytes
        self.data = bytearray()

    def restart(self) -> None:
        self.data.clear()

    def write(self, piece: bytes) -> None:
        self.data += piece
        if len(self.data) > self._max_bytes:
            raise InvalidImageError(f"Image {self._ref['id']!r} is larger than the {self._max_bytes:,} bytes allowed")


def _result(outcome: GeneratedImage | Exception) -> GeneratedImage:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def attempted(ref: ImageRef, outcome: ImageRef | Exception) -> ImageRef:
    """Count the attempt, and keep the error of one that failed."""
    attempts = ref.get("attempts", 0) + 1
    if isinstance(outcome, Exception):
        failed: ImageRef = {**ref, "status": "failed", "error": f"{type(outcome).__name__}: {outcome}"}
        return {**failed, "attempts": attempts}
    return {**outcome, "attempts": attempts}
