"""Every recipe runs, against the sandbox, and says what it costs; `test_langgraph_server` runs those of the server."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import postgres_workers
import psycopg
import pytest

COOKBOOK = Path(__file__).parents[1] / "cookbook"
ANIMALS = ["bee", "cat", "dog", "fox", "hen", "owl"]
SAID = {
    "first_image": ["Here is your image: an orange cat in an office.", "image/jpeg, 1024x768 pixels"],
    "tool_in_agent": ["tool: Generated 1 image(s) for: a blue boat", "ai: Here is your boat.", "stored: "],
    "langgraph_download": ["a red house in the sun, night", "stored ", "1024x768 pixels"],
    "postgres_workers": ["resumed bee", "drew cat", "drew owl"],
}
RUN_BY = {
    **{recipe: f"python cookbook/{recipe}.py" for recipe in [*SAID, "langgraph_server/client"]},
    "langgraph_server/graph": "cd cookbook/langgraph_server; MISTRAL_API_KEY=... langgraph dev",
    "langgraph_server/webapp": "cd cookbook/langgraph_server; langgraph dev",
}
PICTURES = {"first_image": 1, "tool_in_agent": 1, "langgraph_download": 2, "postgres_workers": 6}


def test_every_recipe_is_tested():
    recipes = {path.relative_to(COOKBOOK).with_suffix("").as_posix() for path in COOKBOOK.rglob("*.py")}
    assert recipes == {*RUN_BY, "sandbox_or_api", "postgres_or_local"}


def run(recipe: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(COOKBOOK / f"{recipe}.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("recipe", SAID)
def test_a_recipe_runs_and_leaves_pictures(recipe, tmp_path):
    if recipe == "postgres_workers" and not find_spec("pgserver"):
        pytest.skip("pgserver has wheels for Python 3.11 and 3.12 only")
    done = run(recipe)
    assert (done.returncode, done.stderr) == (0, "")
    assert [said for said in SAID[recipe] if said not in done.stdout] == []
    assert len(list(tmp_path.rglob("*.jpg"))) == PICTURES[recipe]


def test_workers_without_a_job_go_home(postgres, monkeypatch, tmp_path):
    """As on a second run, where nothing comes that the first worker could be killed at."""
    monkeypatch.setenv("POSTGRES_URI", postgres)
    postgres_workers.fill(postgres, *ANIMALS)
    with psycopg.connect(postgres) as queue:
        queue.execute("UPDATE picture_jobs SET done = true")
    done = run("postgres_workers")
    assert (done.returncode, done.stderr, list(tmp_path.rglob("*.jpg"))) == (0, "", [])


@pytest.mark.parametrize("recipe", RUN_BY)
def test_a_recipe_is_short_and_says_what_it_costs(recipe):
    text = (COOKBOOK / f"{recipe}.py").read_text()
    assert text.count("\n") <= 65
    assert "Costs " in text
    assert RUN_BY[recipe] in text
