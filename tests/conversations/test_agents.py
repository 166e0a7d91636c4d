"""Settings are declared once: `ensure_agent` at the sandbox."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from stepping import forbid_repetition

from langchain_mistral_imagegen import ChatMistralConversations, api, images_of
from langchain_mistral_imagegen._conversations.agents import MARK, AgentSettings, ensure_agent
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    NotFoundError,
    OutcomeUnknownError,
)
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
WRITES = {"POST", "PATCH", "PUT", "DELETE"}


def agents(sandbox):
    return [agent.as_json() for agent in sandbox.agents.by_id.values()]


def writes(sandbox):
    return [request.method for request in sandbox.requests if request.method in WRITES]


# --- one agent ---


async def test_the_agent_gets_the_model_s_settings(face, make_model, sandbox):
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    settings = {
        "model": "mistral-large-latest",
        "instructions": "Paint.",
        "tools": [{"type": "image_generation"}, tool],
    }
    model = make_model(**settings, temperature=0.2, max_tokens=50, stop=["END"])
    await face.call(model, "ensure_agent", "Painter", description="It paints.", handoffs=None)
    (agent,) = agents(sandbox)
    assert agent.items() >= {**settings, "name": "Painter", "description": "It paints.", "handoffs": None}.items()
    given = {name: value for name, value in agent["completion_args"].items() if value is not None}
    assert given == {"temperature": 0.2, "max_tokens": 50, "stop": ["END"], "tool_choice": "auto"}


async def test_twice_is_one_agent_and_the_second_time_writes_nothing(face, make_model, sandbox):
    ids = [(await face.call(make_model(temperature=0.2), "ensure_agent", "Painter")).agent_id for _ in range(2)]
    (agent,) = agents(sandbox)
    assert ids == [agent["id"]] * 2
    assert writes(sandbox) == ["POST"]


async def test_changed_settings_are_a_new_version_and_what_was_removed_is_gone(face, make_model, sandbox):
    first = await face.call(
        make_model(temperature=0.2, instructions="Paint."),
        "ensure_agent",
        "Painter",
        description="d",
        handoffs=["ag_1"],
    )
    second = await face.call(make_model(model="m", top_p=0.5, tools=[]), "ensure_agent", "Painter")
    (agent,) = agents(sandbox)
    assert first.agent_id == second.agent_id == agent["id"]
    assert (agent["version"], agent["versions"], agent["model"], agent["tools"]) == (1, [0, 1], "m", [])
    assert agent["instructions"] is agent["description"] is agent["handoffs"] is None
    assert (agent["completion_args"]["temperature"], agent["completion_args"]["top_p"]) == (None, 0.5)
    await face.call(make_model(model="m", top_p=0.5, tools=[]), "ensure_agent", "Painter")
    assert writes(sandbox) == ["POST", "PATCH"]


def test_a_server_that_merged_a_new_version_into_the_old_one_would_forget_the_rest_too(make_model, sandbox):
    make_model(temperature=0.2).ensure_agent("Painter")
    make_model().ensure_agent("Painter")
    body = next(request.json for request in sandbox.requests if request.method == "PATCH")
    assert body["completion_args"]["temperature"] is None
    assert body.keys() >= {"model", "instructions", "tools", "completion_args", "description", "handoffs", "metadata"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "y"},
        {"model": "n"},
        {"instructions": ""},
        {"tools": [{"type": "web_search"}]},
        {"completion_args": {"temperature": 0}},
        {"description": "d"},
        {"handoffs": ["ag_1"]},
    ],
)
def test_each_setting_is_in_the_fingerprint(change):
    settings = {"name": "x", "model": "m"}
    assert AgentSettings(**settings).fingerprint != AgentSettings(**{**settings, **change}).fingerprint


def test_the_order_of_keys_is_not_in_the_fingerprint():
    one, other = {"temperature": 1, "top_p": 1}, {"top_p": 1, "temperature": 1}
    first, second = (AgentSettings(name="x", model="m", completion_args=args).fingerprint for args in (one, other))
    assert first == second
    assert len(first) == 16


# --- other people's agents ---


@pytest.mark.parametrize("metadata", [None, {}, {"team": "a"}])
async def test_an_agent_made_by_hand_is_left_alone(face, make_model, sandbox, metadata):
    by_hand = await face.run(make_model(), api.create_agent(name="Painter", model="m", metadata=metadata))
    ours = await face.call(make_model(), "ensure_agent", "Painter")
    await face.call(make_model(temperature=0.1), "ensure_agent", "Painter")
    assert ours.agent_id != by_hand.id
    assert await face.run(make_model(), api.get_agent(by_hand.id)) == by_hand
    assert len(agents(sandbox)) == 2


async def test_a_name_is_the_whole_name_whatever_the_server_s_filter_means():
    settings = AgentSettings(name="Painter", model="m")
    flow = ensure_agent(settings)
    next(flow)
    other = {"id": "ag_1", "name": "Painter & Son", "metadata": {MARK: settings.fingerprint}}
    request = flow.send(answer({"data": [other]}))
    assert (request.method, request.path) == ("POST", "/v1/agents")


def answer(body, status=200):
    return Response(status=status, headers={}, content=json.dumps(body).encode())


# --- two at once ---


@pytest.mark.slow
def test_threads_that_start_at_once_share_one_agent(make_model, sandbox):
    sandbox.behave(Behavior(on="agents", delay=0.3), times=None)  # all look before anybody has made one
    models, together = [make_model(temperature=0.2) for _ in range(3)], threading.Barrier(3)

    def start(model):
        together.wait()
        return model.ensure_agent("Painter").agent_id

    with ThreadPoolExecutor(3) as pool:
        ids = set(pool.map(start, models))
    assert ids == {agent["id"] for agent in agents(sandbox)}
    assert len(ids) == 1
    assert sorted(writes(sandbox)) == ["DELETE", "DELETE", "POST", "POST", "POST"], "they did not race"


@pytest.mark.slow
async def test_tasks_that_start_at_once_share_one_agent(make_model, sandbox):
    sandbox.behave(Behavior(on="agents", delay=0.2), times=None)
    models = await asyncio.gather(*(make_model(temperature=0.2).aensure_agent("Painter") for _ in range(3)))
    assert {model.agent_id for model in models} == {agent["id"] for agent in agents(sandbox)}
    assert len(agents(sandbox)) == 1
    assert writes(sandbox).count("POST") == 3, "they did not race"


PROGRAM = """
from langchain_mistral_imagegen import ChatMistralConversations
model = ChatMistralConversations(temperature=0.2)
print("ready", flush=True)
input()
print(model.ensure_agent("Painter").agent_id)
"""


@pytest.mark.slow
def test_processes_that_start_at_once_share_one_agent(sandbox, monkeypatch):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    sandbox.behave(Behavior(on="agents", delay=0.3), times=None)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes) for _ in range(2)]
    assert [program.stdout.readline() for program in programs] == ["ready\n"] * 2
    for program in programs:
        program.stdin.write("\n")
        program.stdin.flush()
    ids = [program.communicate(timeout=60)[0].strip() for program in programs]
    (agent,) = agents(sandbox)
    assert ids == [agent["id"]] * 2
    assert sorted(writes(sandbox)) == ["DELETE", "POST", "POST"], "they did not race"


@pytest.mark.slow
async def test_who_loses_brings_the_winner_up_to_its_own_settings(make_model, sandbox):
    sandbox.behave(Behavior(on="agents", delay=0.2), times=None)
    models = await asyncio.gather(*(make_model(temperature=t).aensure_agent("Painter") for t in (0.1, 0.9)))
    (agent,) = agents(sandbox)
    assert {model.agent_id for model in models} == {agent["id"]}
    assert agent["versions"] == [0, 1]
    loser = [request.json for request in sandbox.requests if request.method == "POST"][1]
    assert agent["completion_args"] == loser["completion_args"]


def in_race(mine, *listed):
    """Step the flow through a race and return what it does after the second look."""
    flow = ensure_agent(AgentSettings(name="x", model="m"))
    next(flow)
    flow.send(answer({"data": []}))
    assert flow.send(answer(mine)).path.startswith("/v1/agents/pages")
    return flow, lambda: flow.send(answer({"data": list(listed)}))


def made(agent_id, created_at):
    mark = {MARK: AgentSettings(name="x", model="m").fingerprint}
    return {"id": agent_id, "name": "x", "created_at": created_at, "metadata": mark}


@pytest.mark.parametrize(
    ("mine", "other"), [(("a", "2"), ("b", "1")), (("b", "1"), ("a", "1"))], ids=["older", "same time, smaller id"]
)
def test_the_oldest_wins_and_a_deletion_that_finds_nothing_is_fine(mine, other):
    flow, look = in_race(made(*mine), made(*mine), made(*other))
    request = look()
    assert (request.method, request.path) == ("DELETE", f"/v1/agents/{mine[0]}")
    with pytest.raises(StopIteration) as stop:
        forbid_repetition(flow, flow.throw(NotFoundError("gone", status_code=404)))
    assert stop.value.value.id == other[0]


@pytest.mark.parametrize("listed", [(), (made("b", "2"),)])
def test_the_winner_keeps_its_agent_although_the_list_lags_behind(listed):
    _, look = in_race(made("a", "1"), *listed)
    with pytest.raises(StopIteration) as stop:
        look()
    assert stop.value.value.id == "a"


def test_a_lost_answer_is_an_unknown_outcome_and_calling_again_finds_what_was_made():
    flow = ensure_agent(AgentSettings(name="x", model="m"))
    next(flow)
    flow.send(answer({"data": []}))
    with pytest.raises(OutcomeUnknownError):
        forbid_repetition(flow, flow.throw(APIConnectionError("reset", sent=True)))
    again = ensure_agent(AgentSettings(name="x", model="m"))
    next(again)
    with pytest.raises(StopIteration) as stop:
        again.send(answer({"data": [made("a", "1")]}))
    assert stop.value.value.id == "a"


# --- the model that is returned ---


async def test_it_draws_through_the_agent(face, make_model, sandbox):
    declared = make_model(model="m", instructions="Paint.", temperature=0.2, stop=["END"], max_tokens=500)
    painter = make_model(like=await face.call(declared, "ensure_agent", "Painter"))
    answer = await face.call(painter, "invoke", CAT)
    (image,) = await face.call(painter, "images", answer)
    assert image.mime_type == "image/jpeg"
    assert images_of(answer)[0]["conversation_id"] == answer.response_metadata["conversation_id"]
    assert answer.response_metadata["agent_id"] == painter.agent_id
    body = next(request.json for request in sandbox.requests if request.path == "/v1/conversations")
    assert body.keys() == {"agent_id", "inputs", "metadata", "store", "stream"}
    assert sandbox.paid == 1


async def test_only_what_is_the_agent_s_now_is_reset(face, make_model):
    declared = make_model(
        model="m", instructions="Paint.", tools=[], temperature=0.2, stop=["END"], timeout=7, store=False
    )
    painter = make_model(like=await face.call(declared, "ensure_agent", "Painter"))
    assert type(painter) is ChatMistralConversations
    fresh = ChatMistralConversations(api_key="k")
    for name in ("model", "instructions", "tools", "temperature", "stop"):
        assert getattr(painter, name) == getattr(fresh, name)
    assert (painter.timeout, painter.store, painter.base_url) == (7, False, declared.base_url)
    assert (declared.agent_id, declared.model, declared.temperature) == (None, "m", 0.2)
    same = ChatMistralConversations(**{name: getattr(painter, name) for name in painter.model_fields_set})
    assert same.agent_id == painter.agent_id


@pytest.mark.parametrize("version", [0, "stable"])
async def test_a_conversation_uses_the_version_or_alias_it_asks_for(face, make_model, sandbox, version):
    await face.call(make_model(model="old"), "ensure_agent", "Painter")
    agent_id = (await face.call(make_model(model="new"), "ensure_agent", "Painter")).agent_id
    await face.run(make_model(), api.set_agent_alias(agent_id, "stable", 0))
    newest = await face.call(make_model(agent_id=agent_id), "invoke", "Hello!")
    pinned = await face.call(make_model(agent_id=agent_id, agent_version=version), "invoke", "Hello!")
    assert [each.response_metadata["model_name"] for each in (newest, pinned)] == ["new", "old"]
    assert sandbox.requests[-1].json["agent_version"] == version
    conversation = await face.run(make_model(), api.get_conversation(pinned.response_metadata["conversation_id"]))
    assert (conversation.agent_id, conversation.agent_version) == (agent_id, version)


async def test_a_version_that_is_not_there_is_not_found(face, make_model):
    painter = await face.call(make_model(), "ensure_agent", "Painter")
    with pytest.raises(NotFoundError):
        await face.call(make_model(like=painter.model_copy(update={"agent_version": "nope"})), "invoke", "Hello!")


async def test_a_model_with_an_agent_is_refused_with_the_remedy(face, make_model, sandbox):
    with pytest.raises(ValueError, match=r"already has agent_id='ag_1'.*with api.update_agent"):
        await face.call(make_model(agent_id="ag_1"), "ensure_agent", "Painter")
    assert sandbox.requests == []
