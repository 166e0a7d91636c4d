"""A disk that forgets, when its power is cut, whatever was not synced: content of files, and names in folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class SyncedDisk:
    """Watches what is synced below a folder that is on the disk itself."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = folder.stat().st_ino
        self._folders: dict[int, dict[str, int]] = {}  # inodes of their files and folders when they were synced last
        self._files: dict[int, bytes] = {}
        self._kept: list[int] = []  # while a file is open, no other one gets its inode
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, opened: int) -> None:
        self._fsync(opened)
        self._kept.append(os.dup(opened))
        path = Path(f"/proc/self/fd/{opened}").readlink()
        if path.is_dir():
            self._folders[path.stat().st_ino] = {one.name: one.stat().st_ino for one in path.iterdir()}
        else:
            self._files[path.stat().st_ino] = path.read_bytes()

    def cut_power(self) -> dict[str, bytes]:
        """Return the files that are left, by their paths; one that was not synced is empty."""
        for opened in self._kept:
            os.close(opened)
        return dict(self._below(self._root, ""))

    def _below(self, folder: int, prefix: str):
        for name, inode in self._folders.get(folder, {}).items():
            if inode in self._folders:
                yield from self._below(inode, f"{prefix}{name}/")
            else:
                yield prefix + name, self._files.get(inode, b"")
