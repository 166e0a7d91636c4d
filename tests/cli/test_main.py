"""The command, as a process of its own."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest
from cli_process import COMMAND, environment
from PIL import Image

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CAT = "Generate an orange cat in an office."


def run(*args: str, server: Sandbox | None = None, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *args],
        input=stdin,
        env=environment(server, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_key_the_sandbox_draws_and_is_named_first(tmp_path):
    done = run(CAT)
    assert done.returncode == 0
    assert done.stderr == "No MISTRAL_API_KEY: using the local sandbox; its pictures are placeholders.\n"
    text, place, usage = done.stdout.splitlines()
    assert text == "Here is your image: an orange cat in an office."
    path = re.fullmatch(
        r"(generated_images/orange-cat-in-an-office-[0-9a-f]{6}\.jpg) \(1024x768 pixels, [\d,]+ bytes\)", place
    )
    with Image.open(tmp_path / path[1]) as picture:
        assert picture.format == "JPEG"
    assert re.fullmatch(r"Usage: \d+ tokens in, \d+ out, image_generation called once", usage)


@pytest.mark.parametrize("words", [[], ["--json"], ["--no-stream"], ["--from", "prompts.txt"]])
def test_a_console_that_lacks_characters_loses_no_picture(sandbox, tmp_path, words):
    prompt = "Draw a \u2603 in snow, \N{GRINNING FACE}."
    (tmp_path / "prompts.txt").write_text(prompt, encoding="utf-8")
    done = run(*(words if "--from" in words else [*words, prompt]), server=sandbox, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "generated_images").glob("*.jpg"))) == 1
    if words == ["--json"]:
        assert "a \u2603 in snow" in json.loads(done.stdout)["text"]


def test_output_that_is_no_terminal_has_no_control_codes(sandbox):
    done = run(CAT, server=sandbox)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


def test_a_terminal_shows_progress_and_no_less_text(sandbox, tmp_path):
    sandbox.behave(Behavior(pace=0.01))
    main, terminal = pty.openpty()
    env = environment(sandbox, TERM="xterm", COLUMNS="100")
    with subprocess.Popen([*COMMAND, CAT], stdout=terminal, stderr=terminal, env=env) as process:
        os.close(terminal)
        shown = io.BytesIO()
        try:
            while piece := os.read(main, 65536):
                shown.write(piece)
        except OSError:  # Linux's end of file on a terminal
            os.close(main)
    text = shown.getvalue().decode()
    assert process.returncode == 0
    assert "\x1b[" in text
    assert "Drawing an orange cat in an office" in text
    assert "Downloading image_generated_0" in text
    assert "orange-cat-in-an-office" in text


def test_json_is_one_object_and_nothing_else(sandbox):
    done = run("--json", CAT, server=sandbox)
    result = json.loads(done.stdout)
    (image,) = result["images"]
    assert done.stdout.count("\n") == 1
    assert Path(image["path"]).stat().st_size == image["size_bytes"]
    assert (image["width"], image["status"], result["connectors"]) == (1024, "stored", {"image_generation": 1})


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["--json"], ["-q"]])
def test_an_answer_that_is_cut_off_is_found_and_not_paid_again(sandbox, options):
    sandbox.behave(Behavior(delay=1.5) if "--no-stream" in options else Behavior(cut_after=15))
    done = run(*options, "--timeout", "1", CAT, server=sandbox)
    assert (done.returncode, sandbox.paid) == (0, 1)
    assert done.stderr == "The answer did not arrive; looking for it at Mistral, for up to 1 seconds\n"
    assert re.search(r"orange-cat-in-an-office-[0-9a-f]{6}\.jpg", done.stdout)


def test_an_answer_that_is_not_found_is_an_error(sandbox):
    sandbox.behave(Behavior(status=502))
    done = run("--timeout", "0.5", CAT, server=sandbox)
    assert (done.returncode, sandbox.paid, done.stdout) == (3, 0, "")
    looking, error = done.stderr.splitlines()
    assert looking.startswith("The answer did not arrive; looking for it")
    assert "OutcomeUnknownError" in error


def test_quiet_prints_paths_only_and_a_dash_reads_stdin(sandbox):
    done = run("-q", "-", stdin=CAT + "\n", server=sandbox)
    assert done.returncode == 0
    assert Path(done.stdout.strip()).is_file()
    assert done.stderr == ""
    assert sandbox.requests[0].json["inputs"][0]["content"] == CAT


def test_without_streaming_the_output_is_the_same(sandbox):
    streamed, whole = run(CAT, server=sandbox), run("--no-stream", CAT, server=sandbox)
    assert whole.stdout == streamed.stdout
    assert [request.json["stream"] for request in sandbox.requests if request.method == "POST"] == [True, False]


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["--json"], ["-q"]])
def test_an_answer_without_a_picture_prints_its_text_and_exits_1(sandbox, options):
    done = run(*options, "Hello", server=sandbox)
    assert done.returncode == 1
    assert "Hello! How can I help you today?" in done.stdout


@pytest.mark.parametrize("shape", ["url", "markdown"])
def test_pictures_that_are_only_urls_are_saved_too(sandbox, shape):
    sandbox.behave(Behavior(shape=shape, images=2))
    done = run("-q", "Draw a boat.", server=sandbox)
    assert [Path(line).is_file() for line in done.stdout.splitlines()] == [True, True]


def test_model_agent_and_output_can_be_chosen(sandbox, tmp_path):
    run("--model", "mistral-large-latest", "-o", str(tmp_path / "a" / "b"), CAT, server=sandbox)
    assert sandbox.requests[0].json["model"] == "mistral-large-latest"
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1
    agent = sandbox.agents.create({"model": "m", "name": "A", "tools": [{"type": "image_generation"}]})
    done = run("--agent-id", agent["id"], "-o", "memory://x", CAT, server=sandbox)
    assert "memory://x/orange-cat-in-an-office-" in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "required: prompt"),
        ([""], "the prompt is empty"),
        (["x", "--agent-id", "a", "--model", "m"], "not allowed with"),
        (["x", "-o", "file/below"], "cannot be written there.*choose another place with -o"),
        (["x", "--base-url", "http://127.0.0.1:9"], "No API key: set MISTRAL_API_KEY"),
    ],
)
def test_bad_usage_exits_2_before_anything_is_paid(args, said, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run(*args)
    assert done.returncode == 2
    assert re.search(said, done.stderr, re.DOTALL)


def test_a_wrong_key_exits_3_and_is_not_shown():
    with Sandbox(api_key="right") as server:
        done = run(CAT, server=server, MISTRAL_API_KEY="canary")
    assert done.returncode == 3
    assert "Invalid API Key" in done.stderr
    assert "check MISTRAL_API_KEY" in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_api_errors_exit_3_also_as_json(sandbox):
    sandbox.behave(Behavior(quota="day"), times=2)
    assert run(CAT, server=sandbox).returncode == 3
    done = run("--json", CAT, server=sandbox)
    assert done.returncode == 3
    assert "image_generation rate limit reached" in json.loads(done.stdout)["error"]
    refused = run("--base-url", "http://127.0.0.1:9", CAT, MISTRAL_API_KEY="k")
    assert (refused.returncode, "cannot connect" in refused.stderr) == (3, True)


def test_ctrl_c_during_a_download_exits_130_and_leaves_nothing(sandbox, tmp_path):
    sandbox.behave(Behavior(file_size=50_000_000))
    sandbox.behave(Behavior(on="download", pace=0.05))
    env = environment(sandbox)
    with subprocess.Popen(
        [*COMMAND, CAT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        while not any(path.stat().st_size for path in (tmp_path / "generated_images").glob(".incoming-*")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "nothing half-written" in errors
    assert list((tmp_path / "generated_images").iterdir()) == []


def test_help_says_what_the_exit_codes_mean():
    assert "exit codes: 0 picture, 1 an answer without a picture" in run("--help").stdout
