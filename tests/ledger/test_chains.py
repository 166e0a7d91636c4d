"""Chains in every kind of store: of many writers one creates a record, and what is uncertain is read back."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
import pytest

from langchain_mistral_imagegen._ledger import chains
from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.decision import Head
from langchain_mistral_imagegen._ledger.records import Asking, Void, read_record
from langchain_mistral_imagegen.errors import ImageStoreError, InvalidInputError
from langchain_mistral_imagegen.stores import _ledger_files
from langchain_mistral_imagegen.stores._ledger_files import FolderFiles, fsspec_ledger_files


@pytest.fixture(params=["links", "exclusive", "memory", "s3"])
def files(request, tmp_path, monkeypatch):
    if request.param == "s3":
        store = request.getfixturevalue("s3_store")
        return fsspec_ledger_files(*fsspec.core.url_to_fs(store.root, **store.options), store.root)
    if request.param == "memory":
        return fsspec_ledger_files(fsspec.filesystem("memory"), str(tmp_path), "memory://")
    if request.param == "exclusive":
        monkeypatch.setattr(_ledger_files.Path, "hardlink_to", no_links)
    return fsspec_ledger_files(fsspec.filesystem("file"), str(tmp_path), str(tmp_path))


def no_links(*_):
    raise OSError(errno.EPERM, "no hard links here")


@pytest.mark.slow
def test_a_chain_grows_by_its_numbers(files):
    ledger = Ledger(files)
    assert ledger.head("k") == Head()
    first, then = Asking(), Void()
    assert ledger.create("k", 0, first)
    assert ledger.head("k") == Head(0, first)
    assert not ledger.create("k", 0, Asking())
    assert ledger.create("k", 10, then)  # holes are allowed
    assert ledger.head("k") == Head(10, then)
    assert ledger.head("other") == Head()


@pytest.mark.parametrize("attempt", range(10))
def test_of_many_writers_one_wins(files, attempt):
    with ThreadPoolExecutor(8) as workers:
        mine = list(workers.map(lambda _: Ledger(files).create("k", 0, Asking()), range(8)))
    assert mine.count(True) == 1


@dataclass
class Uncertain:
    """Writes, and then fails; or the other way round."""

    files: FolderFiles
    failures: list[str] = field(default_factory=list)

    def create(self, place, data, *, synced):
        failure = self.failures.pop() if self.failures else ""
        if failure != "before":
            self.files.create(place, data, synced=synced)
        if failure:
            raise OSError("The connection was reset")

    def __getattr__(self, name):
        return getattr(self.files, name)


def test_an_uncertain_record_is_read_back(tmp_path):
    assert Ledger(Uncertain(FolderFiles(tmp_path), ["after"])).create("a", 0, Asking())
    assert Ledger(Uncertain(FolderFiles(tmp_path), ["before"])).create("b", 0, Asking())
    Ledger(FolderFiles(tmp_path)).create("c", 0, Asking())
    assert not Ledger(Uncertain(FolderFiles(tmp_path), ["before"])).create("c", 0, Asking())
    with pytest.raises(ImageStoreError, match="cannot be written: The connection was reset; nothing was asked or paid"):
        Ledger(Uncertain(FolderFiles(tmp_path), ["before"] * 3)).create("d", 0, Asking())


@dataclass
class Full(Uncertain):
    """A full disk without hard links: a file appears under its name, and has no bytes."""

    def create(self, place, data, *, synced):
        self.files.create(place, b"", synced=synced)
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_record_that_a_full_disk_tore_is_an_error_and_no_other_process(tmp_path):
    """Taken for the record of another process, it would be waited for, and torn again, for ever."""
    with pytest.raises(ImageStoreError, match="No space left on device; nothing was asked or paid"):
        Ledger(Full(FolderFiles(tmp_path))).create("k", 0, Asking())
    assert not Ledger(FolderFiles(tmp_path)).create("k", 0, Asking()), "it may be of another process"


def test_a_request_is_on_the_disk_with_all_its_folders(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda opened: (synced.append(str(Path(f"/proc/self/fd/{opened}").readlink())), real(opened))
    )
    ledger = Ledger(FolderFiles(tmp_path / "new"))
    assert ledger.create("k", 0, Asking())
    folders = [tmp_path, tmp_path / "new", tmp_path / "new/_ledger", tmp_path / "new/_ledger/k"]
    assert synced[:3] == list(map(str, folders[:3]))
    assert ".incoming-" in synced[3]
    assert synced[4:] == [str(folders[3])]
    synced.clear()
    assert ledger.create("k", 1, Void())
    assert not synced


def test_a_broken_record_is_a_request_and_reported_once(tmp_path, caplog):
    (tmp_path / "_ledger/k").mkdir(parents=True)
    (tmp_path / "_ledger/k/0.json").write_bytes(b"")
    (tmp_path / "_ledger/k/notes.txt").write_bytes(b"")
    chains._warned.clear()
    for _ in range(2):
        assert Ledger(FolderFiles(tmp_path)).head("k") == Head(0, read_record(b""))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_what_cannot_be_read_is_our_error(tmp_path):
    (tmp_path / "_ledger").write_bytes(b"")
    with pytest.raises(ImageStoreError, match="cannot be read"):
        Ledger(FolderFiles(tmp_path)).head("k")


class Elsewhere(fsspec.AbstractFileSystem):
    protocol = "ftp"


class Forgetful(fsspec.AbstractFileSystem):
    """Resembles S3, but overwrites what is there."""

    protocol = "s3"

    def pipe_file(self, path, value, mode="overwrite", **_):
        pass

    def rm_file(self, path):
        pass


def test_a_store_that_cannot_promise_it_refuses():
    with pytest.raises(InvalidInputError, match="ftp:// has no write that fails if the file exists"):
        fsspec_ledger_files(Elsewhere(), "", "ftp://x")
    with pytest.raises(InvalidInputError, match="it let a file be created that was there already"):
        fsspec_ledger_files(Forgetful(), "bucket", "s3://bucket")
