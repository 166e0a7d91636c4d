"""Pillow's warnings are ignored while images are decoded, in threads, too, and the filters of the program come back."""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

from langchain_mistral_imagegen._silence import silence
from langchain_mistral_imagegen.images import image_size


def test_blocks_that_overlap_leave_the_filters_as_they_were():
    before = list(warnings.filters)
    first, second = silence(), silence()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    warnings.warn("still ignored", stacklevel=1)
    second.__exit__(None, None, None)
    assert warnings.filters == before


def test_threads_that_decode_leave_the_filters_as_they_were():
    before, data = list(warnings.filters), b"no image" * 100
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: image_size(io.BytesIO(data)), range(2_000))) == {None}
    assert warnings.filters == before
