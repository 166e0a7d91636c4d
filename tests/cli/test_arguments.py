"""Prompts and commands, and what shells make of them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("args", "prompt"),
    [
        (["--", "show"], "show"),
        (["-q", "show"], "show"),
        (["show me a picture of a cat"], "show me a picture of a cat"),
        (["--", "--from"], "--from"),
    ],
)
def test_only_the_first_word_is_a_command(command, sandbox, args, prompt):
    command(*args, server=sandbox)
    assert sandbox.prompts == [prompt]


@pytest.mark.parametrize("name", ["gallery", "show", "agents", "completion"])
def test_every_command_is_in_the_help_and_has_its_own(command, name):
    assert f"\n  {name} " in command("--help").stdout
    own = command(name, "--help")
    assert own.returncode == 0
    assert own.stdout.startswith(f"usage: mistral-imagegen {name} ")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["--timeout", "0"], "argument --timeout: '0' is not a number of seconds greater than 0"),
        (["--timeout=-1"], "argument --timeout: '-1' is not"),
        (["--timeout", "nan"], "argument --timeout: 'nan' is not"),
        (["--timeout", "inf"], "argument --timeout: 'inf' is not"),
        (["--timeout", "soon"], "argument --timeout: 'soon' is not"),
        (["--concurrency", "0"], "argument --concurrency: '0' is not a whole number of at least 1"),
        *(([option, ""], f"{option}: must not be empty") for option in ("--model", "--agent-id", "--base-url")),
        *(([option, ""], f"{option}: must not be empty") for option in ("--output", "--manifest", "--from")),
    ],
)
def test_an_empty_or_zero_value_is_refused_and_not_dropped(command, sandbox, args, reason):
    done = command(*args, "Draw a cat.", server=sandbox)
    assert (done.returncode, sandbox.requests) == (2, [])
    assert reason in done.stderr


def test_the_help_fits_a_terminal_of_eighty_columns(command):
    for words in ([], ["gallery"], ["show"], ["agents"], ["agents", "ensure"], ["completion"]):
        assert max(map(len, command(*words, "--help", COLUMNS="80").stdout.splitlines())) <= 80


def test_help_comes_without_what_is_heavy():
    code = "import sys; from langchain_mistral_imagegen._cli.main import main\ntry: main(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"langchain_core", "rich", "textual_image", "shtab", "httpx", "pydantic"} & set(done.stderr.split())


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("mistral-imagegen ga", ["gallery"]),
        ("mistral-imagegen agents en", ["ensure"]),
        ("mistral-imagegen --resu", ["--resume"]),
        ("mistral-imagegen gallery --orig", ["--originals"]),
        ("mistral-imagegen --from prom", ["prompts.txt"]),
        ("mistral-imagegen gallery pic", ["pictures"]),
    ],
)
def test_bash_completes(command, tmp_path, line, completed):
    bash = shutil.which("bash") or pytest.skip("there is no bash")
    (tmp_path / "prompts.txt").touch()
    (tmp_path / "pictures").mkdir()
    script = command("completion", "bash").stdout
    words = line.split()
    asked = f"""
COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'; COMP_POINT={len(line)}
$(complete -p mistral-imagegen | sed -E 's/.* -F ([^ ]+) .*/\\1/') mistral-imagegen {words[-1]} {words[-2]}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([bash, "-c", script + asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == completed


@pytest.mark.parametrize("shell", ["zsh", "tcsh", "fish"])
def test_other_shells_get_a_script_too(command, shell):
    done = command("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gallery" in done.stdout


def test_fish_completes_commands_and_options(command):
    script = command("completion", "fish").stdout
    assert "complete -c mistral-imagegen -n __fish_use_subcommand -a gallery -d " in script
    assert "-n '__fish_seen_subcommand_from gallery' -l originals -d " in script
    assert "-n __fish_use_subcommand -l shape -r -a 'square landscape portrait' -d " in script
    fish = shutil.which("fish")
    if fish:
        subprocess.run([fish, "--no-execute", "-c", script], check=True)
