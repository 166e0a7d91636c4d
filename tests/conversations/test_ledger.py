"""The intents that keep anything from being paid for twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.stores import InMemoryByteStore

from langchain_mistral_imagegen import ByteStoreImageStore, FsspecImageStore
from langchain_mistral_imagegen._conversations.ledger import Intents


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    return FsspecImageStore(str(tmp_path)) if request.param == "folder" else request.getfixturevalue("s3_store")


@pytest.mark.parametrize("attempt", range(5))
def test_of_workers_in_the_same_moment_one_is_first(store, attempt):
    with ThreadPoolExecutor(8) as workers:
        ages = list(
            workers.map(
                lambda _: Intents(FsspecImageStore(store.root, store.options)).announce("k", appends=False).age,
                range(8),
            )
        )
    assert ages.count(None) == 1
    assert all(0 <= age < 60 for age in ages if age is not None)


def test_another_turn_is_another_intent(store):
    assert [Intents(store).announce(key, appends=False).age for key in ("one", "two")] == [None, None]


def test_a_byte_store_keeps_intents_too():
    intents = Intents(ByteStoreImageStore(InMemoryByteStore()))
    assert (intents.announce("k", appends=True).age, intents.announce("k", appends=True).age is None) == (None, False)
    intents.withdraw("k")
    assert intents.announce("k", appends=True).age is None
