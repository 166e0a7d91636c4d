"""The README's code runs, and its commands are the ones CI runs."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from places import ROOT

from langchain_mistral_imagegen import MistralImageGenerationTool
from langchain_mistral_imagegen.chat_models._settings import ModelSettings
from langchain_mistral_imagegen.sandbox import Sandbox

pytest_plugins = ["pytester"]

README = (ROOT / "README.md").read_text()


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", fences("python"), ids=range(len(fences("python"))))
def test_python_code_runs(code, sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  # that is the test
    assert sandbox.paid > 0 or isinstance(names.get("sandbox"), Sandbox)
    assert bool(list(tmp_path.rglob("*.jpg"))) == any(
        word in code
        for word in (".save(", "tool.generate", "ToolFileNode(", "ImagesMiddleware(", "create_image_graph(model")
    )
    for name in ("model", "tool"):
        if name in names:
            made = names[name]
            (made.model if isinstance(made, MistralImageGenerationTool) else made).close()


def test_the_tests_of_an_app_pass(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the plugin is there once, installed or not
    (code,) = fences("python test_poster.py")
    pytester.makepyfile(test_poster=code)
    done = pytester.runpytest_subprocess("-p", "langchain_mistral_imagegen.pytest_plugin", "-W", "error", timeout=60)
    done.assert_outcomes(passed=2)


def test_the_commands_set_up_everything_in_one_line():
    first, tests = fences("sh")
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install -e '.[cli]' && .venv/bin/mistral-imagegen ")
    assert tests == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n"


def test_the_table_of_settings_is_complete_and_tells_the_defaults():
    table = README.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", table, re.MULTILINE)
    own = ModelSettings.model_fields.keys() - BaseChatModel.model_fields.keys()
    assert {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)} == own
    defaults = {names.strip("`"): default.strip("`") for names, default in rows if names.count("`") == 2}
    told = {
        name: str(ModelSettings.model_fields[name].default)
        for name in ("timeout", "max_retries", "continuation", "transport")
    }
    assert {**told, "timeout": "300"} == {name: defaults[name] for name in told}


def test_the_console_commands_run(command, sandbox, tmp_path):
    (console,) = fences("console")
    (tmp_path / "prompts.txt").write_text("Draw a cat.\nDraw a dog.\n")
    for line in console.splitlines():
        conversations = list(sandbox.conversations.by_id) or [""]
        name, *words = shlex.split(line.removeprefix("$ ").replace("conv_...", conversations[0]))
        done = command(*words, server=sandbox)
        assert (name, done.stderr) == ("mistral-imagegen", "")
        assert done.returncode == (1 if words == ["--", "gallery"] else 0), line
    assert sandbox.paid == 2
    assert len(list((tmp_path / "posters").glob("*.jpg"))) == 2
    assert len(list((tmp_path / "again").glob("*.jpg"))) == 1


def test_links_lead_to_files():
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)|src=\"([^\"]+)\"", README):
        assert (ROOT / (target[0] or target[1])).exists()
