"""Agents from the command line."""

from __future__ import annotations

import json


def test_an_agent_is_made_once_listed_changed_used_and_deleted(command, sandbox):
    def agents(*args: str):
        done = command("agents", *args, "--json", server=sandbox)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert agents("list") == []
    (made,) = agents("ensure", "Painter", "--instructions", "Paint.", "--model", "mistral-large-latest")
    assert agents("ensure", "Painter", "--instructions", "Paint.", "--model", "mistral-large-latest") == [made]
    assert (made["instructions"], made["model"], made["tools"]) == ("Paint.", "mistral-large-latest", [{"type": "image_generation"}])  # fmt: skip
    (changed,) = agents("ensure", "Painter", "--description", "Paints.")
    assert (changed["id"], changed["description"], changed["version"]) == (made["id"], "Paints.", made["version"] + 1)
    listed = command("agents", "list", server=sandbox).stdout
    assert listed == f"{made['id']}  Painter  mistral-medium-latest  version 1  image_generation  managed by ensure\n"
    assert command("-q", "--agent-id", made["id"], "Draw a cat.", server=sandbox).returncode == 0
    assert agents("delete", made["id"]) == []
    assert agents("list") == []


def test_an_empty_instruction_is_sent_and_not_dropped(command, sandbox):
    command("agents", "ensure", "Painter", "--instructions", "", server=sandbox)
    (agent,) = [request.json for request in sandbox.requests if request.method == "POST"]
    assert agent["instructions"] == ""


def test_an_agent_that_is_not_there_exits_3(command, sandbox):
    done = command("agents", "delete", "ag_0", server=sandbox)
    assert done.returncode == 3
    assert "NotFoundError" in done.stderr


def test_without_an_action_nothing_is_done(command, sandbox):
    done = command("agents", server=sandbox)
    assert done.returncode == 2
    assert "list,ensure,delete" in done.stderr
    assert sandbox.requests == []


def test_an_agent_is_deleted_by_its_name_unless_several_have_it(command, sandbox):
    command("agents", "ensure", "Painter", server=sandbox)
    assert command("agents", "delete", "Painter", server=sandbox).returncode == 0
    assert command("agents", "list", server=sandbox).stdout == ""
    ids = [sandbox.agents.create({"model": "m", "name": "Twin"})["id"] for _ in range(2)]
    done = command("agents", "delete", "Twin", server=sandbox)
    assert done.returncode == 2
    assert all(one in done.stderr for one in ids)
