"""`PayOnceMiddleware`: an agent whose own model generates images pays once."""

from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.stores import InMemoryByteStore
from langgraph.checkpoint.memory import InMemorySaver

from langchain_mistral_imagegen import ByteStoreImageStore, images_of
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.middleware import PayOnceMiddleware
from langchain_mistral_imagegen.sandbox import Behavior

THREAD = {"configurable": {"thread_id": "1"}}
QUESTION = {"messages": [("user", "Draw a cat.")]}


class Crash(BaseException):
    """Ends a run as a killed process does: nobody catches it."""


def agent_of(model, *before, store):
    middleware = [*before, PayOnceMiddleware(image_store=str(store))]
    return create_agent(model, middleware=middleware, checkpointer=InMemorySaver())


def crashing_once():
    crashes = [Crash()]

    class After(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            response = handler(request)
            if crashes:
                raise crashes.pop()
            return response

        async def awrap_model_call(self, request, handler):
            response = await handler(request)
            if crashes:
                raise crashes.pop()
            return response

    return After()


async def test_an_answer_that_arrived_before_a_crash_is_adopted(face, make_model, sandbox, tmp_path):
    agent = agent_of(make_model(), crashing_once(), store=tmp_path)
    with pytest.raises(Crash):
        await face.call(agent, "invoke", QUESTION, THREAD)
    state = await face.call(agent, "invoke", None, THREAD)
    assert (len(images_of(state)), sandbox.paid) == (1, 1)
    again = await face.call(agent, "invoke", QUESTION, THREAD)  # a new question is a new answer
    assert (len(images_of(again)), sandbox.paid) == (2, 2)


@pytest.mark.slow
async def test_a_fallback_is_not_asked_besides_a_lost_answer(face, make_model, sandbox, tmp_path):
    sandbox.behave(Behavior(delay=1))
    other = GenericFakeChatModel(messages=iter([AIMessage("A fallback.")]))
    model = make_model(timeout=0.3, max_retries=0)
    agent = agent_of(model, ModelFallbackMiddleware(other), store=tmp_path)
    state = await face.call(agent, "invoke", QUESTION, THREAD)
    assert (len(images_of(state)), sandbox.paid) == (1, 1)


@pytest.mark.slow
async def test_a_fallback_is_asked_when_no_answer_can_come(face, make_model, sandbox, tmp_path):
    sandbox.behave(Behavior(status=503, body="a gateway"))
    other = GenericFakeChatModel(messages=iter([AIMessage("A fallback.")]))
    model = make_model(timeout=0.3, max_retries=0, answer_within=0.3)
    state = await face.call(agent_of(model, ModelFallbackMiddleware(other), store=tmp_path), "invoke", QUESTION, THREAD)
    assert (state["messages"][-1].text, sandbox.paid) == ("A fallback.", 0)


async def test_a_stream_that_was_cut_is_adopted(face, make_model, sandbox, tmp_path):
    sandbox.behave(Behavior(cut_after=3))
    agent = agent_of(make_model(max_retries=0), store=tmp_path)
    await face.chunks(agent, QUESTION, config=THREAD, stream_mode="messages")
    state = await face.call(agent, "get_state", THREAD)
    assert (len(images_of(state.values)), sandbox.paid) == (1, 1)


async def test_other_models_and_agents_without_a_thread_are_let_be(face, make_model, sandbox, tmp_path):
    other = GenericFakeChatModel(messages=iter([AIMessage("Hello.")]))
    state = await face.call(agent_of(other, store=tmp_path), "invoke", QUESTION, THREAD)
    assert state["messages"][-1].text == "Hello."
    agent = create_agent(make_model(), middleware=[PayOnceMiddleware(image_store=str(tmp_path / "images"))])
    await face.call(agent, "invoke", QUESTION)
    await face.call(agent, "invoke", QUESTION)
    assert sandbox.paid == 2


def test_a_store_that_cannot_hold_a_ledger_is_refused():
    with pytest.raises(InvalidInputError, match="cannot hold a ledger"):
        PayOnceMiddleware(image_store=ByteStoreImageStore(InMemoryByteStore()))
