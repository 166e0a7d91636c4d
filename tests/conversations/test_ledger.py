"""Never paying twice: intents, and answers that got lost and are found."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.stores import InMemoryByteStore

from langchain_mistral_imagegen import ByteStoreImageStore, FsspecImageStore, images_of
from langchain_mistral_imagegen._conversations.ledger import Intents
from langchain_mistral_imagegen.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    ServerError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior

CAT, BLUE = HumanMessage("Draw a cat."), HumanMessage("Make it blue.")


async def lost(face, model, history, kind=OutcomeUnknownError, how="invoke"):
    with pytest.raises(kind) as raised:
        await (face.chunks(model, history) if how == "stream" else face.call(model, how, history))
    return raised.value


async def test_a_lost_start_is_found_and_continued(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.3)
    await face.call(model, "invoke", [CAT])
    sandbox.behave(Behavior(delay=0.6))
    error = await lost(face, model, [CAT])
    answer = await face.call(error, "reconcile", 10)
    assert (len(images_of(answer)), answer.usage_metadata, sandbox.paid) == (1, None, 2)
    later = await face.call(model, "invoke", [CAT, answer, BLUE])
    assert later.response_metadata["conversation_id"] == answer.response_metadata["conversation_id"]


async def test_a_lost_append_is_found(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.3)
    first = await face.call(model, "invoke", [CAT])
    sandbox.behave(Behavior(delay=0.6))
    error = await lost(face, model, [CAT, first, BLUE])
    answer = await face.call(error, "reconcile", 10)
    assert "blue" in answer.text
    assert sandbox.paid == 2


async def test_a_stream_that_was_cut_is_found_whole(face, make_model, sandbox):
    model = make_model(max_retries=0)
    sandbox.behave(Behavior(cut_after=3))
    error = await lost(face, model, [CAT], StreamInterruptedError, "stream")
    answer = await face.call(error, "reconcile")
    assert answer.id == error.partial.id
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)


async def test_a_lost_answer_is_looked_for_once_by_a_model_without_retries(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.2)
    sandbox.behave(Behavior(delay=1))
    error = await lost(face, model, [CAT])
    before = len(sandbox.requests)
    sandbox.behave(Behavior(on="list", status=503), times=3)
    with pytest.raises(ServerError):
        await face.call(error, "reconcile")
    assert len(sandbox.requests) == before + 1


async def test_what_was_never_carried_out_is_not_found(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.2)
    sandbox.behave(Behavior(delay=1, status=500))
    error = await lost(face, model, [CAT])
    assert await face.call(error, "reconcile") is None


async def test_what_is_not_kept_cannot_be_found(face, make_model, sandbox):
    sandbox.behave(Behavior(delay=1))
    error = await lost(face, make_model(max_retries=0, timeout=0.2, store=False), [CAT])
    for unfindable in (error, pickle.loads(pickle.dumps(error))):
        assert str(unfindable) == str(error)
        with pytest.raises(InvalidInputError, match="no stored conversation in which the answer could be found: POST"):
            await face.call(unfindable, "reconcile")


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
