"""The command with one prompt; as a process of its own where it needs a terminal, or is interrupted."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import COMMAND, environment, stop, wait_for
from PIL import Image
from places import arriving

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CAT = "Generate an orange cat in an office."


def test_without_a_key_the_sandbox_draws_and_is_named_first(command, tmp_path):
    done = command(CAT)
    assert done.returncode == 0
    assert done.stderr == "No MISTRAL_API_KEY: using the local sandbox; its images are placeholders.\n"
    text, place, usage = done.stdout.splitlines()
    assert text == "Here is your image: an orange cat in an office."
    path = re.fullmatch(
        r"(generated_images/orange-cat-in-an-office-[0-9a-f]{6}\.jpg) \(1024x768 pixels, [\d,]+ bytes\)", place
    )
    with Image.open(tmp_path / path[1]) as image:
        assert image.format == "JPEG"
    assert re.fullmatch(r"Usage: \d+ tokens in, \d+ out, image_generation called once", usage)


@pytest.mark.parametrize("options", [[], ["--json"], ["--no-stream"], ["--from", "prompts.txt"]])
def test_a_console_that_lacks_characters_loses_no_image(command, sandbox, tmp_path, monkeypatch, options):
    prompt = "Draw a \u2603 in snow, \N{GRINNING FACE}."
    (tmp_path / "prompts.txt").write_text(prompt, encoding="utf-8")
    console = io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", console)
    done = command(*(options if "--from" in options else [*options, prompt]), server=sandbox)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "generated_images").glob("*.jpg"))) == 1
    console.flush()
    if options == ["--json"]:
        assert "a \u2603 in snow" in json.loads(console.buffer.getvalue())["text"]


def test_output_that_is_no_terminal_has_no_control_codes(command, sandbox):
    done = command(CAT, server=sandbox)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_terminal_shows_progress_and_no_less_text(sandbox, tmp_path):
    sandbox.behave(Behavior(pace=0.01))
    main, terminal = pty.openpty()
    env = environment(sandbox, TERM="xterm", COLUMNS="100")
    with subprocess.Popen([*COMMAND, CAT], stdout=terminal, stderr=terminal, env=env) as process:
        os.close(terminal)
        screen = io.BytesIO()
        try:
            while piece := os.read(main, 65536):
                screen.write(piece)
        except OSError:  # Linux's end of file on a terminal
            os.close(main)
    text = screen.getvalue().decode()
    assert process.returncode == 0
    assert "\x1b[" in text
    assert "Drawing an orange cat in an office" in text
    assert "Downloading image_generated_0" in text
    assert "orange-cat-in-an-office" in text


def test_json_is_one_object_and_nothing_else(command, sandbox):
    done = command("--json", CAT, server=sandbox)
    result = json.loads(done.stdout)
    (image,) = result["images"]
    assert done.stdout.count("\n") == 1
    assert Path(image["path"]).stat().st_size == image["size_bytes"]
    assert (image["width"], image["status"], result["connectors"]) == (1024, "stored", {"image_generation": 1})


@pytest.mark.parametrize(
    "options", [[], pytest.param(["--no-stream"], marks=pytest.mark.slow), ["--json"], ["-q"]], ids=" ".join
)
def test_an_answer_that_is_cut_off_is_found_and_not_paid_again(command, sandbox, options):
    sandbox.behave(Behavior(delay=1.5) if "--no-stream" in options else Behavior(cut_after=15))
    done = command(*options, "--timeout", "1", CAT, server=sandbox)
    assert (done.returncode, sandbox.paid) == (0, 1)
    assert done.stderr == "The answer did not arrive. Looking for it at Mistral for up to 1 seconds.\n"
    assert re.search(r"orange-cat-in-an-office-[0-9a-f]{6}\.jpg", done.stdout)


@pytest.mark.slow
def test_an_answer_that_is_not_found_is_an_error(command, sandbox):
    sandbox.behave(Behavior(status=502))
    done = command("--timeout", "0.5", CAT, server=sandbox)
    assert (done.returncode, sandbox.paid, done.stdout) == (3, 0, "")
    looking, error, rescue = done.stderr.splitlines()
    assert looking.startswith("The answer did not arrive. Looking for it")
    assert "OutcomeUnknownError" in error
    assert re.fullmatch(r"To fetch .*: mistral-imagegen show [0-9a-f]{32} -o generated_images", rescue)


def test_quiet_prints_paths_only_and_a_dash_reads_stdin(command, sandbox):
    done = command("-q", "-", stdin=CAT + "\n", server=sandbox)
    assert done.returncode == 0
    assert Path(done.stdout.strip()).is_file()
    assert done.stderr == ""
    assert sandbox.requests[0].json["inputs"][0]["content"] == CAT


def test_without_streaming_the_output_is_the_same(command, sandbox):
    streamed, whole = command(CAT, server=sandbox), command("--no-stream", CAT, server=sandbox)
    assert whole.stdout == streamed.stdout
    assert [request.json["stream"] for request in sandbox.requests if request.method == "POST"] == [True, False]


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["--json"], ["-q"]])
def test_an_answer_without_an_image_prints_its_text_and_exits_1(command, sandbox, options):
    done = command(*options, "Hello", server=sandbox)
    assert done.returncode == 1
    words = "Hello! How can I help you today?"
    assert words in (done.stderr if options == ["-q"] else done.stdout)
    assert options != ["-q"] or done.stdout == ""  # it promises paths only


@pytest.mark.parametrize("shape", ["url", "markdown"])
def test_images_that_are_only_urls_are_saved_too(command, sandbox, shape):
    sandbox.behave(Behavior(shape=shape, images=2))
    done = command("-q", "Draw a boat.", server=sandbox)
    assert [Path(line).is_file() for line in done.stdout.splitlines()] == [True, True]


def test_model_agent_and_output_can_be_chosen(command, sandbox, tmp_path):
    command("--model", "mistral-large-latest", "-o", str(tmp_path / "a" / "b"), CAT, server=sandbox)
    assert sandbox.requests[0].json["model"] == "mistral-large-latest"
    assert len(list((tmp_path / "a" / "b").glob("*.jpg"))) == 1
    agent = sandbox.agents.create({"model": "m", "name": "A", "tools": [{"type": "image_generation"}]})
    done = command("--agent-id", agent["id"], "-o", "memory://x", CAT, server=sandbox)
    assert "memory://x/orange-cat-in-an-office-" in done.stdout


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ([], "required: prompt"),
        ([""], "the prompt is empty"),
        (["x", "--agent-id", "a", "--model", "m"], "not allowed with"),
        (["x", "-o", "file/below"], "Cannot write images to file/below: .*choose another output with -o"),
        (["x", "-o", "nowhere://x"], "Cannot write images to nowhere://x: .*choose another output with -o"),
        (["x", "--base-url", "localhost"], "--base-url and MISTRAL_BASE_URL must start with http://"),
        (["x", "--base-url", "http://127.0.0.1:9"], "No API key: set MISTRAL_API_KEY"),
    ],
)
def test_bad_usage_exits_2_before_anything_is_paid(command, args, reason, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = command(*args)
    assert done.returncode == 2
    assert re.search(reason, done.stderr, re.DOTALL)


def test_a_wrong_key_exits_3_and_is_not_shown(command):
    with Sandbox(api_key="right") as server:
        done = command(CAT, server=server, MISTRAL_API_KEY="canary")
    assert done.returncode == 3
    assert "Invalid API Key" in done.stderr
    assert "check MISTRAL_API_KEY" in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_api_errors_exit_3_also_as_json(command, sandbox):
    sandbox.behave(Behavior(quota="day"), times=2)
    assert command(CAT, server=sandbox).returncode == 3
    done = command("--json", CAT, server=sandbox)
    assert done.returncode == 3
    assert "image_generation rate limit reached" in json.loads(done.stdout)["error"]


@pytest.mark.slow  # two retries
def test_a_server_that_cannot_be_reached_exits_3(command):
    done = command("--base-url", "http://127.0.0.1:9", CAT, MISTRAL_API_KEY="k")
    assert (done.returncode, "cannot connect to 127.0.0.1:9: " in done.stderr) == (3, True)


def test_a_key_that_is_no_key_exits_2_and_is_named_as_the_variable(command):
    done = command(CAT, MISTRAL_API_KEY="k\u20ac", MISTRAL_BASE_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "MISTRAL_API_KEY" in done.stderr
    assert not re.search("api_key|\u20ac", done.stderr)


@pytest.mark.slow
def test_a_bug_exits_1_with_its_traceback(sandbox):
    code = """
import sys
from langchain_mistral_imagegen._cli import draw
from langchain_mistral_imagegen._cli.main import main
draw.images_of = lambda answer: int("a bug")
sys.exit(main(["Draw a cat."]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(sandbox), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: invalid literal for int() with base 10: 'a bug'" in done.stderr


@pytest.mark.slow
def test_ctrl_c_during_a_download_exits_130_and_leaves_nothing(sandbox, tmp_path):
    sandbox.behave(Behavior(file_size=50_000_000))
    sandbox.behave(Behavior(on="download", pace=0.05))
    env = environment(sandbox)
    with subprocess.Popen(
        [*COMMAND, CAT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        wait_for(lambda: arriving(tmp_path / "generated_images") > 100_000, process)
        _, errors = stop(process)
    assert process.returncode == 130
    assert "No partial file" in errors
    assert [path.name for path in (tmp_path / "generated_images").iterdir()] == ["manifest.jsonl"]
    (conversation,) = sandbox.conversations.by_id
    assert errors.splitlines()[-1].endswith(f"mistral-imagegen show {conversation} -o generated_images")


def test_help_describes_the_exit_codes(command):
    assert "exit codes:\n  0 image, 1 answer without an image, 2 bad usage" in command("--help").stdout
