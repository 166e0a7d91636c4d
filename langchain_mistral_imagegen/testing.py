"""Tests that an image store must pass, for people who write their own: `ImageStoreTests`. They need pytest."""

from __future__ import annotations

import functools
import secrets
import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.stores import ImageStore, LedgerStore, ListableStore

__all__ = ["ImageStoreTests"]

_MB = 1024 * 1024
_ODD_KEY = "ab/a b+c%20d&e=f'é~(1),.jpg"


class ImageStoreTests:
    """What an image store promises, as tests: subclass it, and define the fixture `store`.

    ```python
    class TestMyStore(ImageStoreTests):
        @pytest.fixture
        def store(self):
            return MyStore(...)
    ```

    Set an attribute where your store promises less, or more. A store that lists its keys or keeps a ledger is tested
    for that, too.

    Attributes:
        one_writer_wins: Whether of several writers in the same moment one wins, and no reader sees half an image. Only
            such a store keeps workers from paying twice.
        peak_memory: Bytes of memory that `put` may take for 64 MB; `None` if it holds the whole image.
        makes_links: Whether `store.url(key, expires=seconds)` makes links, as `FsspecImageStore` does.
        links_expire: Whether these links expire.
        takes_odd_keys: Whether keys may hold spaces, accents and punctuation, as the names of a command's images do.
    """

    one_writer_wins: bool = True
    peak_memory: int | None = None
    makes_links: bool = False
    links_expire: bool = True
    takes_odd_keys: bool = True

    @pytest.fixture
    def store(self) -> ImageStore:
        """Return the store under test, empty."""
        raise NotImplementedError("define the fixture `store`")

    @pytest.fixture
    def broken_stores(self) -> Mapping[str, ImageStore]:
        """Return stores that cannot work, by reason: such as wrong credentials, or no such bucket."""
        return {}

    def test_what_is_put_is_read(self, store: ImageStore) -> None:
        """An image is read as it was put, and its location names it."""
        key = _key()
        _put(store, key, b"image")
        assert store.get(key) == b"image"
        assert store.location(key).endswith(key)
        assert isinstance(store, ImageStore)

    def test_the_first_put_of_a_key_stays(self, store: ImageStore) -> None:
        """A second put of a key is no error and changes nothing."""
        for key in (_key(), "_first"):
            _put(store, key, b"first")
            _put(store, key, b"second")
            assert store.get(key) == b"first"

    def test_the_first_put_of_a_large_file_stays(self, store: ImageStore) -> None:
        """The same for a file that object stores take in parts."""
        key = _key()
        _put(store, key, b"1" * 12 * _MB)
        _put(store, key, b"2" * 12 * _MB)
        assert store.get(key) == b"1" * 12 * _MB

    def test_what_is_not_there_is_not_found(self, store: ImageStore) -> None:
        """A key that does not exist is a `FileNotFoundError`."""
        with pytest.raises(FileNotFoundError):
            store.get(_key())

    def test_what_is_deleted_is_gone(self, store: ImageStore) -> None:
        """A deleted key is gone and can be put again; deleting what is not there is no error."""
        key = _key()
        _put(store, key, b"first")
        store.delete(key)
        store.delete(key)
        with pytest.raises(FileNotFoundError):
            store.get(key)
        _put(store, key, b"second")
        assert store.get(key) == b"second"

    def test_keys_may_hold_odd_characters(self, store: ImageStore) -> None:
        """Spaces, accents and punctuation are part of a key."""
        if not self.takes_odd_keys:
            pytest.skip("this store does not take them")
        _put(store, _ODD_KEY, b"image")
        assert store.get(_ODD_KEY) == b"image"
        if isinstance(store, ListableStore):
            assert _ODD_KEY in set(store.all_keys())
        store.delete(_ODD_KEY)
        with pytest.raises(FileNotFoundError):
            store.get(_ODD_KEY)

    def test_of_sixteen_writers_one_wins(self, store: ImageStore) -> None:
        """Writers in the same moment all succeed, and all read what one of them wrote."""
        if not self.one_writer_wins:
            pytest.skip("this store does not promise it")

        def write(number: int) -> bytes:
            _put(store, "_sixteen", b"%d" % number)
            return store.get("_sixteen")

        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(write, range(16)))) == 1

    def test_a_reader_sees_all_or_nothing(self, store: ImageStore) -> None:
        """Whoever reads while an image is written finds nothing, or all of it."""
        if not self.one_writer_wins:
            pytest.skip("this store does not promise it")
        key, data = _key(), b"x" * 4 * _MB
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(_put, store, key, data)
            while not writing.done():
                assert _read(store, key) in {None, data}
            writing.result()
        assert store.get(key) == data

    def test_a_large_file_takes_little_memory(self, store: ImageStore) -> None:
        """A file of 64 MB passes through in pieces."""
        if self.peak_memory is None:
            pytest.skip("this store holds the whole image in memory")
        source = _file(store, bytes(64 * _MB))
        _put(store, _key(), b"the first request imports and connects")
        tracemalloc.start()
        try:
            store.put(source, _key())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            source.unlink(missing_ok=True)
        assert peak < self.peak_memory, f"{peak / _MB:.1f} MB"

    def test_keys_are_listed_with_their_time(self, store: ImageStore) -> None:
        """All keys are listed, and when each was put."""
        if not isinstance(store, ListableStore):
            pytest.skip("this store does not list its keys")
        assert list(store.all_keys()) == []
        keys = {_key(), _key(), "_intents/x.json"}
        for key in keys:
            _put(store, key, b"image")
        assert set(store.all_keys()) == keys
        for key in keys:
            assert abs(store.modified(key) - datetime.now(UTC)) < timedelta(minutes=5)
        with pytest.raises(FileNotFoundError):
            store.modified(_key())

    def test_a_record_of_the_ledger_is_created_once(self, store: ImageStore) -> None:
        """Of sixteen writers of one name one succeeds; what it wrote stays, is listed, and can be removed."""
        if not isinstance(store, LedgerStore):
            pytest.skip("this store keeps no ledger")
        files, folder = store.ledger_files(), f"_ledger/{secrets.token_hex(8)}"
        assert files.names(folder) == []

        def create(number: int) -> int | None:
            try:
                files.create(f"{folder}/0.json", b"%d" % number, synced=True)
            except FileExistsError:
                return None
            return number

        with ThreadPoolExecutor(16) as pool:
            (winner,) = [number for number in pool.map(create, range(16)) if number is not None]
        assert files.read(f"{folder}/0.json") == b"%d" % winner
        assert files.names(folder) == ["0.json"]
        for _ in range(2):
            files.remove(f"{folder}/0.json")
        assert files.names(folder) == []
        with pytest.raises(FileNotFoundError):
            files.read(f"{folder}/0.json")

    def test_a_link_shows_the_image_without_credentials(self, store: Any) -> None:
        """A link delivers the bytes with their type; a store that makes none names the remedy."""
        key = _key()
        _put(store, key, b"image")
        if not hasattr(store, "url"):
            pytest.skip("this store has no links")
        if not self.makes_links:
            with pytest.raises(InvalidInputError, match="cannot make links"):
                store.url(key)
            return
        with urlopen(store.url(key, expires=60)) as answer:  # noqa: S310  # the store's own link
            assert answer.read() == b"image"
            assert answer.headers["Content-Type"] == "image/jpeg"

    def test_a_link_expires(self, store: Any) -> None:
        """A link that was made for a second is refused after it."""
        if not (self.makes_links and self.links_expire):
            pytest.skip("this store has no links that expire")
        key = _key()
        _put(store, key, b"image")
        link, deadline = store.url(key, expires=1), datetime.now(UTC) + timedelta(seconds=10)
        with pytest.raises(HTTPError) as refused:
            while datetime.now(UTC) < deadline:
                urlopen(link).close()  # noqa: S310  # the store's own link
        assert refused.value.code in {400, 401, 403}
        refused.value.close()

    def test_what_cannot_work_is_an_os_error(self, broken_stores: Mapping[str, ImageStore], tmp_path: Path) -> None:
        """Errors of the store's client library are reported as `OSError`."""
        if not broken_stores:
            pytest.skip("no broken stores were given")
        source = tmp_path / "image.jpg"
        for reason, store in broken_stores.items():
            source.write_bytes(b"image")
            for method in (functools.partial(store.put, source), store.get):
                try:
                    method(_key())
                except OSError:
                    continue
                pytest.fail(f"{reason}: no error")


def _key() -> str:
    """Return a new key as images have it."""
    digest = secrets.token_hex(32)
    return f"{digest[:2]}/{digest}.jpg"


def _file(store: ImageStore, data: bytes) -> Path:
    source = store.temporary_folder() / f".incoming-{secrets.token_hex(8)}.jpg"
    source.write_bytes(data)
    return source


def _put(store: ImageStore, key: str, data: bytes) -> None:
    source = _file(store, data)
    try:
        store.put(source, key)
    finally:
        source.unlink(missing_ok=True)


def _read(store: ImageStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except FileNotFoundError:
        return None
