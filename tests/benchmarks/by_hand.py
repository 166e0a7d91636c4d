"""Downloads by hand: what a program that wants whole files, their hashes, and both on the disk writes with httpx alone.

It keeps less than an image store does: no image is decoded, none is refused, no request is retried, and a file that
exists already is replaced.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx


class ByHand:
    """Stores images under their SHA-256 in one folder, each synced with its folder.

    Args:
        url: Of the server.
        folder: An existing folder.
        concurrency: Downloads at once.
    """

    def __init__(self, url: str, folder: Path, concurrency: int) -> None:
        self._url = url
        self._folder = folder
        self._concurrency = concurrency
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._http = httpx.Client(limits=limits)
        self._async_http = httpx.AsyncClient(limits=limits)

    def stored(self, file_ids: Sequence[str]) -> None:
        with ThreadPoolExecutor(self._concurrency) as threads:
            list(threads.map(self._store, file_ids))

    async def astored(self, file_ids: Sequence[str]) -> None:
        slots = asyncio.Semaphore(self._concurrency)
        async with asyncio.TaskGroup() as group:
            for file_id in file_ids:
                group.create_task(self._astore(file_id, slots))

    async def aclose(self) -> None:
        self._http.close()
        await self._async_http.aclose()

    def _store(self, file_id: str) -> None:
        digest = hashlib.sha256()
        with self._http.stream("GET", self._address(file_id)) as response, self._incoming(file_id).open("xb") as file:
            response.raise_for_status()
            for piece in response.iter_bytes():
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        self._put(file_id, digest.hexdigest())

    async def _astore(self, file_id: str, slots: asyncio.Semaphore) -> None:
        digest = hashlib.sha256()
        async with slots, self._async_http.stream("GET", self._address(file_id)) as response:
            response.raise_for_status()
            with self._incoming(file_id).open("xb") as file:
                async for piece in response.aiter_bytes():
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            await asyncio.to_thread(self._put, file_id, digest.hexdigest())

    def _address(self, file_id: str) -> str:
        return f"{self._url}/v1/files/{file_id}/content"

    def _incoming(self, file_id: str) -> Path:
        return self._folder / f".incoming-{file_id}"

    def _put(self, file_id: str, digest: str) -> None:
        self._incoming(file_id).rename(self._folder / f"{digest}.jpg")
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
