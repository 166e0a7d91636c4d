"""Records are read as they were written; what cannot be read counts as a request."""

from __future__ import annotations

import json

import pytest

from langchain_mistral_imagegen._ledger.records import (
    Answered,
    Asking,
    See,
    Void,
    read_record,
    write_record,
)

RECORDS = [
    Asking(way="append", lasts=300.0, why="takeover", about="a"),
    Void(),
    Answered(answer={"content": "Ä \ud83d"}),
    See(key="k"),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_read_as_it_was_written(record):
    read = read_record(write_record(record))
    assert type(read) is type(record)
    assert read.by == record.by
    assert read == record or isinstance(record, Answered)  # lone surrogates are replaced


def changed(**fields):
    return json.dumps({**json.loads(write_record(RECORDS[0])), **fields})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        write_record(RECORDS[0])[:-9],
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        changed(v=2),
        changed(kind="paid"),
        changed(kind=["asking"]),
        changed(by=7),
        changed(lasts=-1),
        changed(lasts=1e12),
        changed(lasts="long"),
        changed(lasts=True),
        changed(kind="answered"),
        changed(kind="answered", answer="a boat"),
        changed(kind="stored", answer={}),
        changed(kind="see", key=None),
    ],
    ids=range(19),
)
def test_what_cannot_be_read_counts_as_a_request(data):
    record = read_record(data if isinstance(data, bytes) else data.encode())
    assert record == Asking(at="", by="")
    assert record.lasts is None


def test_fields_of_later_programs_are_let_be():
    assert isinstance(read_record(changed(novelty=1).encode()), Asking)
