"""What S3 answers when two write at patience, or when something breaks on the way: an image that is there is no error."""

from __future__ import annotations

import pytest
from unsteady_proxy import CONFLICT, CUT, DENIED, LOST, UNAVAILABLE, UNNAMED_CONDITION, unsteady

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen.stores._ledger_files import ObjectFiles

KEY = "ab/abc.jpg"


@pytest.fixture
def proxy(s3_server):
    with unsteady(s3_server["endpoint_url"]) as running:
        yield running


@pytest.fixture
def store(s3_store, s3_server, proxy):
    patience = {"retries": {"max_attempts": 1}, "connect_timeout": 5}
    options = {**s3_server, "endpoint_url": proxy.url, "config_kwargs": patience, "skip_instance_cache": True}
    return FsspecImageStore(s3_store.root, options)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "image.jpg").write_bytes(b"image")
    return tmp_path / "image.jpg"


@pytest.mark.slow
@pytest.mark.parametrize("fault", [CONFLICT, LOST, CUT, UNAVAILABLE], ids=["409", "lost", "cut", "503"])
def test_an_error_in_between_stores_the_image(store, proxy, source, fault):
    proxy.faults.append(fault)
    store.put(source, KEY)
    assert not proxy.faults
    assert store.get(KEY) == b"image"


@pytest.mark.slow
def test_a_conflict_is_repeated_and_reported_if_it_does_not_end(store, proxy, source, monkeypatch):
    monkeypatch.setattr("langchain_mistral_imagegen.stores._object_errors._PAUSES", (0, 0))
    proxy.faults.extend([CONFLICT] * 3)
    with pytest.raises(OSError, match="conditional request"):
        store.put(source, KEY)
    assert proxy.methods.count("PUT") == 3


@pytest.mark.slow
def test_a_conflict_whose_error_holds_a_secret_is_repeated(store, proxy, source):
    status, text = CONFLICT
    proxy.faults.append((status, text.replace("The conditional", "https://host/?sig=hidden The conditional")))
    store.put(source, KEY)
    assert not proxy.faults
    assert store.get(KEY) == b"image"


@pytest.mark.slow
def test_a_refusal_that_does_not_name_the_condition_means_that_the_image_is_there(store, proxy, source):
    store.put(source, KEY)
    proxy.faults.append(UNNAMED_CONDITION)
    store.put(source, KEY)
    assert not proxy.faults


@pytest.mark.slow
def test_an_error_is_reported_if_the_image_is_not_there(store, proxy, source):
    proxy.faults.append(DENIED)
    with pytest.raises(PermissionError, match="Access Denied"):
        store.put(source, KEY)


@pytest.mark.slow
def test_an_error_is_reported_if_other_bytes_are_there(store, proxy, source, tmp_path):
    (tmp_path / "other.jpg").write_bytes(b"other")
    store.put(tmp_path / "other.jpg", KEY)
    for fault in (DENIED, DENIED):
        proxy.faults.append(fault)
        with pytest.raises(PermissionError, match="Access Denied"):
            store.put(source, KEY)
    assert store.get(KEY) == b"other"


@pytest.mark.slow
def test_an_error_after_which_the_image_is_there_is_none(store, proxy, source):
    store.put(source, KEY)
    proxy.faults.append(DENIED)
    store.put(source, KEY)


@pytest.mark.slow
def test_a_record_of_the_ledger_is_refused_or_repeated_likewise(store, proxy):
    files = ObjectFiles(store._filesystem, f"{store._place[1]}/_ledger", "s3")
    proxy.faults.append(CONFLICT)
    files.create("a/0.json", b"first", synced=True)
    proxy.faults.append(UNNAMED_CONDITION)
    with pytest.raises(FileExistsError):
        files.create("a/0.json", b"second", synced=True)
    assert files.read("a/0.json") == b"first"
