"""README and guides: their code runs, their links lead somewhere, and their tables are complete."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
from documents import GUIDES, PAGES, fences, guide, write_examples
from langchain_core.language_models import BaseChatModel
from places import COOKBOOK, README, ROOT

from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool
from langchain_mistral_imagegen.chat_models._settings import ModelSettings
from langchain_mistral_imagegen.sandbox import Sandbox

pytest_plugins = ["pytester"]

CODE = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(fences(page, "python"))
]
STORING = (".save(", "tool.generate", "ToolFileNode(", "ImagesMiddleware(", "create_image_graph(")


@pytest.mark.parametrize("code", CODE)
def test_python_code_runs(code, sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    names: dict[str, Any] = {}
    exec(compile(code, "page", "exec"), names)  # noqa: S102  # that is the test
    assert sandbox.paid > 0 or isinstance(names.get("sandbox"), Sandbox)
    assert bool(list(tmp_path.rglob("*.jpg"))) == any(word in code for word in STORING)
    for made in names.values():
        if isinstance(made, MistralImageGenerationTool):
            made = made.model  # noqa: PLW2901  # what holds the connections
        if isinstance(made, ChatMistralConversations):
            made.close()


def test_the_first_example_needs_no_key(tmp_path):
    exec(compile(fences(README, "python")[0], "README.md", "exec"), {})  # noqa: S102  # that is the test
    assert (tmp_path / "cat.jpg").read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.slow
def test_the_tests_of_an_app_pass(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the plugin is there once, installed or not
    (code,) = fences(guide("testing"), "python test_poster.py")
    pytester.makepyfile(test_poster=code)
    done = pytester.runpytest_subprocess("-p", "langchain_mistral_imagegen.pytest_plugin", "-W", "error", timeout=60)
    done.assert_outcomes(passed=2)


def test_the_commands_set_up_everything_in_one_line():
    first, tests = fences(README, "sh")
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install -e '.[cli]' && .venv/bin/mistral-imagegen ")
    assert tests == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n"


def test_the_table_of_settings_is_complete_and_has_the_defaults():
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", guide("settings").read_text(), re.MULTILINE)
    own = ModelSettings.model_fields.keys() - BaseChatModel.model_fields.keys()
    assert {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)} == own
    written = {names.strip("`"): default.strip("`") for names, default in rows if names.count("`") == 2}
    defaults = {
        name: str(ModelSettings.model_fields[name].default).removesuffix(".0")
        for name in ("timeout", "deadline", "answer_within", "max_retries", "continuation", "transport")
    }
    assert defaults == {name: written[name] for name in defaults}
    switches = {name: "yes" if ModelSettings.model_fields[name].default else "no" for name in ("store", "streaming")}
    assert switches == {name: written[name] for name in switches}


def run_lines(command, sandbox, console) -> None:
    for line in console.splitlines():
        conversations = list(sandbox.conversations.by_id) or [""]
        name, *words = shlex.split(line.removeprefix("$ ").replace("conv_...", conversations[0]))
        done = command(*words, server=sandbox)
        assert (name, done.returncode, done.stderr) == ("mistral-imagegen", 0, ""), line


def test_the_commands_for_one_image_run(command, sandbox, tmp_path):
    command("Draw an orange cat.", server=sandbox)
    (first,) = (tmp_path / "generated_images").glob("*.jpg")
    shutil.copy(first, tmp_path / "photo.jpg")
    shutil.copy(first, tmp_path / "generated_images" / "orange-cat-3f2a91.jpg")  # found by its bytes
    run_lines(command, sandbox, fences(guide("command"), "console")[0])
    assert sandbox.paid == 1 + 1 + 1 + 1 + 1 + 4


def test_the_commands_for_many_prompts_run(command, sandbox, tmp_path):
    (tmp_path / "prompts.txt").write_text("Draw a cat.\nDraw a dog.\n")
    run_lines(command, sandbox, fences(guide("command"), "console")[1])
    assert sandbox.paid == 3, "the last asks for an image of a gallery"
    assert len(list((tmp_path / "posters").glob("*.jpg"))) == 2
    assert len(list((tmp_path / "again").glob("*.jpg"))) == 1


@pytest.mark.parametrize("page", [*PAGES, COOKBOOK / "README.md"], ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\((?!http)([^)]+)\)|src=\"([^\"]+)\"", page.read_text()):
        path, _, heading = (target[0] or target[1]).partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_pages_are_short_and_in_the_index():
    assert README.read_text().count("\n") <= 200
    assert [page.name for page in GUIDES if page.read_text().count("\n") >= 150] == []
    index = (COOKBOOK / "README.md").read_text()
    assert [page.name for page in GUIDES if f"(guides/{page.name})" not in index] == []


def test_prose_is_at_most_140_columns_wide():
    pages = [*PAGES, COOKBOOK / "README.md", *(ROOT / ".github").rglob("*.md")]
    lines = [(page.name, line) for page in pages for line in page.read_text().splitlines()]
    assert [(page, line) for page, line in lines if len(line) > 140 and not line.startswith("|")] == []


@pytest.mark.slow
def test_the_examples_have_types_that_mypy_accepts_as_it_comes(tmp_path):
    examples = write_examples(tmp_path / "examples")
    command = [sys.executable, "-m", "mypy", f"--cache-dir={tmp_path / 'cache'}", *examples]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
