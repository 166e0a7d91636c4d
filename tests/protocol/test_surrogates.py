"""Half characters are replaced, however the text is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mistral_imagegen._protocol.surrogates import SurrogateFilter, replace_lone_surrogates


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (r"\ud83d", r"\ufffd"),
        (r"\ude00", r"\ufffd"),
        (r"\uD83D\uDE00", r"\uD83D\uDE00"),
        (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\ude00\ud83d", r"\ufffd\ufffd"),
        (r"\\ud83d", r"\\ud83d"),
        (r"\\\ud83d", r"\\\ufffd"),
        (r"\n\u00e9 \u0", r"\n\u00e9 \u0"),
        (r"\uzzzz \ud83d", r"\uzzzz \ufffd"),
    ],
)
def test_only_half_characters_are_replaced(text, whole):
    assert replace_lone_surrogates(text) == whole


@given(
    st.text(st.sampled_from('u\\"\n\u00e9\ud83d\ude00\U0001f600')), st.lists(st.integers(0, 60), max_size=5).map(sorted)
)
def test_pieces_give_the_same(text, cuts):
    written = json.dumps(text)
    stream = SurrogateFilter()
    pieces = [written[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    passed_on = "".join(stream.feed(piece) for piece in pieces) + stream.flush()
    assert passed_on == replace_lone_surrogates(written)
    json.loads(passed_on).encode()
