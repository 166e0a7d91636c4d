"""What new users type: mistakes are named before anything is paid, and what works does what they mean."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import COMMAND, environment, lines_of, run_on_terminal
from screen import screen_lines

from langchain_mistral_imagegen._cli.wording import in_words_of_the_command
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Draw a cat."


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["Draw", "a", "cat"], "put the prompt in quotes: mistral-imagegen 'Draw a cat'"),
        (["--ouput", "x", CAT], "unknown option --ouput; did you mean --output?"),
        (["--outp=x", CAT], "unknown option --outp; did you mean --output?"),
        (["--banana", CAT], "unknown option --banana; see --help"),
        (["--from", "p.txt", "-o", "cat.png"], "cat.png is a file name, which is for one prompt"),
    ],
)
def test_the_mistake_is_named_and_the_remedy(command, sandbox, tmp_path, args, reason):
    (tmp_path / "p.txt").write_text(CAT)
    done = command(*args, server=sandbox)
    assert (done.returncode, sandbox.requests) == (2, [])
    assert reason in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("args", [["-"], ["--from", "-"]], ids=" ".join)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_bytes_that_are_not_utf_8_are_refused_and_not_changed(sandbox, args, locale):
    done = subprocess.run(
        [*COMMAND, *args],
        input=b"Draw a caf\xe9.",
        env=environment(sandbox, LC_ALL=locale),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, sandbox.requests) == (2, [])
    assert b"not UTF-8" in done.stderr


@pytest.mark.slow
def test_a_c_locale_draws_prompts_of_all_scripts(sandbox):
    env = environment(sandbox, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    done = subprocess.run([*COMMAND, "-q", "-"], input="Draw a 猫.".encode(), env=env, capture_output=True, check=False)
    assert (done.returncode, sandbox.prompts) == (0, ["Draw a 猫."])
    assert subprocess.run([*COMMAND, b"Draw a caf\xe9."], env=env, capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("gs://bucket/x", r"pip install 'langchain-mistral-imagegen\[gcs\]'"),
        ("http://127.0.0.1:9/x", "choose another output with -o"),
    ],
)
@pytest.mark.parametrize("options", [[CAT], ["--from", "p.txt", "--manifest", "m"]], ids=["one", "many"])
def test_a_place_that_cannot_be_written_to_is_refused_before_paying(
    command, sandbox, tmp_path, monkeypatch, place, reason, options
):
    monkeypatch.setitem(sys.modules, "gcsfs", None)  # as without the extra
    (tmp_path / "p.txt").write_text(CAT)
    done = command("-o", place, *options, server=sandbox)
    assert (done.returncode, sandbox.requests) == (2, [])
    assert re.search(reason, done.stderr)


@pytest.mark.parametrize("args", [["show", "conv_1"], ["agents", "list"]], ids=" ".join)
def test_what_needs_mistral_asks_for_the_key_and_not_an_empty_sandbox(command, args):
    done = command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No API key: set MISTRAL_API_KEY" in done.stderr


@pytest.mark.parametrize(
    ("chosen", "written"), [("cat.jpg", "cat.jpg"), ("cat.png", "cat.jpg"), ("a/b.jpeg", "a/b.jpg")]
)
def test_a_file_name_is_the_name_of_the_image(command, sandbox, tmp_path, chosen, written):
    done = command("-q", "-o", chosen, CAT, server=sandbox)
    assert (done.returncode, done.stdout) == (0, written + "\n")
    assert (tmp_path / written).is_file()
    assert ("so its name ends with .jpg" in done.stderr) == (chosen == "cat.png")
    command("-q", "-o", chosen, "Draw a dog.", server=sandbox)  # another image does not replace it
    assert len(list((tmp_path / written).parent.glob("*.jpg"))) == 2


def test_a_first_try_without_the_word_draw_gets_an_image(command):
    done = command("the harbour at night")
    assert done.returncode == 0
    assert "the-harbour-at-night" in done.stdout or "harbour-at-night" in done.stdout


def test_an_agent_has_instructions_of_its_own(command, sandbox):
    agent = sandbox.agents.create({"model": "m", "name": "A", "tools": [{"type": "image_generation"}]})
    assert command("--agent-id", agent["id"], CAT, server=sandbox).returncode == 0
    assert "instructions" not in sandbox.requests[0].json


def test_an_answer_in_words_stays_a_failure_until_it_is_asked_again(command, sandbox, tmp_path):
    (tmp_path / "p.txt").write_text(CAT)
    sandbox.behave(Behavior(shape="text"))
    assert command("--from", "p.txt", server=sandbox).returncode == 1
    again = command("--from", "p.txt", server=sandbox)
    assert (again.returncode, len(sandbox.requests)) == (1, 1)
    assert "1 answered without an image before (--retry asks again)" in again.stdout
    assert command("--from", "p.txt", "--retry", server=sandbox).returncode == 0
    assert command("--from", "p.txt", "--retry", server=sandbox).returncode == 0
    assert sandbox.paid == 1
    assert lines_of(tmp_path / "generated_images" / "manifest.jsonl")[-1]["status"] == "stored"


@pytest.mark.slow
def test_errors_speak_of_options_and_variables(command, sandbox):
    assert in_words_of_the_command("set MISTRAL_API_KEY or pass api_key=...; base_url='x'") == (
        "set MISTRAL_API_KEY; --base-url'x'"
    )
    sandbox.behave(Behavior(status=502))
    done = command("--timeout", "0.1", CAT, server=sandbox)
    assert "reconcile" not in done.stderr
    assert "mistral-imagegen show" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("options", [[CAT], ["--from", "p.txt"]], ids=["one", "many"])
def test_waiting_for_a_quota_is_shown(sandbox, tmp_path, options):
    (tmp_path / "p.txt").write_text(CAT)
    sandbox.behave(Behavior(status=429, headers={"retry-after": "1"}))
    code, sent = run_on_terminal("--no-preview", *options, server=sandbox)
    assert code == 0
    assert re.search(r"[Ww]aiting for the (quota|server) until \d\d:\d\d:\d\d", sent)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("color", ["", "1"], ids=["colour", "no colour"])
def test_the_bars_leave_no_line_behind_and_break_no_path(sandbox, tmp_path, columns, color):
    (tmp_path / "p.txt").write_text(
        "".join(f"Draw {number} cats on a very long roof in the rain.\n" for number in range(12))
    )
    sandbox.behave(Behavior(shape="text"))
    sandbox.behave(Behavior(pace=0.01, file_size=100_000), times=None)
    code, sent = run_on_terminal("--from", "p.txt", server=sandbox, columns=columns, NO_COLOR=color)
    assert code == 1
    for path in (tmp_path / "generated_images").glob("*.jpg"):
        assert f"generated_images/{path.name}" in sent  # whole, so that it can be copied
    _, *lines, summary = "\n".join(screen_lines(sent, 100_000)).splitlines()
    assert [
        bool(re.match(r"\d+-cats\S*: (generated_images/\S+\.jpg \(.* bytes\)|no image: .*)$", line)) for line in lines
    ] == [True] * 12, lines
    assert summary.startswith("11 stored, 1 answered without an image")


def test_the_summary_has_about_what_it_cost_but_not_for_the_sandbox(command, sandbox):
    assert "; about 0.10 USD for 1 image\n" in command(CAT, server=sandbox).stdout
    assert "USD" not in command(CAT).stdout
    assert "USD" not in command("Hello", server=sandbox).stdout


@pytest.mark.slow
def test_a_batch_on_a_terminal_names_its_cost_first(sandbox, tmp_path):
    (tmp_path / "p.txt").write_text("Draw a cat.\nDraw a dog.\n")
    _, sent = run_on_terminal("--from", "p.txt", server=sandbox)
    lines = screen_lines(sent, 100_000)
    assert lines[0] == "Sending 2 prompts: about 0.20 USD for 2 images, if each draws one.", sent
    assert "; about 0.20 USD for 2 images; see" in lines[-1]
    _, again = run_on_terminal("--from", "p.txt", server=sandbox)
    assert "USD" not in again


def test_a_full_disk_is_found_before_paying(command, sandbox, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage._replace(free=9_999_999))
    done = command(CAT, server=sandbox)
    assert (done.returncode, sandbox.requests) == (2, [])
    assert "only 9,999,999 bytes are free; choose another output with -o" in done.stderr


def test_an_image_that_a_full_disk_did_not_take_is_fetched_to_another_folder(command, sandbox, monkeypatch):
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        done = command(CAT, server=sandbox)
    assert (done.returncode, sandbox.paid) == (3, 1)
    rescue = re.search(r"mistral-imagegen (show conv_\S+ -o another_folder)", done.stderr)
    assert command(*rescue[1].split(), server=sandbox).returncode == 0
    assert sandbox.paid == 1
