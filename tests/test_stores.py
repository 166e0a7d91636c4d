"""Image stores: complete or not at all, each picture once."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from langchain_mistral_imagegen import FsspecImageStore, ImageStore
from langchain_mistral_imagegen.errors import ImageStoreError, InvalidImageError
from langchain_mistral_imagegen.stores import PictureFile, content_address, image_store

REF = {"id": "f", "status": "remote", "file_id": "f", "error": "before"}


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "orange").save(file, "JPEG")
    return file.getvalue()


DATA = jpeg()
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"{DIGEST[:2]}/{DIGEST}.jpg"


@pytest.fixture(params=["path", "file", "memory"])
def store(request, tmp_path):
    places = {"path": str(tmp_path / "s"), "file": f"file://{tmp_path}/s", "memory": f"memory://{tmp_path.name}/s"}
    yield FsspecImageStore(places[request.param])
    fsspec.filesystem("memory").store.clear()


def visible(store: FsspecImageStore) -> list[str]:
    filesystem, root = store._place
    return [name for name in filesystem.find(root) if not Path(name).name.startswith(".")]


def written(store, *pieces: bytes, max_bytes: int = 10_000) -> PictureFile:
    file = PictureFile(store, REF, max_bytes)
    file.restart()
    for piece in pieces:
        file.write(piece)
    return file


def test_a_picture_appears_complete_under_its_hash(store):
    file = written(store, DATA[:100], DATA[100:])
    assert visible(store) == []
    assert file.finish(content_address) == {
        "id": "f",
        "file_id": "f",
        "status": "stored",
        "key": KEY,
        "sha256": DIGEST,
        "size_bytes": len(DATA),
        "mime_type": "image/jpeg",
        "width": 4,
        "height": 3,
    }
    assert store.get(KEY) == DATA
    assert store.location(KEY).endswith(KEY)


def test_a_stored_picture_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    key = written(FsspecImageStore(str(tmp_path)), DATA).finish(content_address)["key"]
    assert (tmp_path / key).stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_the_same_picture_is_stored_once(store):
    for _ in range(2):
        written(store, DATA).finish(content_address)
    assert len(visible(store)) == 1


def test_a_restart_forgets_what_was_written(store):
    file = written(store, b"half a pic")
    file.restart()
    file.write(DATA)
    assert file.finish(content_address)["sha256"] == DIGEST


@pytest.mark.parametrize("data", [b"<html>", b""])
def test_what_is_no_picture_is_not_kept(store, data, tmp_path):
    with pytest.raises(InvalidImageError, match="'f' is not a picture"):
        written(store, data).finish(content_address)
    assert visible(store) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_discarded_picture_leaves_nothing(store, tmp_path):
    written(store, DATA).discard()
    assert visible(store) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_picture_may_not_grow_over_its_limit(store):
    file = written(store, b"x" * 10, max_bytes=15)
    with pytest.raises(InvalidImageError, match="'f' is larger than the 15 bytes allowed"):
        file.write(b"x" * 10)
    file.discard()


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageStoreError, match="'f' cannot be stored"):
        written(FsspecImageStore(str(tmp_path / "file" / "x")), DATA)


def test_a_full_disk_is_a_store_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ImageStoreError, match="No space left"):
        written(FsspecImageStore(str(tmp_path)), DATA).finish(content_address)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd"])
def test_keys_stay_below_the_store(store, key):
    with pytest.raises(ValueError, match="is not a key"):
        store.get(key)


def test_what_is_not_there_is_a_file_not_found_error(store):
    with pytest.raises(FileNotFoundError):
        store.get("aa/nothing.jpg")


def test_stores_are_pickled_by_their_url(store):
    written(store, DATA).finish(content_address)
    twin = pickle.loads(pickle.dumps(store))
    assert twin == store
    assert twin.get(KEY) == DATA


def test_users_may_pass_a_path_a_url_a_store_or_nothing(monkeypatch, tmp_path):
    assert image_store(tmp_path) == image_store(str(tmp_path)) == FsspecImageStore(str(tmp_path))
    assert image_store(None).url == "generated_images"
    monkeypatch.setenv("MISTRAL_IMAGEGEN_STORE", "memory://x")
    assert image_store(None).url == "memory://x"
    own = FsspecImageStore("memory://y")
    assert image_store(own) is own
    assert isinstance(own, ImageStore)
