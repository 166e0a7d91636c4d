"""Tests for stores on real servers: an error or a cut connection on the way is no lost image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from unsteady_proxy import CUT, LOST, UNAVAILABLE, UnsteadyProxy, unsteady

KEY = "ab/abc.jpg"


class UnsteadyTests:
    """Subclasses define the fixtures `upstream`, a URL, and `through`, which makes a store behind another URL."""

    writes = "PUT"

    @pytest.fixture
    def proxy(self, upstream: str) -> Iterator[UnsteadyProxy]:
        with unsteady(upstream) as running:
            running.when = self.writes
            yield running

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
