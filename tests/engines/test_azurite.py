"""Azure Blob Storage, as Azurite plays it."""

from __future__ import annotations

import os
import secrets
import shutil
from urllib.parse import urlsplit

import pytest
from engines import free_ports, missing, output, running
from unsteady_stores import UnsteadyTests

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen.stores._ledger_files import fsspec_ledger_files
from langchain_mistral_imagegen.testing import ImageStoreTests

MB = 1024 * 1024
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # every Azurite's


def connection(port: int, key: str = KEY) -> dict[str, str]:
    place = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT}"
    return {"connection_string": f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};{place};"}


def no_pause(*_: object) -> float:
    return 0.0


@pytest.fixture(scope="module")
def azurite():
    """The port of a running server."""
    pytest.importorskip("adlfs")
    found = shutil.which("azurite-blob", path=os.environ.get("AZURITE_BIN", os.environ["PATH"]))
    azurite = found or missing("Azurite", "no program 'azurite-blob': npm install azurite@3.35.0, and set AZURITE_BIN")
    (port,) = free_ports(1)
    # The API version that Azure's library sends may be newer than this Azurite.
    command = [azurite, "--blobPort", str(port), "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
    with running("Azurite", output(azurite, "--version").strip(), [*command, "--silent"], port):
        yield port


@pytest.fixture
def container(azurite):
    from azure.storage.blob import BlobServiceClient

    name = f"images-{secrets.token_hex(8)}"
    with BlobServiceClient.from_connection_string(connection(azurite)["connection_string"]) as service:
        service.create_container(name)
    return name


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
class TestAzurite(ImageStoreTests, UnsteadyTests):
    makes_links = True
    never_shown = (KEY,)
    peak_memory = 8 * MB

    @pytest.fixture
    def store(self, container, azurite):
        return FsspecImageStore(f"abfs://{container}/images", connection(azurite))

    @pytest.fixture
    def broken_stores(self, container, azurite):
        return {
            "no such container": FsspecImageStore("abfs://no-such-container/images", connection(azurite)),
            "a wrong key": FsspecImageStore(f"abfs://{container}/images", connection(azurite, "d3Jvbmc=")),
        }

    @pytest.fixture
    def upstream(self, azurite):
        return f"http://127.0.0.1:{azurite}"

    @pytest.fixture
    def through(self, container, monkeypatch):
        # Azure's library waits 15 seconds before it repeats a request.
        monkeypatch.setattr("azure.storage.blob._shared.policies_async.ExponentialRetry.get_backoff_time", no_pause)
        return lambda url: FsspecImageStore(f"abfs://{container}/images", connection(urlsplit(url).port))

    def test_it_can_hold_a_ledger(self, store):
        files = fsspec_ledger_files(store._filesystem, store._place[1], "Azurite")
        files.create("_ledger/a/0.json", b"first", synced=True)
        with pytest.raises(FileExistsError):
            files.create("_ledger/a/0.json", b"second", synced=True)
        assert files.read("_ledger/a/0.json") == b"first"
        assert files.names("_ledger/a") == ["0.json"]
