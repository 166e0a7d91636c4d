"""Nobody reads what the command prints, or it is interrupted: what is paid for is stored, or can be fetched."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from cli_process import COMMAND, environment, lines_of, stop, wait_for

from langchain_mistral_imagegen.sandbox import Behavior

pytestmark = pytest.mark.slow  # each needs a process of its own
CAT = "Draw a cat."
SINKS = {
    "a pipe that is not read": "{} | true; exit ${{PIPESTATUS[0]}}",
    "a full disk": "{} >/dev/full",
    "a closed stdout": "{} >&-",
    "nothing at all": "{} <&- >&- 2>&-",
}


def run(line: str, sandbox, *args: str) -> subprocess.CompletedProcess[str]:
    script = line.format(shlex.join([*COMMAND, *args]))
    env = environment(sandbox)
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("options", [[], ["--json"], ["--from", "p.txt"]], ids=["one", "json", "many"])
def test_output_that_fails_loses_no_image_and_sets_the_exit_code(sandbox, tmp_path, sink, options):
    (tmp_path / "p.txt").write_text(CAT + "\nDraw a dog.\n")
    count = 2 if options[:1] == ["--from"] else 1
    sandbox.behave(Behavior(pace=0.02))
    done = run(SINKS[sink], sandbox, *options, *([] if count == 2 else [CAT]))
    assert len(list((tmp_path / "generated_images").glob("*.jpg"))) == sandbox.paid == count
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if sink != "nothing at all":
        reason = re.search(r"Cannot write to standard output: .*\. Stored: (.*)", done.stderr)
        assert [Path(path).is_file() for path in reason[1].split(", ")] == [True] * count


def test_a_reader_that_has_read_enough_is_no_error_message(sandbox):
    done = run("{} | true; exit ${{PIPESTATUS[0]}}", sandbox, "completion", "bash")
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["--json"]], ids=["stream", "whole", "json"])
def test_ctrl_c_prints_the_command_that_fetches_the_image(sandbox, tmp_path, options):
    sandbox.behave(Behavior(delay=0.5, pace=0.02))
    with subprocess.Popen(
        [*COMMAND, *options, CAT], env=environment(sandbox), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: sandbox.paid if "--no-stream" not in options else sandbox.waiting, process)
        output, errors = stop(process)
    assert process.returncode == 130
    printed = json.loads(output)["rescue"] if "--json" in options else errors
    rescue = shlex.split(re.search(r"mistral-imagegen (show .*)", printed)[1])
    while not sandbox.paid:
        os.sched_yield()
    done = subprocess.run([*COMMAND, *rescue], env=environment(sandbox), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, sandbox.paid) == (0, "", 1)
    assert len(list((tmp_path / "generated_images").glob("*.jpg"))) == 1


def test_an_image_that_cannot_be_stored_is_fetched_with_the_command_that_is_printed(sandbox, tmp_path, command):
    sandbox.behave(Behavior(on="download", status=404))
    done = command(CAT, server=sandbox)
    rescue = re.search(r"mistral-imagegen (show conv_\S+) -o generated_images", done.stderr)
    assert (done.returncode, sandbox.paid) == (3, 1)
    again = command(*rescue[1].split(), "-o", "again", server=sandbox)
    assert (again.returncode, sandbox.paid) == (0, 1)
    assert len(list((tmp_path / "again").glob("*.jpg"))) == 1


def test_one_prompt_is_recorded_as_those_of_a_batch(sandbox, tmp_path, command):
    command(CAT, server=sandbox)
    lines = lines_of(tmp_path / "generated_images" / "manifest.jsonl")
    assert [line["status"] for line in lines] == ["asked", "drawn", "stored"]
    assert (tmp_path / "generated_images" / lines[-1]["images"][0]["key"]).is_file()
    assert lines[-1]["conversation_id"] == lines[1]["conversation_id"] == lines[-1]["images"][0]["conversation_id"]
    assert {line["prompt"] for line in lines} == {CAT}
    sandbox.behave(Behavior(quota="day"))
    command(CAT, server=sandbox)
    assert [line["status"] for line in lines_of(tmp_path / "generated_images" / "manifest.jsonl")][3:] == [
        "asked", "failed",
    ]  # fmt: skip


def test_the_sandbox_overwrites_no_record_of_mistral(sandbox, tmp_path, command):
    (tmp_path / "p.txt").write_text(CAT)
    sandbox.behave(Behavior(on="download", status=404), times=9)
    assert command("--from", "p.txt", server=sandbox).returncode == 3
    before = (tmp_path / "generated_images" / "manifest.jsonl").read_text()
    done = command("--from", "p.txt", "--resume")
    assert (done.returncode, (tmp_path / "generated_images" / "manifest.jsonl").read_text()) == (2, before)
    assert "set MISTRAL_API_KEY" in done.stderr
