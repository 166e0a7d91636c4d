"""Every recipe runs, against the sandbox, and says what it costs; `test_langgraph_server` runs those of the server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COOKBOOK = Path(__file__).parents[1] / "cookbook"
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


@pytest.mark.parametrize("recipe", SAID)
def test_a_recipe_runs_and_leaves_pictures(recipe, tmp_path):
    command = [sys.executable, "-W", "error", str(COOKBOOK / f"{recipe}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [said for said in SAID[recipe] if said not in done.stdout] == []
    assert len(list(tmp_path.rglob("*.jpg"))) == PICTURES[recipe]


@pytest.mark.parametrize("recipe", RUN_BY)
def test_a_recipe_is_short_and_says_what_it_costs(recipe):
    text = (COOKBOOK / f"{recipe}.py").read_text()
    assert text.count("\n") <= 65
    assert "Costs " in text
    assert RUN_BY[recipe] in text
