"""Answers that did not arrive, and are found at Mistral instead of being paid for again."""

from __future__ import annotations

import pickle

import pytest
from langchain_core.messages import HumanMessage

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    ServerError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior

CAT, BLUE, RED = map(HumanMessage, ["Draw a cat.", "Make it blue.", "Make it red."])


async def lost(face, model, history, kind=OutcomeUnknownError, how="invoke"):
    with pytest.raises(kind) as raised:
        await (face.chunks(model, history) if how == "stream" else face.call(model, how, history))
    return raised.value


@pytest.mark.slow
async def test_a_lost_start_is_found_and_continued(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.3)
    await face.call(model, "invoke", [CAT])
    sandbox.behave(Behavior(delay=0.6))
    error = await lost(face, model, [CAT])
    answer = await face.call(model, "reconcile", error, 10)
    assert (len(images_of(answer)), answer.usage_metadata, sandbox.paid) == (1, None, 2)
    later = await face.call(model, "invoke", [CAT, answer, BLUE])
    assert later.response_metadata["conversation_id"] == answer.response_metadata["conversation_id"]


@pytest.mark.slow
async def test_a_lost_append_is_found(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.3)
    first = await face.call(model, "invoke", [CAT])
    sandbox.behave(Behavior(delay=0.6))
    error = await lost(face, model, [CAT, first, BLUE])
    answer = await face.call(model, "reconcile", error, 10)
    assert "blue" in answer.text
    assert sandbox.paid == 2


async def test_a_stream_that_was_cut_is_found_whole(face, make_model, sandbox):
    model = make_model(max_retries=0)
    sandbox.behave(Behavior(cut_after=3))
    error = await lost(face, model, [CAT], StreamInterruptedError, "stream")
    answer = await face.call(model, "reconcile", error)
    assert answer.id == error.partial.id
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)


async def test_a_lost_answer_is_looked_for_once_by_a_model_without_retries(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.2)
    sandbox.behave(Behavior(delay=1))
    error = await lost(face, model, [CAT])
    before = len(sandbox.requests)
    sandbox.behave(Behavior(on="list", status=503), times=3)
    with pytest.raises(ServerError):
        await face.call(model, "reconcile", error)
    assert len(sandbox.requests) == before + 1


async def test_what_was_never_carried_out_is_not_found(face, make_model, sandbox):
    model = make_model(max_retries=0, timeout=0.2)
    sandbox.behave(Behavior(delay=1, status=500))
    error = await lost(face, model, [CAT])
    assert await face.call(model, "reconcile", error) is None


@pytest.mark.slow
@pytest.mark.parametrize("way", ["start", "append"])
async def test_another_process_finds_the_answer_by_the_pickled_error(face, make_model, sandbox, way):
    model = make_model(max_retries=0, timeout=0.3)
    history = [CAT, await face.call(model, "invoke", [CAT]), BLUE] if way == "append" else [CAT]
    sandbox.behave(Behavior(delay=0.6))
    error = pickle.loads(pickle.dumps(await lost(face, model, history)))
    assert bool(error.lost.conversation_id) is (way == "append")
    other = make_model()
    answer = await face.call(other, "reconcile", error.lost, 10)
    assert (len(images_of(answer)), sandbox.paid) == (1, 2 if way == "append" else 1)
    await face.call(other, "invoke", [*history, answer, RED])
    assert sandbox.requests[-1].path.endswith(answer.response_metadata["conversation_id"])


async def test_what_is_not_stored_cannot_be_found(face, make_model, sandbox):
    sandbox.behave(Behavior(delay=1))
    model = make_model(max_retries=0, timeout=0.2, store=False)
    error = await lost(face, model, [CAT])
    for unfindable in (error, pickle.loads(pickle.dumps(error))):
        assert str(unfindable) == str(error)
        with pytest.raises(InvalidInputError, match="no stored conversation in which the answer could be found: POST"):
            await face.call(model, "reconcile", unfindable)
