"""Going on with an earlier image: its conversation is continued, or branched off where the image was drawn."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from cli_process import COMMAND, environment, lines_of, stop, wait_for

from langchain_mistral_imagegen.sandbox import Behavior


def path_of(done) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def contents(sandbox, conversation: str) -> list[str]:
    return [entry["content"] for entry in sandbox.entries(conversation) if entry["type"] == "message.input"]


def conversation_of(sandbox) -> str:
    return next(iter(sandbox.conversations.by_id))


def test_continue_goes_on_with_the_last_image(command, sandbox):
    path_of(command("-q", "Draw a cat.", server=sandbox))
    path_of(command("-q", "--continue", "make it night", server=sandbox))
    path_of(command("-q", "--continue", "add a moon", server=sandbox))
    assert contents(sandbox, conversation_of(sandbox)) == ["Draw a cat.", "make it night", "add a moon"]
    assert len(sandbox.conversations.by_id) == 1


def test_a_conversation_can_be_named(command, sandbox):
    command("Draw a cat.", server=sandbox)
    first = conversation_of(sandbox)
    command("Draw a dog.", server=sandbox)
    path_of(command("-q", "--conversation", first, "make it night", server=sandbox))
    assert contents(sandbox, first) == ["Draw a cat.", "make it night"]


def test_an_image_is_found_by_its_bytes_and_the_conversation_branches_off_there(command, sandbox, tmp_path):
    cat = path_of(command("-q", "Draw a cat.", server=sandbox))
    path_of(command("-q", "--continue", "make it night", server=sandbox))
    (tmp_path / cat).rename(tmp_path / "generated_images" / "my cat.jpg")
    path_of(command("-q", "--edit", "generated_images/my cat.jpg", "add a hat", server=sandbox))
    histories = [contents(sandbox, conversation) for conversation in sandbox.conversations.by_id]
    assert histories == [["Draw a cat.", "make it night"], ["Draw a cat.", "add a hat"]]


def test_an_image_of_unknown_origin_can_be_shown_to_the_model(command, sandbox, tmp_path):
    cat = path_of(command("-q", "-o", "elsewhere", "Draw a cat.", server=sandbox))
    (tmp_path / "elsewhere" / "manifest.jsonl").unlink()
    count = len(sandbox.requests)
    done = command("--edit", cat, "add a hat", server=sandbox)
    assert (done.returncode, len(sandbox.requests)) == (2, count)
    assert f"To show it to the model instead: --image {cat}" in done.stderr
    path_of(command("-q", "--image", cat, "Draw this cat with a hat.", server=sandbox))
    text, image = sandbox.requests[-2].json["inputs"][0]["content"]
    assert (text["type"], image["type"]) == ("text", "image_url")
    assert "base64" not in (tmp_path / "generated_images" / "manifest.jsonl").read_text()


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--continue"], "records no image that Mistral has drawn"),
        (["--edit", "nowhere.jpg"], "Cannot read nowhere.jpg: No such file"),
        (["--image", "words.txt"], "words.txt is not an image"),
        (["--edit", "a", "--continue"], "not allowed with argument"),
        (["--continue", "-n", "2"], "argument --continue: not allowed with -n"),
        (["-n", "0"], "'0' is not a whole number"),
        (["--shape", "round"], "invalid choice: 'round'"),
    ],
)
def test_what_cannot_be_continued_is_refused_before_paying(command, sandbox, tmp_path, args, reason):
    (tmp_path / "words.txt").write_text("words")
    done = command(*args, "add a hat", server=sandbox)
    assert (done.returncode, sandbox.requests) == (2, [])
    assert reason in done.stderr


def test_conversations_of_the_sandbox_have_ended(command):
    command("Draw a cat.")
    done = command("--continue", "make it night")
    assert done.returncode == 2
    assert "records no image that Mistral has drawn" in done.stderr
    assert "set MISTRAL_API_KEY" in command("--conversation", "conv_1", "make it night").stderr


def test_several_versions_are_drawn_at_once_and_again(command, sandbox, tmp_path):
    done = command("-n", "3", "Draw a cat.", server=sandbox)
    assert (done.returncode, sandbox.paid) == (0, 3)
    assert "3 stored" in done.stdout
    assert command("-q", "-n", "2", "Draw a cat.", server=sandbox).returncode == 0
    assert sandbox.paid == 5
    lines = lines_of(tmp_path / "generated_images" / "manifest.jsonl")
    assert len({line["id"] for line in lines}) == 5
    assert {line["prompt"] for line in lines} == {"Draw a cat."}


@pytest.mark.slow
def test_versions_that_were_interrupted_are_fetched_with_resume(command, sandbox, tmp_path):
    sandbox.behave(Behavior(on="download", delay=30), times=3)
    with subprocess.Popen(
        [*COMMAND, "-n", "3", "Draw a cat."], env=environment(sandbox), stdout=-1, stderr=-1, text=True
    ) as process:
        wait_for(lambda: len(sandbox.waiting) == 3, process)
        _, errors = stop(process)
    assert "--resume" in errors
    done = command("-n", "3", "--resume", "Draw a cat.", server=sandbox)
    assert (done.returncode, sandbox.paid) == (0, 3)
    assert "3 stored" in done.stdout


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one", "two"])
def test_a_shape_is_asked_for_in_words_and_is_no_part_of_the_name(command, sandbox, tmp_path, options):
    done = command("-q", *options, "--shape", "landscape", "Draw a cat.", server=sandbox)
    assert re.fullmatch(r"(generated_images/cat-[0-9a-f]+\.jpg\n)+", done.stdout)
    assert sandbox.prompts[0] == "Draw a cat.\n\nMake the image in landscape format, wider than it is high."
    assert (
        json.loads((tmp_path / "generated_images" / "manifest.jsonl").read_text().splitlines()[0])["prompt"]
        == "Draw a cat."
    )
