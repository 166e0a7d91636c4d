"""The fixture `mistral_sandbox`, for tests of programs that use this package; pytest finds it by itself.

Nothing is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from langchain_mistral_imagegen.sandbox import Sandbox


@pytest.fixture
def mistral_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """Run a sandbox, and point Mistral's environment variables to it during the test.

    It sets `MISTRAL_API_KEY`, `MISTRAL_BASE_URL` and `MISTRAL_IMAGEGEN_STORE` (a folder below `tmp_path`). They are
    read when a model, tool or node is made: what is made while a module is imported is too early.
    """
    from langchain_mistral_imagegen.sandbox import Sandbox  # noqa: PLC0415  # only those who test with it pay for it

    with Sandbox() as sandbox:
        monkeypatch.setenv("MISTRAL_API_KEY", "sandbox")
        monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
        monkeypatch.setenv("MISTRAL_IMAGEGEN_STORE", str(tmp_path / "generated_images"))
        yield sandbox
