"""The rooms, the public names, and what importing the package costs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

import langchain_mistral_imagegen as package

PACKAGE = Path(package.__file__).parent
NAME = "langchain_mistral_imagegen"


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def users_of(*libraries: str) -> set[str]:
    """Return the modules, below the package, that import any of these libraries."""
    return {
        str(path.relative_to(PACKAGE).with_suffix(""))
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts and any(name.split(".")[0] in libraries for name in imports_of(path))
    }


def test_the_import_contracts_hold():
    """They stand in pyproject.toml: `lint-imports` explains what breaks them."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_one_room_knows_the_http_library():
    assert {user for user in users_of("httpx") if not user.startswith("_http/")} == {"chat_models/_settings"}, (
        "for the types of `http_client` only"
    )


def test_one_room_and_the_command_have_clocks_and_event_loops():
    assert {user for user in users_of("time", "asyncio") if not user.startswith(("_http/", "_cli/"))} == set()


def test_opentelemetry_is_loaded_by_one_module_and_not_before_a_turn():
    assert users_of("opentelemetry") == {"_telemetry"}
    at_import = ast.parse((PACKAGE / "_telemetry.py").read_text()).body
    assert not any(isinstance(node, ast.ImportFrom) and "opentelemetry" in str(node.module) for node in at_import)


def test_there_is_one_logger():
    sources = [path.read_text() for path in PACKAGE.rglob("*.py")]
    assert {name for source in sources for name in re.findall(r"= logging.getLogger\((.*)\)", source)} == {f'"{NAME}"'}


def test_the_public_names_are_these():
    assert sorted(package.__all__) == [
        "ApprovalNode",
        "ByteStoreImageStore",
        "ChatMistralConversations",
        "ConversationNode",
        "FsspecImageStore",
        "GeneratedImage",
        "ImageDeltaState",
        "ImageEvent",
        "ImageRef",
        "ImageState",
        "ImageStore",
        "MistralImageGenerationTool",
        "ToolFileNode",
        "__version__",
        "confirm",
        "create_image_graph",
        "images_of",
        "merge_images",
        "pending_calls",
        "route_images",
        "to_markdown",
        "to_portable_messages",
    ]
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__doc__ or name == "__version__"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Painter'"):
        package.Painter  # noqa: B018


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"langchain_core", "langgraph", "httpx", "pydantic", "fsspec", "PIL", "starlette", "rich", "mistralai"}
    heavy |= {"opentelemetry", "langsmith", "IPython"}
    assert not loaded_by(f"import {NAME}") & heavy


@pytest.mark.slow
def test_the_chat_model_needs_no_langgraph_storage_or_server():
    heavy = {"langgraph", "fsspec", "PIL", "starlette", "mistralai", "langchain"}
    assert not loaded_by(f"from {NAME} import ChatMistralConversations") & heavy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "statement", "reason"),
    [
        ("images", "from langchain_mistral_imagegen.chat_models import ChatMistralConversations", "Imports point down"),
        ("sandbox/behavior", "from langchain_mistral_imagegen import errors", "Imports point down"),
        ("sandbox/behavior", "import httpx", "The sandbox stands alone"),
        ("_protocol/entries", "import httpx", "The protocol knows"),
        ("a_new_module", "", "Imports point down"),
    ],
)
def test_a_broken_contract_is_noticed(module, statement, reason, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = tmp_path / NAME / f"{module}.py"
    text = source.read_text() if source.exists() else '"""New."""\n'
    source.write_text(f"{text}\n{statement}\n")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert reason in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "missing", "extra"),
    [
        ("import langchain_mistral_imagegen.middleware", "langchain.agents", "agent"),
        ("import langchain_mistral_imagegen.web", "starlette", "web"),
        ("import langchain_mistral_imagegen.sandbox", "starlette", "sandbox"),
        ("from langchain_mistral_imagegen import FsspecImageStore as S; S('s3://b/c').get('k')", "s3fs", "s3"),
        ("from langchain_mistral_imagegen import FsspecImageStore as S; S('gs://b/c').get('k')", "gcsfs", "gcs"),
        ("from langchain_mistral_imagegen import FsspecImageStore as S; S('abfs://b/c').get('k')", "adlfs", "azure"),
    ],
)
def test_a_missing_extra_is_named(statement, missing, extra):
    code = f"import sys; sys.modules[{missing!r}] = None; {statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1].endswith(f"pip install 'langchain-mistral-imagegen[{extra}]'")
