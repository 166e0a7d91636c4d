"""A folder on a filesystem that has no hard links: exFAT, mounted from an image file."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess

import pytest
from engines import RAN, missing, output

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen.testing import ImageStoreTests

MB = 1024 * 1024
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
PROGRAMS = ("losetup", "umount", "mkfs.exfat", "mount.exfat-fuse")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.fixture(scope="module")
def exfat(tmp_path_factory):
    """A folder on exFAT."""
    lacking = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if lacking or os.getuid() != 0:
        missing("exFAT", f"needs root, and {' '.join(PROGRAMS)}: apt-get install exfat-fuse exfatprogs")
    losetup, umount, make, mount = (str(shutil.which(name, path=PATH)) for name in PROGRAMS)
    folder = tmp_path_factory.mktemp("exfat")
    (mounted := folder / "mounted").mkdir()
    with (folder / "disk").open("wb") as disk:
        disk.truncate(300 * MB)
    run(make, str(folder / "disk"))
    try:
        device = run(losetup, "--find", "--show", str(folder / "disk")).stdout.strip()
    except subprocess.CalledProcessError as error:
        missing("exFAT", f"no loop device: {error.stderr.strip()}")
    try:
        run(mount, device, str(mounted))
        RAN["exFAT"] = output(mount, "-V").split("exfat")[1].split()[0]
        yield mounted
        run(umount, str(mounted))
    except subprocess.CalledProcessError as error:
        missing("exFAT", f"cannot be mounted: {error.stderr.strip()}")
    finally:
        run(losetup, "--detach", device)


def test_it_has_no_hard_links(exfat):
    (exfat / "a").touch()
    with pytest.raises(PermissionError):
        (exfat / "b").hardlink_to(exfat / "a")


class TestFolderWithoutHardLinks(ImageStoreTests):
    peak_memory = 8 * MB
    makes_links = True
    links_expire = False
    one_writer_wins = False

    @pytest.fixture
    def store(self, exfat):
        return FsspecImageStore(str(exfat / secrets.token_hex(8)))
