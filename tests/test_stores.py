"""Image stores: complete or not at all, each image once."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.request import urlopen

import boto3
import pytest
from cli_process import wait_for
from langchain_core.stores import InMemoryByteStore
from PIL import Image
from places import arriving
from synced_disk import SyncedDisk

from langchain_mistral_imagegen import ByteStoreImageStore, FsspecImageStore, ImageStore, images_of
from langchain_mistral_imagegen.errors import ImageStoreError, InvalidImageError, InvalidInputError
from langchain_mistral_imagegen.stores import ListableStore, image_store
from langchain_mistral_imagegen.stores._incoming import IncomingImage, content_address, longer_names
from langchain_mistral_imagegen.stores._object_errors import object_errors

REF = {"id": "f", "status": "remote", "file_id": "f", "error": "before"}


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "orange").save(file, "JPEG")
    return file.getvalue()


DATA = jpeg()
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"{DIGEST[:2]}/{DIGEST}.jpg"


@pytest.fixture(params=["path", "file", "memory", "s3"])
def store(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("s3_store")
    places = {"path": str(tmp_path / "s"), "file": f"file://{tmp_path}/s", "memory": f"memory://{tmp_path.name}/s"}
    return FsspecImageStore(places[request.param])


def visible(store: FsspecImageStore) -> list[str]:
    return [key for key in store.all_keys() if not key.startswith(".")]


def written(store, *pieces: bytes, max_bytes: int = 10_000) -> IncomingImage:
    file = IncomingImage(store, REF, max_bytes)
    file.restart()
    for piece in pieces:
        file.write(piece)
    return file


def test_the_first_piece_counts_without_a_restart(store):
    file = IncomingImage(store, REF)
    file.write(DATA)
    assert file.finish(content_address)["sha256"] == DIGEST


def test_an_image_appears_complete_under_its_hash(store):
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


def test_a_stored_image_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    key = written(FsspecImageStore(str(tmp_path)), DATA).finish(content_address)["key"]
    assert (tmp_path / key).stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_image_on_its_way_to_another_machine_is_nobody_elses_to_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    image = IncomingImage(image_store("memory://private"), REF)
    image.write(DATA)
    (incoming,) = tmp_path.iterdir()
    assert stat.S_IMODE(incoming.stat().st_mode) == 0o600
    image.discard()


def test_of_several_writers_one_wins(store, tmp_path):
    for words in ("first", "second"):
        (tmp_path / words).write_text(words)
        store.put(tmp_path / words, "_notes/x.json")
    assert store.get("_notes/x.json") == b"first"


@pytest.mark.slow
def test_writers_in_the_same_moment_keep_one(store, tmp_path):
    if store.root.startswith("memory"):
        pytest.skip("memory:// belongs to one process, and is not made for threads")
    files = [tmp_path / f"writer-{number}" for number in range(16)]
    for file in files:
        file.write_text(file.name)
    with ThreadPoolExecutor(16) as pool:
        read = list(pool.map(lambda file: (store.put(file, "_notes/x.json"), store.get("_notes/x.json"))[1], files))
    assert len(set(read)) == 1


def test_the_same_image_is_stored_once(store):
    for _ in range(2):
        written(store, DATA).finish(content_address)
    assert len(visible(store)) == 1


@pytest.mark.slow
def test_putting_again_renews_the_age(store, monkeypatch):
    monkeypatch.setattr("langchain_mistral_imagegen.stores._fsspec._FRESH", timedelta(0))
    key = written(store, DATA).finish(content_address)["key"]
    before = store.modified(key)
    while store.modified(key) == before:  # S3 gives times in whole seconds
        written(store, DATA).finish(content_address)
    assert store.modified(key) > before


def test_a_restart_forgets_what_was_written(store):
    file = written(store, b"half a pic")
    file.restart()
    file.write(DATA)
    assert file.finish(content_address)["sha256"] == DIGEST


@pytest.mark.parametrize("data", [b"<html>", b""])
def test_what_is_no_image_is_not_kept(store, data, tmp_path):
    with pytest.raises(InvalidImageError, match="'f' is not an image"):
        written(store, data).finish(content_address)
    assert visible(store) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_discarded_image_leaves_nothing(store, tmp_path):
    written(store, DATA).discard()
    assert visible(store) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_image_may_not_grow_over_its_limit(store):
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


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_that_lacks_its_last_frame_is_not_stored(tmp_path, kind):
    first, *others = [Image.effect_noise((40, 30), 90 + number) for number in range(4)]
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=others)
    data = file.getvalue()
    with pytest.raises(InvalidImageError, match="The file of 'f' is damaged"):
        written(FsspecImageStore(str(tmp_path)), data[: len(data) * 4 // 5]).finish(content_address)
    assert list(tmp_path.iterdir()) == []


def test_what_is_flushed_could_be_written_as_windows_wants_it(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("os.fsync", lambda file: flushed.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    written(FsspecImageStore(str(tmp_path)), DATA).finish(content_address)
    assert flushed == [os.O_RDWR, *[os.O_RDONLY] * 2]  # the image, and two folders, which Windows need not flush


def test_after_a_power_cut_a_stored_image_is_there_with_all_its_folders(tmp_path, monkeypatch):
    disk = SyncedDisk(tmp_path, monkeypatch)
    store = FsspecImageStore(str(tmp_path / "new" / "images"))
    key = written(store, DATA).finish(content_address)["key"]
    assert disk.cut_power().get(f"new/images/{key}") == DATA


def test_after_a_power_cut_a_record_is_there_with_all_its_folders(tmp_path, monkeypatch):
    disk = SyncedDisk(tmp_path, monkeypatch)
    FsspecImageStore(str(tmp_path / "new" / "images")).ledger_files().create("_ledger/k/0.json", b"{}", synced=True)
    assert disk.cut_power().get("new/images/_ledger/k/0.json") == b"{}"


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", r"..\x", r"a\..\..\x"])
def test_keys_stay_below_the_store(store, key):
    with pytest.raises(ValueError, match="is not a key"):
        store.get(key)


def test_what_is_not_there_is_a_file_not_found_error(store):
    with pytest.raises(FileNotFoundError):
        store.get("aa/nothing.jpg")


def test_a_link_shows_the_image(store):
    key = written(store, DATA).finish(content_address)["key"]
    if store.root.startswith("memory"):
        with pytest.raises(InvalidInputError, match=r"cannot make links; serve its images with `web.image_routes`"):
            store.url(key)
        return
    link = store.url(key, expires=60)
    with urlopen(link) as answer:
        assert answer.read() == DATA
        assert answer.headers["Content-Type"] == "image/jpeg"
    assert ("Expires=" in link) == store.root.startswith("s3")


def test_what_an_object_store_cannot_do_is_an_os_error(s3_server, monkeypatch):
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    nowhere = FsspecImageStore("s3://no-such-bucket", s3_server)
    with pytest.raises(ImageStoreError, match=r"'f' cannot be stored in s3://no-such-bucket: .*bucket"):
        written(nowhere, DATA).finish(content_address)
    options = {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    anonymous = FsspecImageStore("s3://images", {**options, "key": "k", "secret": "secret"})
    with pytest.raises(ImageStoreError, match="'f' cannot be stored in s3://images: ") as raised:
        written(anonymous, DATA).finish(content_address)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("Forbidden: https://host/o?alt=media&upload_id=hidden\nBusy"), OSError),
        (ConnectionResetError("redis://user:hidden@host:6379/0 hung up"), ConnectionResetError),
        (PermissionError("Access Denied"), PermissionError),
        (FileNotFoundError(), FileNotFoundError),
    ],
)
def test_an_error_of_a_client_library_names_the_place_and_shows_no_secrets(error, kind):
    with pytest.raises(OSError, match=r"^s3://bucket/ab/abc\.jpg: ") as raised, object_errors("s3://bucket/ab/abc.jpg"):
        raise error
    assert type(raised.value) is kind
    assert str(raised.value).isprintable()
    assert "hidden" not in "".join(traceback.format_exception(raised.value))
    assert (raised.value.__cause__ is error) != ("hidden" in str(error))


def test_a_byte_store_of_langchain_will_do():
    store = ByteStoreImageStore(InMemoryByteStore())
    key = written(store, DATA).finish(content_address)["key"]
    assert (store.get(key), store.location(key)) == (DATA, f"InMemoryByteStore:{key}")
    written(store, DATA).finish(content_address)
    assert list(store.byte_store.yield_keys()) == [key]
    with pytest.raises(FileNotFoundError):
        store.get("aa/nothing.jpg")
    assert isinstance(store, ImageStore)


TORN = """
import sys
from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen.sandbox.records.images import draw_image
from langchain_mistral_imagegen.stores._incoming import IncomingImage, content_address, longer_names
file = IncomingImage(FsspecImageStore(sys.argv[1], eval(sys.argv[2])), {"id": "f", "status": "remote"}, 10**9)
file.restart()
file.write(draw_image("a cat"))  # what follows its end is no part of it, but of the file
for _ in range(200):
    file.write(bytes(1_000_000))
file.finish(content_address)
"""


def killed_when(condition, store: FsspecImageStore) -> None:
    writer = subprocess.Popen([sys.executable, "-c", TORN, store.root, repr(store.options)])
    wait_for(condition, writer)
    writer.kill()
    assert writer.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("at", [1_000_000, 100_000_000, 199_000_000])
def test_a_writer_killed_in_the_middle_leaves_no_visible_key(tmp_path, at):
    store = FsspecImageStore(str(tmp_path))
    killed_when(lambda: arriving(tmp_path) >= at, store)
    assert (visible(store), len(list(store.all_keys()))) == ([], 1)


@pytest.mark.slow
def test_nor_in_an_object_store(s3_store, s3_server, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    client = boto3.client("s3", endpoint_url=s3_server["endpoint_url"], region_name="us-east-1",
                          aws_access_key_id="k", aws_secret_access_key="s")  # fmt: skip
    bucket = s3_store.root.removeprefix("s3://").partition("/")[0]
    killed_when(lambda: "Uploads" in client.list_multipart_uploads(Bucket=bucket), s3_store)
    assert list(s3_store.all_keys()) == []


def test_stores_are_pickled_by_their_root(store):
    written(store, DATA).finish(content_address)
    twin = pickle.loads(pickle.dumps(store))
    assert twin == store
    assert twin.get(KEY) == DATA


def test_users_may_pass_a_path_a_url_a_store_or_nothing(monkeypatch, tmp_path):
    assert image_store(tmp_path) == image_store(str(tmp_path)) == FsspecImageStore(str(tmp_path))
    assert image_store(None).root == "generated_images"
    monkeypatch.setenv("MISTRAL_IMAGEGEN_STORE", "memory://x")
    assert image_store(None).root == "memory://x"
    own = FsspecImageStore("memory://y")
    assert image_store(own) is own
    assert isinstance(own, ImageStore)


@pytest.mark.parametrize("given", [42, b"images", FsspecImageStore, object()], ids=["int", "bytes", "class", "object"])
def test_what_is_no_place_for_images_is_refused_with_the_remedy(given):
    with pytest.raises(InvalidInputError, match=r"image_store=.* is no place for images: give a path, an fsspec URL"):
        image_store(given)


def test_the_refusal_shows_no_secrets():
    with pytest.raises(InvalidInputError, match="image_store=<dict> is") as caught:
        image_store({"key": "sk-canary"})
    assert "canary" not in str(caught.value)


def test_a_path_and_a_store_of_ones_own_are_taken(tmp_path):
    assert image_store(tmp_path) == image_store(str(tmp_path)) == FsspecImageStore(str(tmp_path))
    own = ByteStoreImageStore(InMemoryByteStore())
    assert image_store(own) is own


def test_only_a_store_that_lists_its_keys_is_listable(store):
    assert isinstance(store, ListableStore)
    bytes_only = ByteStoreImageStore(InMemoryByteStore())
    assert isinstance(bytes_only, ImageStore)
    assert not isinstance(bytes_only, ListableStore)


def test_a_local_folder_is_named_and_nothing_else_is(store):
    assert (store.local_folder is None) == store.root.startswith(("memory", "s3"))
    assert store.temporary_folder().is_dir()


async def test_the_chat_model_stores_images_below_a_path_and_refuses_what_is_no_place(face, model, tmp_path):
    refs = images_of(model.invoke("Draw a cat."))
    (ref,) = await face.call(model, "store_images", refs, str(tmp_path / "images"))
    assert (tmp_path / "images" / ref["key"]).exists()
    with pytest.raises(InvalidInputError, match="image_store=42 is no place for images"):
        await face.call(model, "store_images", refs, 42)


def test_a_name_that_another_image_has_gets_more_digits_of_the_hash(store, tmp_path):
    name = f"cat-{DIGEST[:6]}"
    (tmp_path / "other").write_bytes(b"another image")
    store.put(tmp_path / "other", name + ".jpg")
    for _ in range(2):
        ref = written(store, DATA).finish(lambda digest: f"cat-{digest[:6]}")
        assert ref["key"] == f"cat-{DIGEST[:8]}.jpg"
        assert store.get(ref["key"]) == DATA
    assert store.get(name + ".jpg") == b"another image"


def test_names_grow_to_the_whole_hash():
    longer = list(longer_names("cat-" + DIGEST[:6], DIGEST))
    assert longer[:2] == ["cat-" + DIGEST[:6], "cat-" + DIGEST[:8]]
    assert longer[-1] == "cat-" + DIGEST
    assert next(name for name in longer_names("cat", DIGEST) if name != "cat") == f"cat-{DIGEST[:2]}"
