"""A disk whose power can be cut: an ext4 filesystem in a file, which holds nothing but what was synced."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SIZE = 32 * 2**20  # bytes; with less, ext4 has no journal
UNSYNCED = "loop,commit=300"  # seconds until ext4 writes what nobody synced; a trial is shorter


class LoopDisk:
    """Mounts a file.

    Attributes:
        place: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.place, self._device = folder / "disk", folder / "disk.img"
        self.place.mkdir()
        with self._device.open("xb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._device))
        self._mount()

    def cut_power(self) -> None:
        """Go back to what is on the disk at this moment; whoever used it is dead already."""
        survived = self._device.with_suffix(".survived")
        shutil.copyfile(self._device, survived)
        self.unmount()
        survived.replace(self._device)
        self._mount()

    def unmount(self) -> None:
        """Take the disk away at once; Linux may need a moment to let go of what a dead process had mapped."""
        _run("umount", "--lazy", str(self.place))

    def _mount(self) -> None:
        _run("mount", "-o", UNSYNCED, str(self._device), str(self.place))


@contextlib.contextmanager
def loop_disk(folder: Path) -> Iterator[LoopDisk]:
    """Mount a new disk for a while; a test is skipped where that is not permitted."""
    try:
        disk = LoopDisk(folder)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"there are no loop devices here: {getattr(error, 'stderr', '') or error}")
    try:
        yield disk
    finally:
        disk.unmount()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
