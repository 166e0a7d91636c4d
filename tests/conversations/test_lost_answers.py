"""Answers that did not arrive, and are found at Mistral instead of being paid for again."""

from __future__ import annotations

import pickle

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph

from langchain_mistral_imagegen import ImageState, images_of
from langchain_mistral_imagegen._conversations.lost_answers import look
from langchain_mistral_imagegen._protocol.flows import Pause
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import (
    InvalidInputError,
    LostAnswer,
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


NOWHERE = LostAnswer(key="a key that nobody sent", model="mistral-medium-latest")


def test_it_is_looked_for_less_and_less_often(caplog):
    caplog.set_level("INFO")
    flow = look(NOWHERE, 40)
    pauses, effect = [], next(flow)
    with pytest.raises(StopIteration) as end:
        while True:
            if isinstance(effect, Pause):
                pauses.append(effect.seconds)
                effect = flow.send(None)
            else:
                effect = flow.send(Response(status=200, headers={}, content=b"[]"))
    assert (pauses, end.value.value) == ([1, 2, 4, 8, 10, 10, 5], None)
    assert len(caplog.records) == len(pauses)


@pytest.mark.slow
async def test_waiting_for_it_is_seen_in_a_graphs_stream(face, make_model):
    model = make_model()

    def node(state):
        return {"messages": [model.reconcile(NOWHERE, 0.2)] * 0}

    async def anode(state):
        return {"messages": [await model.areconcile(NOWHERE, 0.2)] * 0}

    builder = StateGraph(ImageState)
    builder.add_node("find", anode if face.is_async else node)
    builder.add_edge(START, "find")
    builder.add_edge("find", END)
    events = [event async for event in builder.compile().astream({"messages": []}, stream_mode="custom")]
    assert events == [{"type": "mistral.image.waiting", "seconds": 0.2}]


@pytest.mark.parametrize("how", ["invoke", "bind"])
async def test_a_key_of_ones_own_is_for_the_tool(face, make_model, sandbox, how):
    model = make_model()
    with pytest.raises(InvalidInputError, match=r"MistralImageGenerationTool.*generate\(prompt, key=\.\.\.\)"):
        if how == "invoke":
            await face.call(model, "invoke", [CAT], key="sku-4711")
        else:
            await face.call(model.bind(key="sku-4711"), "invoke", [CAT])
    assert not sandbox.requests
