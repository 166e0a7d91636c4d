"""Agents, conversations and files of Mistral's are read, whatever is missing, null or new."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from langchain_mistral_imagegen._protocol.entries import read_response
from langchain_mistral_imagegen._protocol.resources import Agent, AgentAlias, Conversation, DeletedFile, File, Listing
from langchain_mistral_imagegen.errors import InvalidResponseError


def read(kind, sent):
    return read_response(kind, json.dumps(sent).encode())


@pytest.mark.parametrize("kind", [Agent, Conversation, File, DeletedFile])
def test_an_id_is_enough_and_new_fields_are_kept(kind):
    found = read(kind, {"id": "x", "mood": "good"})
    assert (found.id, found.as_sent()) == ("x", {"id": "x", "mood": "good"})


@pytest.mark.parametrize("kind", [Agent, Conversation, File, DeletedFile])
def test_any_field_with_a_default_of_none_may_be_null(kind):
    nulls = {name: None for name, field in kind.model_fields.items() if field.default is None}
    assert read(kind, {**nulls, "id": "x"}).as_sent() == {"id": "x"}


@pytest.mark.parametrize("kind", [Agent, AgentAlias, Conversation, File, DeletedFile])
def test_what_has_no_id_is_unreadable(kind):
    with pytest.raises(InvalidResponseError, match=f"server's {kind.__name__} cannot be read"):
        read(kind, {"object": "something"})


def test_they_are_frozen():
    agent = Agent(id="x")
    with pytest.raises(ValidationError, match="frozen"):
        agent.name = "y"


def test_the_agent_of_the_docs_lacks_required_fields_and_is_read():
    agent = read(Agent, {"id": "ag_1", "object": "agent", "name": "Image agent", "model": "m", "version": 0,
                         "created_at": "2025-05-27T11:21:27.710Z", "tools": [{"type": "image_generation"}]})  # fmt: skip
    assert (agent.version, agent.versions, agent.created_at) == (0, None, "2025-05-27T11:21:27.710Z")


def test_the_file_of_the_docs_has_no_size_and_is_read():
    file = read(File, {"id": "f", "object": "file", "bytes": None, "created_at": 1759491994, "filename": "a.jsonl"})
    assert (file.bytes, file.created_at, file.filename) == (None, 1759491994, "a.jsonl")


@pytest.mark.parametrize("version", [0, "prod", None])
def test_a_conversation_s_agent_version_is_a_number_or_an_alias(version):
    assert read(Conversation, {"id": "c", "agent_id": "ag_1", "agent_version": version}).agent_version == version


@pytest.mark.parametrize(
    ("sent", "ids", "token"),
    [
        ([], [], None),
        ([{"id": "a"}, {"id": "b"}], ["a", "b"], None),
        ({"object": "list", "data": [{"id": "a"}], "total": 1}, ["a"], None),
        ({"data": [{"id": "a"}], "next_page_token": "t"}, ["a"], "t"),
        ({"data": None}, [], None),
        ({}, [], None),
    ],
)
def test_a_list_is_an_array_or_an_object(sent, ids, token):
    page = read(Listing[Agent], sent)
    assert ([agent.id for agent in page.items], page.next_page_token) == (ids, token)


@pytest.mark.parametrize("sent", ["text", 7, [{"name": "no id"}]])
def test_anything_else_is_unreadable(sent):
    with pytest.raises(InvalidResponseError, match=r"server's Listing\[Agent\] cannot be read"):
        read(Listing[Agent], sent)
