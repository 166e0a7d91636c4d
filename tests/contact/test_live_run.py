"""`pytest -m live --live`, also with `--record=live`, in a copy of the tests, with the sandbox in the place of the API."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from places import TESTS

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

LIVE = ["tests/scenarios/test_live.py", "tests/scenarios/test_cassettes.py"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("conftest.py", "support", "cassettes", "scenarios/test_live.py", "scenarios/test_cassettes.py"):
        target = tmp_path / "tests" / name
        target.parent.mkdir(exist_ok=True, parents=True)
        (shutil.copytree if (TESTS / name).is_dir() else shutil.copy)(TESTS / name, target)
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    return tmp_path


def run(clone: Path, server: Sandbox | None, *options: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MISTRAL_", "PYTEST_"))}
    if server:
        environment |= {"MISTRAL_BASE_URL": server.url, "MISTRAL_API_KEY": "a-key"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "live", *options, "-k", "not url_only", *LIVE]
    done = subprocess.run(command, check=False, cwd=clone, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.nightly
def test_the_check_runs_as_a_test_and_fails_where_an_assumption_is_contradicted(clone: Path) -> None:
    with Sandbox() as server:
        code, text = run(clone, server, "--live")
        assert (code, "1 passed" in text) == (0, True), text
        assert (server.paid, server.conversations.by_id) == (0, {})
        server.behave(Behavior(filters_metadata=False, on="list"), times=None)
        code, text = run(clone, server, "--live")
        assert (code, "1 failed" in text) == (1, True), text


@pytest.mark.nightly
def test_cassettes_are_recorded_anew(clone: Path) -> None:
    cassette = clone / "tests" / "cassettes" / "picture.yaml"
    cassette.write_text("old")
    file = io.BytesIO()
    Image.new("RGB", (16, 12), "orange").save(file, "JPEG")
    with Sandbox(behavior=Behavior(file_bytes=file.getvalue(), on="any")) as server:
        code, text = run(clone, server, "--live", "--record=live")
        assert (code, server.paid > 0) == (0, True), text
    assert "a-key" not in cassette.read_text()
    assert "/v1/conversations" in cassette.read_text()


@pytest.mark.nightly
def test_without_live_nothing_is_asked(clone: Path) -> None:
    with Sandbox() as server:
        code, text = run(clone, server)
        assert (code, "1 skipped" in text, server.requests) == (0, True, []), text
