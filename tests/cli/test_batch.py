"""Many prompts, as processes of their own that are really killed: nothing is paid for twice, and nothing is lost."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import COMMAND, environment, lines_of, run_on_terminal, stop, wait_for

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

THREE = "Draw a cat.\nDraw a dog.\nDraw a fox.\n"


@pytest.fixture
def prompts(tmp_path) -> str:
    (tmp_path / "p.txt").write_text(THREE)
    return "p.txt"


@pytest.fixture
def manifest(tmp_path) -> Path:
    return tmp_path / "generated_images" / "manifest.jsonl"


def statuses(manifest: Path) -> dict[str, str]:
    return {line["prompt"]: line["status"] for line in lines_of(manifest)}


def images(tmp_path: Path) -> int:
    """Count the complete images: a killed process leaves `.incoming-*.jpg`."""
    return sum(not path.name.startswith(".") for path in tmp_path.rglob("*.jpg"))


def are_downloading(sandbox: Sandbox, manifest: Path) -> bool:
    return len(sandbox.waiting) == 3 and list(statuses(manifest).values()) == ["drawn"] * 3


def stop_when(condition: Callable[[], bool], how: int, *args: str, server: Sandbox) -> tuple[int, str, str]:
    """Run the command until something is the case, then send it a signal."""
    with subprocess.Popen(
        [*COMMAND, *args], env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(condition, process)
        output, errors = stop(process, how)
    return process.returncode, errors, output


def test_all_prompts_are_drawn_and_a_second_run_pays_nothing(command, sandbox, prompts, manifest, tmp_path):
    done = command("--from", prompts, server=sandbox)
    assert (done.returncode, done.stderr) == (0, "")
    *each, summary = done.stdout.splitlines()
    place = r"(cat|dog|fox)-[0-9a-f]{6}: generated_images/\1-[0-9a-f]{6}\.jpg \(1024x768 pixels, [\d,]+ bytes\)"
    assert all(re.fullmatch(place, line) for line in each)
    assert (
        summary
        == "3 stored; image_generation called 3 times; about 0.30 USD for 3 images; see generated_images/manifest.jsonl"
    )
    assert (sandbox.paid, images(tmp_path)) == (3, 3)
    again = command("--from", prompts, server=sandbox)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == "3 done before; see generated_images/manifest.jsonl\n"
    assert sandbox.paid == 3


def test_the_manifest_reports_the_outcome_of_each_prompt(command, sandbox, prompts, manifest):
    command("--from", prompts, server=sandbox)
    line = {one["id"].partition("-")[0]: one for one in lines_of(manifest)}["cat"]
    (image,) = line["images"]
    assert (line["status"], line["prompt"], line["connectors"]) == ("stored", "Draw a cat.", {"image_generation": 1})
    assert sandbox.entries(line["conversation_id"])[0]["content"] == "Draw a cat."
    assert image["file_id"] in sandbox.files.by_id
    assert (manifest.parent / image["key"]).stat().st_size == image["size_bytes"]
    assert line["usage"]["total_tokens"] > 0
    assert [one["status"] for one in lines_of(manifest) if one["id"] == line["id"]] == ["asked", "drawn", "stored"]


def test_json_lines_name_their_images_and_json_is_one_object_per_prompt(command, sandbox, tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "Draw a cat.", "id": "1", "name": "Tom"}\n{"prompt": "Hello", "id": "2"}\n'
    )
    done = command("--json", "--from", "p.jsonl", server=sandbox)
    results = {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, done.stderr) == (1, "")
    assert {name: one["outcome"] for name, one in results.items()} == {"1": "stored", "2": "text"}
    assert results["2"]["text"] == "Hello! How can I help you today?"
    assert re.fullmatch(r"generated_images/tom-[0-9a-f]{6}\.jpg", results["1"]["images"][0]["path"])
    again = command("--json", "--from", "p.jsonl", server=sandbox)
    assert [json.loads(line)["outcome"] for line in again.stdout.splitlines()] == ["skipped", "no_image_before"]
    assert again.returncode == 1  # there is still no image


@pytest.mark.parametrize(
    "lines", [THREE, '{"prompt": "Draw a cat."}\n{"prompt": "Draw a dog."}\n{"prompt": "Draw a fox."}']
)
def test_prompts_come_from_stdin_and_quiet_prints_paths_only(command, sandbox, lines):
    done = command("-q", "--from", "-", stdin=lines, server=sandbox)
    assert [Path(line).is_file() for line in done.stdout.splitlines()] == [True] * 3
    assert (done.returncode, done.stderr, sandbox.paid) == (0, "", 3)


@pytest.mark.slow
def test_so_many_prompts_are_asked_at_once(sandbox, tmp_path):
    (tmp_path / "p.txt").write_text("".join(f"Draw {number} cats.\n" for number in range(9)))
    sandbox.behave(Behavior(delay=0.2), times=None)
    most = 0

    def look() -> bool:
        nonlocal most
        most = max(most, sum(request.method == "POST" for request in sandbox.waiting))
        return sandbox.paid > 5

    stop_when(look, signal.SIGKILL, "--from", "p.txt", "--concurrency", "3", server=sandbox)
    assert most == 3


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--from", "bad.jsonl"], r"bad.jsonl, line 2: no prompt"),
        (["--from", "nowhere.txt"], r"Cannot read the prompts: .*nowhere.txt"),
        (["--from", "p.txt", "Draw a cat."], r"not allowed with a prompt"),
        (["--from", "p.txt", "--concurrency", "0"], r"is not a whole number of at least 1"),
        (["--from", "p.txt", "-o", "memory://x"], r"memory://x is not a local folder.*--manifest"),
        (["--from", "p.txt", "--manifest", "p.txt"], r"p.txt, line 1: not a line of a manifest"),
        (["--from", "p.txt", "--manifest", "p.txt/m"], r"Cannot write the manifest: "),
    ],
)
def test_bad_usage_exits_2_before_anything_is_paid(command, sandbox, prompts, tmp_path, args, reason):
    (tmp_path / "bad.jsonl").write_text('{"prompt": "Draw a cat."}\n{"promt": "Draw a dog."}\n')
    done = command(*args, server=sandbox)
    assert done.returncode == 2
    assert re.search(reason, done.stderr)
    assert sandbox.requests == []


def test_a_prompt_that_fails_does_not_stop_the_others_and_is_asked_again(command, sandbox, prompts, manifest, tmp_path):
    sandbox.behave(Behavior(status=422))
    done = command("--from", prompts, "--concurrency", "1", server=sandbox)
    assert done.returncode == 3
    assert re.fullmatch(r"mistral-imagegen: cat-282989: InvalidRequestError: .*\n", done.stderr)
    assert "2 stored, 1 failed" in done.stdout
    assert statuses(manifest) == {"Draw a cat.": "failed", "Draw a dog.": "stored", "Draw a fox.": "stored"}
    assert "422" in next(line["error"] for line in lines_of(manifest) if line["status"] == "failed")
    assert command("--from", prompts, server=sandbox).returncode == 0
    assert (sandbox.paid, images(tmp_path)) == (3, 3)


@pytest.mark.slow
def test_an_outcome_that_is_not_known_is_looked_up_and_not_paid_again(command, sandbox, prompts, manifest, tmp_path):
    sandbox.behave(Behavior(status=503, body="gateway"))  # it may or may not have been drawn: here it was not
    # It could still be being drawn, for as long as an answer may take; then the prompt is sent again.
    done = command("--from", prompts, "--concurrency", "1", "--answer-within", "0.5", server=sandbox)
    assert (done.returncode, done.stderr, sandbox.paid, images(tmp_path)) == (0, "", 3, 3)


@pytest.mark.slow
def test_one_that_is_lost_again_and_again_is_left_to_a_later_run(command, sandbox, prompts, manifest, tmp_path):
    sandbox.behave(Behavior(status=503, body="gateway"), times=3)
    done = command("--from", prompts, "--concurrency", "1", "--answer-within", "0.5", server=sandbox)
    assert (done.returncode, sandbox.paid) == (3, 2)
    assert "2 stored, 1 unfinished" in done.stdout
    again = command("--from", prompts, server=sandbox)
    assert (again.returncode, sandbox.paid) == (3, 2)
    assert re.search(r"cat-282989: OutcomeUnknownError: gateway ", again.stderr)
    assert command("--resume", "--from", prompts, server=sandbox).returncode == 0  # at once: it was waited for
    assert (sandbox.paid, images(tmp_path)) == (3, 3)


@pytest.mark.slow
def test_a_network_that_is_down_while_an_answer_is_looked_for_leaves_it_open(command, sandbox, prompts, manifest):
    sandbox.behave(Behavior(delay=30), times=None)
    stop_when(lambda: len(sandbox.waiting) == 3, signal.SIGKILL, "--from", prompts, server=sandbox)
    down = command(
        "--resume",
        "--answer-within",
        "0.5",
        "--from",
        prompts,
        MISTRAL_API_KEY="k",
        MISTRAL_BASE_URL="http://127.0.0.1:9",
    )
    assert down.returncode == 3
    assert "3 unfinished" in down.stdout
    assert set(statuses(manifest).values()) == {"asked"}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_whoever_is_stopped_between_paying_and_downloading_downloads_later(
    command, sandbox, prompts, manifest, tmp_path, how
):
    sandbox.behave(Behavior(on="download", delay=30), times=3)
    code, errors, _ = stop_when(lambda: are_downloading(sandbox, manifest), how, "--from", prompts, server=sandbox)
    assert (code, sandbox.paid, images(tmp_path)) == (-9 if how == signal.SIGKILL else 130, 3, 0)
    if how == signal.SIGINT:
        assert "Interrupted" in errors
        assert "Traceback" not in errors
        assert sorted(path.name for path in manifest.parent.iterdir()) == ["_ledger", "manifest.jsonl"]
    left = command("--from", prompts, server=sandbox)
    assert (left.returncode, sandbox.paid, images(tmp_path)) == (3, 3, 0)
    assert "3 unfinished" in left.stdout
    assert "called" not in left.stdout  # this run asked nothing
    assert "--resume" in left.stderr
    resumed = command("--resume", "--from", prompts, server=sandbox)
    assert (resumed.returncode, resumed.stderr, sandbox.paid, images(tmp_path)) == (0, "", 3, 3)
    assert resumed.stdout.splitlines()[-1] == "3 stored; see generated_images/manifest.jsonl"


@pytest.mark.slow
def test_the_summary_of_an_interrupted_run_counts_what_it_left(sandbox, prompts, manifest):
    sandbox.behave(Behavior(on="download", delay=30), times=2)
    _, _, output = stop_when(
        lambda: len(sandbox.waiting) == 2 and list(statuses(manifest).values()) == ["drawn"] * 2,
        signal.SIGINT,
        *("--concurrency", "2", "--from", prompts),
        server=sandbox,
    )
    summary = "2 unfinished, 1 not sent; image_generation called 2 times; about 0.20 USD for 2 images; see generated_images/manifest.jsonl\n"
    assert output == summary


@pytest.mark.slow
def test_whoever_is_killed_while_asking_finds_the_answer_later(command, sandbox, prompts, manifest, tmp_path):
    sandbox.behave(Behavior(delay=1), times=3)
    stop_when(lambda: len(sandbox.waiting) == 3, signal.SIGKILL, "--from", prompts, server=sandbox)
    assert set(statuses(manifest).values()) == {"asked"}
    resumed = command("--resume", "--from", prompts, server=sandbox)  # it waits for what is still being drawn
    assert (resumed.returncode, resumed.stderr, sandbox.paid, images(tmp_path)) == (0, "", 3, 3)


@pytest.mark.slow
def test_whoever_is_killed_at_any_time_pays_once(command, sandbox, tmp_path, manifest):
    (tmp_path / "p.txt").write_text("".join(f"Draw {number} cats.\n" for number in range(6)))
    sandbox.behave(Behavior(on="download", pace=0.02), times=None)
    for lines in (3, 8, 14):
        stop_when(
            lambda lines=lines: len(lines_of_cut(manifest)) >= lines,
            signal.SIGKILL,
            *("--resume", "--from", "p.txt", "--concurrency", "2", "--timeout", "3", "--answer-within", "2"),
            server=sandbox,
        )
    done = command("--resume", "--from", "p.txt", "--timeout", "3", "--answer-within", "2", server=sandbox)
    assert (done.returncode, done.stderr, sandbox.paid, images(tmp_path)) == (0, "", 6, 6)


def lines_of_cut(manifest: Path) -> list[bytes]:
    return manifest.read_bytes().splitlines() if manifest.exists() else []


def test_an_image_that_was_deleted_is_downloaded_again_and_not_paid_again(
    command, sandbox, prompts, manifest, tmp_path
):
    command("--from", prompts, server=sandbox)
    next(tmp_path.rglob("cat-*.jpg")).unlink()
    assert command("--from", prompts, server=sandbox).returncode == 3
    assert command("--from", prompts, "--resume", server=sandbox).returncode == 0
    assert (sandbox.paid, images(tmp_path)) == (3, 3)


def test_a_download_that_fails_is_reported_and_resumed(command, sandbox, prompts, manifest, tmp_path):
    sandbox.behave(Behavior(on="download", file_bytes=b"no image", images=1))
    sandbox.behave(Behavior(on="download", status=404))
    done = command("--from", prompts, "--concurrency", "1", server=sandbox)
    assert (done.returncode, sandbox.paid) == (3, 3)
    assert re.search(r"(cat|dog)-\w+: ImageUnavailableError", done.stderr)
    assert command("--from", prompts, "--resume", server=sandbox).returncode == 0
    assert (sandbox.paid, images(tmp_path)) == (3, 3)
    assert not any("error" in line for line in lines_of(manifest)[-1:])


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["url", "markdown"])
def test_images_that_are_only_signed_urls_are_resumed_and_leave_no_secret(
    command, sandbox, prompts, manifest, tmp_path, shape
):
    sandbox.behave(Behavior(shape=shape), times=None)
    sandbox.behave(Behavior(on="download", delay=30), times=3)
    stop_when(lambda: are_downloading(sandbox, manifest), signal.SIGKILL, "--from", prompts, server=sandbox)
    done = command("--json", "--resume", "--from", prompts, server=sandbox, MISTRAL_API_KEY="canary")
    assert (done.returncode, sandbox.paid, images(tmp_path)) == (0, 3, 3)
    for text in (manifest.read_text(), done.stdout, done.stderr):
        assert not re.search(r"sig=|https?://|canary", text)


def test_an_id_that_stands_for_another_prompt_is_refused(command, sandbox, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"prompt": "Draw a cat.", "id": "1"}')
    command("--from", "p.jsonl", server=sandbox)
    (tmp_path / "p.jsonl").write_text('{"prompt": "Draw a dog.", "id": "1"}')
    done = command("--from", "p.jsonl", server=sandbox)
    assert (done.returncode, sandbox.paid) == (2, 1)
    assert "The id '1' has another prompt" in done.stderr


@pytest.mark.parametrize("behavior", [Behavior(quota="day"), Behavior(status=401)])
def test_what_would_refuse_the_others_too_stops_the_run(command, sandbox, tmp_path, behavior):
    (tmp_path / "p.txt").write_text("".join(f"Draw {number} cats.\n" for number in range(20)))
    sandbox.behave(behavior, times=None)
    done = command("--from", "p.txt", "--concurrency", "2", server=sandbox)
    assert done.returncode == 3
    assert re.search(r"[12] failed, 1[89] not sent", done.stdout)
    assert len(sandbox.requests) <= 2


def test_images_of_a_sandbox_do_not_stand_for_real_ones(command, sandbox, prompts, manifest):
    first, again = command("--from", prompts), command("--from", prompts)
    assert (first.returncode, again.returncode) == (0, 0)
    assert "3 done before" in again.stdout
    assert "3 stored" in command("--from", prompts, server=sandbox).stdout
    assert sandbox.paid == 3


def test_a_manifest_can_be_elsewhere(command, sandbox, prompts, tmp_path):
    done = command("--from", prompts, "-o", "memory://x", "--manifest", "logs/m.jsonl", server=sandbox)
    assert (done.returncode, set(statuses(tmp_path / "logs" / "m.jsonl").values())) == (0, {"stored"})


@pytest.mark.slow
def test_a_terminal_shows_a_bar_per_image_and_one_of_all(sandbox, tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "Draw a [/red] cat.", "id": "[/red]\\u001b]0;x\\u0007"}\n{"prompt": "Draw a dog."}'
    )
    sandbox.behave(Behavior(delay=0.3, file_size=200_000), times=None)
    sandbox.behave(Behavior(on="download", pace=0.2), times=None)
    code, text = run_on_terminal("--from", "p.jsonl", "--concurrency", "1", server=sandbox)
    assert code == 0
    for part in (r"0 of 2", r"1 of 2", r"\[/red\]", r"drawing", r"downloading, [\d,]+ bytes"):
        assert re.search(part, text)
    assert "\x1b]0;" not in text


@pytest.mark.slow
def test_paths_go_to_a_file_though_a_terminal_shows_bars(sandbox, prompts, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        code, text = run_on_terminal("--from", prompts, server=sandbox, stdout=output)
    assert code == 0
    assert "of 3" in text
    assert len(re.findall(r"^\w+-\w+: generated_images/", (tmp_path / "output").read_text(), re.MULTILINE)) == 3
