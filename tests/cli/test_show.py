"""Showing conversations and files, and the images in them."""

from __future__ import annotations

import json
import re

import pytest
from cli_process import run_on_terminal

from langchain_mistral_imagegen.sandbox import Behavior


def draw(command, sandbox, *prompts: str) -> str:
    """Return the id of the last conversation."""
    for prompt in prompts:
        printed = json.loads(command("--json", prompt, server=sandbox).stdout)
    return printed["conversation_id"]


def test_a_conversation_is_printed_with_its_images_and_how_to_get_them(command, sandbox):
    conversation = draw(command, sandbox, "Draw a cat.\nWith a hat.")
    (file,) = sandbox.files.by_id
    done = command("show", conversation, server=sandbox)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "user: Draw a cat.",
        "  With a hat.",
        'image_generation({"prompt": "a cat.\\nWith a hat"})',
        "mistral-medium-latest: Here is your image: a cat.",
        "  With a hat.",
        f"  [image_generated_0: {file}]",
        f"To download the images: mistral-imagegen show {conversation} -o FOLDER",
    ]


@pytest.mark.parametrize("shape", ["tool_file", "url", "markdown"])
def test_its_images_are_downloaded_and_no_signed_url_is_shown(command, sandbox, tmp_path, shape):
    sandbox.behave(Behavior(shape=shape, images=2))
    conversation = draw(command, sandbox, "Draw a cat.")
    done = command("show", conversation, "-o", "there", server=sandbox)
    assert len(list((tmp_path / "there").glob("cat-*.jpg"))) == 2
    assert len(re.findall(r"^there/cat-\w+\.jpg$", done.stdout, re.MULTILINE)) == 2
    printed = json.loads(command("show", "--json", conversation, server=sandbox).stdout)
    assert [image["status"] for image in printed["images"]] == ["remote", "remote"]
    assert "sig=" not in done.stdout + json.dumps(printed)
    assert sandbox.paid == 2


def test_every_kind_of_entry_is_printed_and_nothing_is_obeyed_by_the_terminal(command, sandbox):
    sandbox.behave(Behavior(unknown=True, thinking=True, reference=True, tool_timeouts=1, text="\x1b]0;owned\x07fine"))
    conversation = draw(command, sandbox, "Draw a cat.")
    output = command("show", conversation, server=sandbox).stdout
    assert "\x1b" not in output
    assert re.search(r"timed out", output)
    assert re.search(r"\(thinking: .+\)", output)
    assert re.search(r"\[source: .+\]", output)
    assert "fine" in output
    assert "[non_standard]" in output


def test_a_file_is_described_and_downloaded(command, sandbox, tmp_path):
    draw(command, sandbox, "Draw a cat.")
    (file,) = sandbox.files.by_id
    output = command("show", file, "-o", "there", server=sandbox).stdout
    assert f"id: {file}" in output
    assert re.search(r"^bytes: \d+$", output, re.MULTILINE)
    assert len(list((tmp_path / "there").glob("*.jpg"))) == 1
    assert json.loads(command("show", "--json", file, server=sandbox).stdout)["file"]["id"] == file


@pytest.mark.parametrize("unknown", ["conv_0", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there_exits_3(command, sandbox, unknown):
    done = command("show", unknown, server=sandbox)
    assert (done.returncode, done.stdout) == (3, "")
    assert "NotFoundError" in done.stderr


@pytest.mark.slow
def test_what_is_no_image_is_described_only_unless_it_is_asked_for(command, sandbox):
    file = sandbox.files.add("notes.txt", b"words", "batch", "text/plain")
    assert command("show", file.id, server=sandbox).returncode == 0
    done = command("show", file.id, "-o", "there", server=sandbox)
    assert done.returncode == 3
    assert "not an image" in done.stderr
    assert run_on_terminal("show", file.id, server=sandbox)[0] == 0
