"""Images on the terminal, where there is one."""

from __future__ import annotations

import pytest
from cli_process import run_on_terminal

pytestmark = pytest.mark.slow  # each needs a process with a terminal of its own
HALF_BLOCK = "▀"


def test_a_terminal_that_answers_nothing_gets_half_blocks(sandbox):
    code, text = run_on_terminal("Draw a cat.", server=sandbox)
    assert code == 0
    assert text.count(HALF_BLOCK) > 100
    assert "Failed to get" not in text
    assert "cat-" in text.partition(HALF_BLOCK)[0]


@pytest.mark.parametrize("options", [["--no-preview"], ["-q"], ["--json"]])
def test_it_can_be_left_out(sandbox, options):
    _, text = run_on_terminal(*options, "Draw a cat.", server=sandbox)
    assert HALF_BLOCK not in text
    assert "\x1b[c" not in text  # the terminal is not even asked


def test_a_file_gets_nothing_but_text(sandbox, tmp_path):
    with (tmp_path / "output").open("wb") as output:
        _, text = run_on_terminal("Draw a cat.", server=sandbox, stdout=output)
    assert HALF_BLOCK not in text + (tmp_path / "output").read_text()
    assert "\x1b" not in (tmp_path / "output").read_text()


def test_a_dumb_terminal_gets_none(sandbox):
    assert HALF_BLOCK not in run_on_terminal("Draw a cat.", server=sandbox, TERM="dumb")[1]


def test_a_terminal_that_knows_sixels_gets_them(sandbox):
    code, text = run_on_terminal("Draw a cat.", server=sandbox, answers={"\x1b[c": "\x1b[?62;4c"})
    assert code == 0
    assert "\x1bP" in text
    assert HALF_BLOCK not in text


def test_a_terminal_that_cannot_be_asked_costs_the_preview_alone(sandbox, tmp_path):
    (tmp_path / "textual_image").mkdir()
    (tmp_path / "textual_image" / "__init__.py").touch()
    (tmp_path / "textual_image" / "renderable.py").write_text("raise Exception('Failed to get cell size')\n")
    code, text = run_on_terminal("Draw a cat.", server=sandbox, PYTHONPATH=str(tmp_path))
    assert code == 0
    assert "cat-" in text
    assert "Failed" not in text


def test_show_shows_images(sandbox, command):
    command("-q", "Draw a cat.", server=sandbox)
    (file,) = sandbox.files.by_id
    _, text = run_on_terminal("show", file, server=sandbox)
    assert text.count(HALF_BLOCK) > 100


def test_a_prompt_with_brackets_is_no_markup(sandbox):
    code, text = run_on_terminal("--no-preview", "Draw a [/red] sign.", server=sandbox)
    assert code == 0
    assert "Traceback" not in text
