"""Agents, conversations and files at the sandbox, by both clients."""

from __future__ import annotations

import functools
import json

import pytest
from stepping import forbid_repetition

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._protocol.requests import Request, Response
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    ServerError,
)
from langchain_mistral_imagegen.sandbox import Behavior

NO_FILE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def run(face, model):
    async def run(flow):
        return await face.run(model, flow)

    return run


@pytest.fixture
def quick(monkeypatch, face, make_model):
    """Run operations with two repetitions and without pauses."""
    policy = functools.partial(RetryPolicy, wait_initial=0.0)
    monkeypatch.setattr("langchain_mistral_imagegen.chat_models._connected.RetryPolicy", policy)
    return functools.partial(face.run, make_model(max_retries=2))


@pytest.fixture
async def agent(run):
    return await run(api.create_agent(name="Painter", model="m", tools=[{"type": "image_generation"}]))


def queries(sandbox, path):
    return [request.query for request in sandbox.requests if request.path == path]


# --- conversations ---


async def test_a_conversation_is_read_listed_and_deleted(run, face, make_model):
    drawing, _ = make_model(conversation_metadata={"job": "1"}), make_model()
    answer = await face.call(drawing, "invoke", "Draw a cat.")
    await face.call(make_model(), "invoke", "Hello!")
    wanted = answer.response_metadata["conversation_id"]

    (found,) = await run(api.list_conversations(metadata={"job": "1"}))
    assert (found.id, found.metadata["job"], found.agent_id) == (wanted, "1", None)
    assert await run(api.get_conversation(wanted)) == found
    history = await run(api.conversation_history(wanted))
    assert [entry.type for entry in history.entries] == ["message.input", "tool.execution", "message.output"]

    assert await run(api.delete_conversation(wanted)) is None
    assert wanted not in {each.id for each in await run(api.list_conversations())}
    with pytest.raises(NotFoundError):
        await run(api.get_conversation(wanted))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(None, [100, 100, 100]), (1, [1]), (100, [100]), (150, [100, 100]), (0, []), (999, [100, 100, 100])],
)
async def test_pages_are_read_until_there_are_enough(run, sandbox, limit, sizes):
    ids = [add_conversation(sandbox) for _ in range(205)][::-1]
    found = await run(api.list_conversations(limit=limit))
    assert [each.id for each in found] == ids[:limit]
    asked = queries(sandbox, "/v1/conversations")
    assert [(query["page"], query["page_size"]) for query in asked] == [(str(n), str(s)) for n, s in enumerate(sizes)]


def add_conversation(sandbox) -> str:
    from langchain_mistral_imagegen.sandbox.records.conversations import Conversation

    one = Conversation({"model": "m"})
    sandbox.conversations.by_id[one.id] = one
    return one.id


# --- files ---


async def test_a_file_is_read_listed_and_deleted(run, face, model):
    await face.call(model, "invoke", "Draw a cat.")
    (file,) = await run(api.list_files(source="mistral"))
    assert await run(api.list_files(source="upload")) == await run(api.list_files(purpose="ocr")) == []
    assert await run(api.list_files(search="no such name")) == []
    kept = await run(api.get_file(file.id))
    assert (kept.id, kept.bytes, kept.created_at, kept.deleted) == (file.id, file.bytes, file.created_at, False)
    assert file.bytes > 1000

    deleted = await run(api.delete_file(file.id))
    assert (deleted.id, deleted.deleted) == (file.id, True)
    assert await run(api.list_files()) == []


async def test_more_than_one_page_of_files(run, sandbox):
    ids = [sandbox.files.add(f"{number}.txt", b"x", "ocr", "text/plain").id for number in range(101)]
    assert [file.id for file in await run(api.list_files(purpose="ocr"))] == ids
    assert [query["page"] for query in queries(sandbox, "/v1/files")] == ["0", "1"]


# --- agents ---


async def test_an_agent_has_what_was_asked_for(run):
    options = {"instructions": "Paint.", "completion_args": {"temperature": 0.2}, "metadata": {"team": "a"}}
    made = await run(api.create_agent(name="Painter", model="m", description="It paints.", **options))
    assert made.as_sent().items() >= {"name": "Painter", "model": "m", "description": "It paints.", **options}.items()
    assert (made.version, made.versions) == (0, [0])
    assert await run(api.get_agent(made.id)) == made


async def test_what_is_not_given_stays_and_null_resets(run, agent):
    changed = await run(api.update_agent(agent.id, instructions="Paint.", description="It paints."))
    assert (changed.version, changed.tools, changed.instructions) == (1, agent.tools, "Paint.")
    again = await run(api.update_agent(agent.id, instructions=None))
    assert (again.instructions, again.description) == (None, "It paints.")


async def test_versions_and_aliases(run, agent):
    await run(api.update_agent(agent.id, instructions="Paint."))
    assert [(each.version, each.instructions) for each in await run(api.agent_versions(agent.id))] == [
        (0, None),
        (1, "Paint."),
    ]
    assert (await run(api.switch_agent_version(agent.id, 0))).version == 0
    assert (await run(api.get_agent(agent.id))).version == 0
    assert (await run(api.get_agent(agent.id, 1))).instructions == "Paint."

    alias = await run(api.set_agent_alias(agent.id, "prod", 1))
    assert (alias.alias, alias.version) == ("prod", 1)
    assert (await run(api.get_agent(agent.id, "prod"))).version == 1
    moved = await run(api.set_agent_alias(agent.id, "prod", 0))
    assert await run(api.agent_aliases(agent.id)) == [moved]
    assert await run(api.delete_agent_alias(agent.id, "prod")) is None
    assert await run(api.agent_aliases(agent.id)) == []


async def test_more_than_one_page_of_versions(run, agent, sandbox):
    for number in range(100):
        sandbox.agents.update(agent.id, {"instructions": str(number)})
    assert [each.version for each in await run(api.agent_versions(agent.id))] == list(range(101))
    assert [each.version for each in await run(api.agent_versions(agent.id, limit=3))] == [0, 1, 2]


@pytest.mark.parametrize(("limit", "tokens"), [(None, [None, "100", "200"]), (150, [None, "100"]), (2, [None])])
async def test_agents_are_listed_by_page_token(run, sandbox, limit, tokens):
    ids = [sandbox.agents.create({"name": "Painter", "model": "m"})["id"] for _ in range(205)]
    found = await run(api.list_agents(limit=limit))
    assert [each.id for each in found] == ids[:limit]
    assert [query.get("page_token") for query in queries(sandbox, "/v1/agents/pages")] == tokens


async def test_agents_are_found_by_name_search_and_metadata(run, agent):
    other = await run(api.create_agent(name="Painter & Son", model="m", metadata={"team": "a", "rank": 2}))
    for wanted, found in (
        ({"name": "Painter"}, agent),
        ({"name": "Painter & Son"}, other),
        ({"search": "son"}, other),
        ({"search": agent.id}, agent),
        ({"metadata": {"rank": 2}}, other),
    ):
        assert await run(api.list_agents(**wanted)) == [found]


async def test_an_agent_is_deleted(run, agent):
    assert await run(api.delete_agent(agent.id)) is None
    assert await run(api.list_agents()) == []


# --- errors, and what is repeated ---


@pytest.mark.parametrize(
    "flow",
    [
        lambda: api.get_conversation("conv_x"),
        lambda: api.conversation_history("conv_x"),
        lambda: api.delete_conversation("conv_x"),
        lambda: api.get_file(NO_FILE),
        lambda: api.delete_file(NO_FILE),
        lambda: api.get_agent("ag_x"),
        lambda: api.update_agent("ag_x", name="y"),
        lambda: api.delete_agent("ag_x"),
        lambda: api.agent_versions("ag_x"),
        lambda: api.switch_agent_version("ag_x", 0),
        lambda: api.set_agent_alias("ag_x", "prod", 0),
        lambda: api.agent_aliases("ag_x"),
        lambda: api.delete_agent_alias("ag_x", "prod"),
    ],
)
async def test_what_is_not_there_is_not_found(run, flow):
    with pytest.raises(NotFoundError) as caught:
        await run(flow())
    assert caught.value.status_code == 404


async def test_a_version_that_is_not_there_is_not_found(run, agent):
    for version in (1, "prod"):
        with pytest.raises(NotFoundError):
            await run(api.get_agent(agent.id, version))


async def test_a_refusal_has_the_server_s_words(run, agent):
    with pytest.raises(InvalidRequestError, match="should match pattern"):
        await run(api.set_agent_alias(agent.id, "Not lower", 0))


async def test_reads_deletions_and_switches_are_repeated(quick, agent, sandbox):
    for flow in (
        api.list_agents,
        lambda: api.get_agent(agent.id),
        lambda: api.switch_agent_version(agent.id, 0),
        lambda: api.set_agent_alias(agent.id, "prod", 0),
        lambda: api.delete_agent_alias(agent.id, "prod"),
        lambda: api.delete_agent(agent.id),
    ):
        sandbox.behave(Behavior(on="agents", status=503), times=2)
        await quick(flow())
    assert sandbox.agents.by_id == {}


@pytest.mark.parametrize("flow", [
    lambda: api.create_agent(name="a", model="m"), lambda: api.update_agent("ag_1", name="b"),
])  # fmt: skip
def test_what_makes_something_is_not_repeated_after_it_may_have_been_carried_out(flow):
    failed, lost = flow(), flow()
    assert isinstance(next(failed), Request)
    with pytest.raises(OutcomeUnknownError, match="It was not retried, to avoid a duplicate"):
        forbid_repetition(failed, failed.send(Response(status=503, headers={})))
    next(lost)
    with pytest.raises(OutcomeUnknownError, match="It was not retried, to avoid a duplicate"):
        forbid_repetition(lost, lost.throw(APIConnectionError("reset", sent=True)))


async def test_nothing_is_repeated_for_a_model_without_retries(face, make_model, sandbox):
    sandbox.behave(Behavior(on="list", status=503), times=3)
    with pytest.raises(ServerError):
        await face.run(make_model(max_retries=0), api.list_conversations())
    assert len(sandbox.requests) == 1


async def test_an_agent_is_made_once_although_the_server_was_busy_first(quick, sandbox):
    sandbox.behave(Behavior(on="agents", status=429), times=2)
    await quick(api.create_agent(name="a", model="m"))
    assert len(sandbox.agents.by_id) == 1


def test_the_page_after_the_last_is_not_asked_for():
    flow = api.list_agents()
    next(flow)
    body = {"data": [{"id": "a"}], "next_page_token": ""}
    with pytest.raises(StopIteration) as stop:
        flow.send(Response(status=200, headers={}, content=json.dumps(body).encode()))
    assert [each.id for each in stop.value.value] == ["a"]


def test_every_public_name_is_there_and_documented():
    assert api.__all__ == sorted(api.__all__)
    assert all(getattr(api, name).__doc__ for name in api.__all__)
