"""Names on the wire are valid, nobody else's, and come back as they were."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_mistral_imagegen._messages.tool_names import RESERVED, ToolNames, from_wire, to_wire

VALID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
names = st.one_of(
    st.text(),
    st.from_regex(r"(local_){0,4}[a-z_]{0,70}", fullmatch=True),
    st.tuples(st.integers(0, 12), st.sampled_from(sorted(RESERVED))).map(lambda parts: "local_" * parts[0] + parts[1]),
)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_changed_and_comes_back(name):
    assert to_wire(name) not in RESERVED
    assert from_wire(to_wire(name)) == name


def test_an_ordinary_name_is_sent_as_it_is():
    assert to_wire("weather") == "weather" == from_wire("weather")


def test_a_call_that_comes_with_the_reserved_name_is_understood():
    assert from_wire("generate_image") == "generate_image"


@given(names)
def test_what_is_sent_is_valid_and_not_reserved(name):
    assert VALID.fullmatch(to_wire(name))
    assert to_wire(name) not in RESERVED


@given(st.lists(names, unique=True))
def test_names_stay_apart_and_come_back(own):
    sent = [to_wire(name) for name in own]
    assert len(set(sent)) == len(own)
    assert [ToolNames(own).own(name) for name in sent] == own


def test_the_name_of_a_generic_schema():
    assert re.fullmatch(r"Page_int__[0-9a-f]{8}", to_wire("Page[int]"))
    assert ToolNames(["Page[int]"]).own(to_wire("Page[int]")) == "Page[int]"
