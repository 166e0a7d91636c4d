"""`--json`: one schema for everything, one object per line, also for errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError

from langchain_mistral_imagegen._cli import result
from langchain_mistral_imagegen.sandbox import Behavior

SCHEMA = json.loads(Path(result.__file__).with_name("result.schema.json").read_text())
CAT = "Draw a cat."


def results(done) -> list[result.Result]:
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for one in found:
        Draft202012Validator(SCHEMA).validate(one)
    return found


def test_what_is_no_result_does_not_pass():
    with pytest.raises(ValidationError, match="'status' was unexpected"):
        Draft202012Validator(SCHEMA).validate({"schema_version": 1, "outcome": "stored", "images": [], "status": "x"})


def test_the_schema_and_the_types_have_the_same_fields():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"].keys() == result.Result.__annotations__.keys()
    assert SCHEMA["$defs"]["image"]["properties"].keys() | {"base64"} == result.ResultImage.__annotations__.keys()
    assert SCHEMA["properties"]["outcome"]["enum"] == list(get_args(result.Outcome))


def test_a_prompt(command, sandbox):
    (stored,) = results(command("--json", CAT, server=sandbox))
    assert (stored["outcome"], stored["prompt"], "path" in stored["images"][0]) == ("stored", CAT, True)
    (text,) = results(command("--json", "Hello", server=sandbox))
    assert (text["outcome"], text["images"]) == ("text", [])


@pytest.mark.parametrize("shape", ["tool_file", "markdown"])
def test_markdown_has_the_stored_paths(command, sandbox, shape):
    sandbox.behave(Behavior(shape=shape, images=2))
    (stored,) = results(command("--json", "-o", "my images", CAT, server=sandbox))
    paths = [image["path"].replace(" ", "%20") for image in stored["images"]]
    assert re.findall(r"!\[.+?\]\((.+?)\)", stored["markdown"]) == paths
    assert len(paths) == 2
    (text,) = results(command("--json", "Hello", server=sandbox))
    assert text["markdown"] == text["text"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behavior", "outcome", "has_rescue"),
    [
        (Behavior(status=422), "failed", False),
        (Behavior(status=502), "unfinished", True),
        (Behavior(on="download", status=404), "unfinished", True),
    ],
)
def test_errors(command, sandbox, behavior, outcome, has_rescue):
    sandbox.behave(behavior)
    (failed,) = results(command("--json", "--timeout", "0.1", CAT, server=sandbox))
    assert (failed["outcome"], "rescue" in failed, "error" in failed) == (outcome, has_rescue, True)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["Draw", "a", "cat"], "put the prompt in quotes"),
        (["--from", "nowhere.txt"], "Cannot read the prompts"),
        (["-o", "nowhere://x", CAT], "Cannot write images"),
        (["--continue", CAT], "records no image"),
    ],
)
def test_bad_usage(command, sandbox, args, reason):
    done = command("--json", *args, server=sandbox)
    (failed,) = results(done)
    assert done.returncode == 2
    assert reason in failed["error"]


def test_many_prompts(command, sandbox, tmp_path):
    (tmp_path / "p.txt").write_text(f"{CAT}\nHello\nDraw a dog.\nDraw a fox.\n")
    sandbox.behave(Behavior())
    sandbox.behave(Behavior())
    sandbox.behave(Behavior(status=401))
    for outcomes in (["stored", "text", "failed", "not_sent"], ["skipped", "no_image_before", "stored", "stored"]):
        done = command("--json", "--from", "p.txt", "--concurrency", "1", server=sandbox)
        assert [one["outcome"] for one in results(done)] == outcomes


def test_conversations_files_and_recent_runs(command, sandbox):
    (drawn,) = results(command("--json", CAT, server=sandbox))
    (conversation,) = results(command("show", "--json", "-o", "again", drawn["conversation_id"], server=sandbox))
    assert (conversation["outcome"], conversation["conversation_id"]) == ("shown", drawn["conversation_id"])
    assert conversation["images"][0]["path"].startswith("again/")
    (file,) = results(command("show", "--json", drawn["images"][0]["file_id"], server=sandbox))
    assert file["file"]["id"] == file["images"][0]["id"]
    (missing,) = results(command("show", "--json", "conv_nowhere", server=sandbox))
    assert "NotFoundError" in missing["error"]
    command("Draw a dog.", server=sandbox)
    dog, cat = results(command("recent", "--json"))
    assert (dog["outcome"], dog["prompt"], cat["images"][0]["path"]) == (
        "recorded",
        "Draw a dog.",
        drawn["images"][0]["path"],
    )
