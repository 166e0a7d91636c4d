"""The suite for image stores on those that need no server of their own; the others are in tests/engines."""

from __future__ import annotations

import secrets

import pytest
from langchain_core.stores import InMemoryByteStore

from langchain_mistral_imagegen import ByteStoreImageStore, FsspecImageStore
from langchain_mistral_imagegen.testing import ImageStoreTests

MB = 1024 * 1024


class TestFolder(ImageStoreTests):
    peak_memory = 8 * MB
    makes_links = True
    links_expire = False

    @pytest.fixture
    def store(self, tmp_path):
        return FsspecImageStore(str(tmp_path / "images"))

    @pytest.fixture
    def broken_stores(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        return {"a file in the way": FsspecImageStore(str(tmp_path / "file" / "images"))}


class TestMemory(ImageStoreTests):
    one_writer_wins = False  # it is made for one process, and not for threads

    @pytest.fixture
    def store(self):
        return FsspecImageStore(f"memory://{secrets.token_hex(8)}")


class TestMoto(ImageStoreTests):
    makes_links = True
    links_expire = False  # moto's do not; nor can memory be measured, as it runs in this process

    @pytest.fixture
    def store(self, s3_store):
        return s3_store

    @pytest.fixture
    def broken_stores(self, s3_server, monkeypatch):
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        return {"no such bucket": FsspecImageStore("s3://no-such-bucket/images", s3_server)}


class TestByteStore(ImageStoreTests):
    one_writer_wins = False

    @pytest.fixture
    def store(self):
        return ByteStoreImageStore(InMemoryByteStore())
