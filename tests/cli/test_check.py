"""`mistral-imagegen check`, against the sandbox."""

from __future__ import annotations

import json
import subprocess

import pytest
from cli_process import COMMAND, environment, run_on_terminal, stop, wait_for

from langchain_mistral_imagegen._cli import check
from langchain_mistral_imagegen._contact.question import Question
from langchain_mistral_imagegen._messages.tool_names import RESERVED
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

KEY = "a-key-that-is-nowhere-to-be-found"
REFUSED = {"detail": [{"type": "value_error", "loc": ["body", "tools"], "msg": "protected function name"}]}


@pytest.fixture
def server():
    """A sandbox that refuses reserved names."""
    with Sandbox() as running:
        running.behave(Behavior(status=422, body=REFUSED, on="text"), times=len(RESERVED))
        yield running


def is_empty(server: Sandbox) -> bool:
    return not (server.conversations.by_id or server.files.by_id or server.agents.by_id)


def test_the_free_check_prints_a_table_and_deletes_all_it_made(command, server):
    done = command("check", server=server, COLUMNS="80")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) == 80
    assert "Is the metadata" in done.stdout
    assert done.stdout.count("│ yes") > 10
    assert "It draws no image." in done.stderr
    assert (server.paid, is_empty(server)) == (0, True)


def test_the_paid_check_states_its_cost_and_asks_first(command, server):
    assert command("check", "--pay", server=server, stdin="n\n").returncode == 0
    nobody = command("check", "--pay", server=server, stdin="")
    assert (nobody.returncode, "pass --yes" in nobody.stderr) == (2, True)
    assert server.requests == []
    done = command("check", "--pay", server=server, stdin="y\n")
    assert "about 0.20 USD" in done.stderr
    assert done.stderr.endswith("Continue? [y/N] ")
    assert (done.returncode, server.paid, is_empty(server)) == (0, 2, True)
    assert "as a tool_file chunk" in done.stdout


def test_json_has_a_finding_for_each_question(command, server):
    done = command("check", "--pay", "--yes", "--json", server=server)
    results = json.loads(done.stdout)
    assert (results["host"], results["paid"], results["not_deleted"]) == ("127.0.0.1", True, [])
    assert [row["name"] for row in results["findings"]][:3] == ["key", "model", "agents"]
    assert len(results["findings"]) == 21
    assert all({"question", "answer", "assumes", "fits"} <= row.keys() for row in results["findings"])


def test_an_answer_that_does_not_fit_exits_1_and_reports_what_it_means(command, server):
    server.behave(Behavior(filters_metadata=False, on="list"), times=None)
    done = command("check", server=server)
    assert done.returncode == 1
    assert "│ NO" in done.stdout
    assert "reads the whole list" in done.stdout.partition("└")[2].replace("\n", " ")


def test_the_report_has_evidence_and_no_secrets(command, server, tmp_path):
    leak = f"Refused for {KEY}, https://x.example/a?sig=abc"
    server.behave(Behavior(status=404, body={"detail": leak}, on="history"))
    file = tmp_path / "report.json"
    done = command("check", "--pay", "--yes", "--report", str(file), server=server, MISTRAL_API_KEY=KEY)
    text = file.read_text()
    assert f"Written: {file}" in done.stderr
    assert json.loads(text)["findings"][-1]["name"] == "edit"
    assert '"type": "tool_file"' in text
    for secret in (KEY, "sig=", "base64,", "orange cat"):
        assert secret not in text + done.stdout


def test_a_report_that_cannot_be_written_costs_nothing(command, server, tmp_path):
    done = command("check", "--pay", "--yes", "--report", str(tmp_path / "no" / "report.json"), server=server)
    assert (done.returncode, server.requests) == (2, [])
    assert "choose another file with --report" in done.stderr


def test_without_a_key_nothing_is_asked(command):
    done = command("check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No API key: set MISTRAL_API_KEY" in done.stderr


def test_a_wrong_key_ends_the_check(command):
    with Sandbox(api_key="right") as strict:
        done = command("check", "--json", server=strict)
    assert (done.returncode, json.loads(done.stdout)["findings"]) == (3, [])
    assert "Invalid API Key" in done.stderr
    assert "Not deleted" not in done.stderr


def test_what_cannot_be_deleted_is_named(command, server):
    server.behave(Behavior(status=403, on="history"), times=None)
    done = command("check", server=server)
    left = [line for line in done.stderr.splitlines() if line.startswith("Not deleted: conversation conv_")]
    assert len(left) == len(server.conversations.by_id) > 1


def test_an_unforeseen_error_leaves_nothing_behind(command, server, monkeypatch):
    def fail(_):
        raise RuntimeError("a bug")
        yield

    monkeypatch.setattr(check, "FREE", (*check.FREE, Question(name="x", text="?", assumes="", otherwise="", find=fail)))
    with pytest.raises(RuntimeError, match="a bug"):
        command("check", server=server)
    assert server.requests
    assert is_empty(server)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("knobs", "sent"),
    [
        ({"delay": 1.0, "on": "converse"}, "Repeat these words"),
        ({"delay": 1.0, "on": "agents"}, "mistral-imagegen-check-"),
        ({"delay": 1.0, "on": "image"}, "orange cat"),
        ({"writing": 1.0, "on": "image"}, "orange cat"),
        ({"delay": 1.0, "on": "image"}, '"allow"'),
    ],
)
def test_an_interrupted_check_leaves_nothing_behind(server, knobs, sent):
    """The server goes on with a request that nobody waits for, and makes what must be deleted."""
    server.behave(Behavior(**knobs), times=None)
    args = [*COMMAND, "check", "--pay", "--yes"]
    with subprocess.Popen(args, env=environment(server), stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_for(lambda: any(sent in json.dumps(request.json) for request in server.waiting), process)
        _, errors = stop(process)
    assert process.returncode == 130, errors
    assert b"waiting for what is still under way" in errors
    assert b"Not deleted" not in errors
    assert any(request.method == "DELETE" for request in server.requests)
    assert is_empty(server)


@pytest.mark.slow
def test_on_a_terminal_it_shows_where_it_is(server):
    code, text = run_on_terminal("check", server=server, columns=80)
    assert code == 0
    assert "1/11 Does the model answer" in text


@pytest.mark.slow
def test_ctrl_c_answers_the_question(server):
    args, pipe = [*COMMAND, "check", "--pay"], subprocess.PIPE
    with subprocess.Popen(args, env=environment(server), stdin=pipe, stderr=pipe, bufsize=0) as process:
        shown = b""
        while b"[y/N]" not in shown:
            shown += process.stderr.read(1) or pytest.fail(shown.decode())
        _, errors = stop(process)
    assert process.returncode == 130
    assert b"Interrupted" in errors
    assert server.requests == []
