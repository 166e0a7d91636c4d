"""Tests for stores on real servers: an error or a cut connection on the way is no lost image, and no wrong bytes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from unsteady_proxy import CUT, DENIED, LOST, TORN, UNAVAILABLE, UnsteadyProxy, unsteady

from langchain_mistral_imagegen import FsspecImageStore

KEY = "ab/abc.jpg"
DATA = secrets.token_bytes(100_000)
LARGE = bytes(10 * 1024 * 1024)  # every store takes it in parts


class UnsteadyReadTests:
    """Subclasses define the fixtures `upstream`, a URL, and `through`, which makes a store behind another URL.

    The store's client repeats a request at least once, and not for minutes.
    """

    writes = "PUT"
    makes_links: bool = False
    never_shown: tuple[str, ...] = ()  # credentials

    @pytest.fixture
    def proxy(self, upstream: str) -> Iterator[UnsteadyProxy]:
        with unsteady(upstream) as running:
            running.when = self.writes
            yield running

    @pytest.mark.parametrize("fault", [LOST, CUT, TORN, UNAVAILABLE], ids=["lost", "cut", "torn", "503"])
    def test_an_error_in_between_changes_no_result(self, proxy, through, tmp_path, fault):
        store = self._stored(through(proxy.url), tmp_path)
        proxy.when, when = None, store.modified(KEY)
        for call, expected in (
            (lambda: store.get(KEY), DATA),
            (lambda: store.modified(KEY), when),
            (lambda: list(store.all_keys()), [KEY]),
            (lambda: store.delete(KEY), None),
        ):
            proxy.faults.append(fault)
            assert call() == expected
            assert not proxy.faults
        with pytest.raises(FileNotFoundError):
            store.get(KEY)

    @pytest.mark.parametrize("fault", [CUT, TORN, UNAVAILABLE], ids=["cut", "torn", "503"])
    def test_an_error_that_stays_is_reported_with_the_store_and_the_key(self, proxy, through, tmp_path, fault):
        store = self._stored(through(proxy.url), tmp_path)
        when, proxy.always = store.modified(KEY), fault
        self._right_or_reported(lambda: store.get(KEY), DATA, store.location(KEY))
        self._right_or_reported(lambda: store.modified(KEY), when, store.location(KEY))
        self._right_or_reported(lambda: list(store.all_keys()), [KEY], store.root)
        if self.makes_links:
            self._right_or_reported(lambda: store.url(KEY)[:4], "http", store.location(KEY))
        deleted = self._right_or_reported(lambda: store.delete(KEY), None, store.location(KEY))
        proxy.always = None
        if deleted:
            with pytest.raises(FileNotFoundError):
                store.get(KEY)
        else:
            with suppress(FileNotFoundError):  # carried out, and its answers torn
                assert store.get(KEY) == DATA

    def _stored(self, store: FsspecImageStore, folder: Path) -> FsspecImageStore:
        (folder / "image.jpg").write_bytes(DATA)
        store.put(folder / "image.jpg", KEY)
        return store

    def _right_or_reported(self, call, expected, place: str) -> bool:
        try:
            result = call()
        except OSError as error:
            reported = error
        else:
            assert result == expected
            return True
        assert not isinstance(reported, FileNotFoundError)
        assert str(reported).startswith(place)
        assert "\n" not in str(reported)
        assert not any(secret in str(reported) for secret in self.never_shown)
        return False


class UnsteadyTests(UnsteadyReadTests):
    """The same for images on their way into the store."""

    part_fault: tuple[int, str] | str = LOST

    @pytest.mark.parametrize("fault", [LOST, CUT, UNAVAILABLE], ids=["lost", "cut", "503"])
    def test_an_error_in_between_stores_the_image(self, proxy, through, tmp_path, fault):
        store, source = through(proxy.url), tmp_path / "image.jpg"
        source.write_bytes(b"image")
        proxy.faults.append(fault)
        store.put(source, KEY)
        assert not proxy.faults
        assert proxy.methods.count(self.writes) >= 1
        assert store.get(KEY) == b"image"

    def test_an_error_in_between_keeps_the_first_image(self, proxy, through, tmp_path):
        store, source = through(proxy.url), tmp_path / "image.jpg"
        for data, fault in ((b"first", LOST), (b"second", UNAVAILABLE)):
            source.write_bytes(data)
            proxy.faults.append(fault)
            store.put(source, KEY)
        assert not proxy.faults
        assert store.get(KEY) == b"first"

    def test_an_error_at_any_request_of_a_large_put_stores_the_image(self, proxy, through, tmp_path):
        store, source = through(proxy.url), tmp_path / "image.jpg"
        proxy.when = None
        for before in range(20):
            source.write_bytes(LARGE)
            proxy.faults.extend([None] * before + [self.part_fault])
            store.put(source, key := f"_{before}.jpg")
            had_fewer_requests = bool(proxy.faults)
            proxy.faults.clear()
            assert store.get(key) == LARGE
            if had_fewer_requests:
                break
        assert 3 < before < 19

    def test_an_error_is_reported_if_other_bytes_are_there(self, proxy, through, tmp_path):
        store, source = self._stored(through(proxy.url), tmp_path), tmp_path / "image.jpg"
        for data in (b"other", DATA[:-1], DATA + b"more"):
            source.write_bytes(data)
            proxy.faults.append(DENIED)
            with pytest.raises(OSError, match=r"abc\.jpg: "):
                store.put(source, KEY)
        source.write_bytes(DATA)
        proxy.faults.append(DENIED)
        store.put(source, KEY)  # it is there
        assert not proxy.faults
        assert store.get(KEY) == DATA
