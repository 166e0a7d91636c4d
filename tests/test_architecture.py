"""The floors, the public names, and what importing the package costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_mistral_imagegen as package

ROOT = Path(package.__file__).parent
FLOORS = (
    {"_version", "errors", "pytest_plugin"},
    {"images", "_names"},
    {"image_state"},
    {"_progress", "_graph_node"},
    {"stream_transformer"},
    {"_signed_urls", "_half_characters", "_sse", "_connections", "stores"},
    {"_wire"},
    {"_protocol", "_events", "_resources", "_picture_file"},
    {"_retry", "_native_blocks", "_inline_pictures"},
    {"_flows", "_event_blocks", "_spans"},
    {"_answers", "_downloads", "_tool_schemas", "_structured_output", "api", "costs"},
    {"_content_blocks", "_client", "_agents"},
    {"confirmations"},
    {"_inputs"},
    {"_turns"},
    {"_continuation", "_completions", "_remote_history"},
    {"_reconcile"},
    {"_transports", "_model_settings"},
    {"_references"},
    {"chat_models", "portable", "garbage", "tracing"},
    {"tools", "tool_file_node", "approvals", "conversation_node", "middleware", "web", "notebook"},
    {"image_graph"},
    {
        "_report",
        "_cli_arguments",
        "_cli_prompts",
        "_cli_manifest",
        "_cli_session",
        "_cli_entries",
        "_cli_preview",
        "_cli_page",
    },
    {"_cli_batch_report"},
    {"_cli_draw", "_cli_batch", "_cli_show", "_cli_agents", "_cli_completion", "_cli_gallery"},
    {"_cli"},
    {"__init__", "__main__"},
)
LEVEL = {module: level for level, modules in enumerate(FLOORS) for module in modules}
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


def ours(path: Path) -> set[str]:
    parts = [name.split(".") for name in imports_of(path) if name.startswith(f"{NAME}.")]
    return {part[1] for part in parts} & {*LEVEL, "sandbox"}


def test_every_module_has_a_floor():
    assert {path.stem for path in ROOT.glob("*.py")} == set(LEVEL)


@pytest.mark.parametrize("module", sorted(set(LEVEL) - {"__init__"}))
def test_imports_point_down(module):
    upward = {name for name in ours(ROOT / f"{module}.py") - {module} if LEVEL.get(name, -1) >= LEVEL[module]}
    assert upward == set()


def test_only_the_client_knows_the_http_library():
    users = {path.stem for path in ROOT.glob("*.py") if any(name.split(".")[0] == "httpx" for name in imports_of(path))}
    assert users == {"_client", "_connections", "_model_settings"}, "the last for the types of `http_client` only"


def test_only_the_client_and_the_command_have_clocks_and_event_loops():
    users = {path.stem for path in ROOT.glob("*.py") if imports_of(path) & {"time", "asyncio"}}
    assert {user for user in users if not re.match("_cli(_|$)", user)} == {"_client", "_connections"}


def test_opentelemetry_is_loaded_by_spans_alone_and_not_before_a_turn():
    users = {path.stem for path in ROOT.glob("*.py") if any("opentelemetry" in name for name in imports_of(path))}
    assert users == {"_spans"}
    at_import = ast.parse((ROOT / "_spans.py").read_text()).body
    assert not any(isinstance(node, ast.ImportFrom) and "opentelemetry" in str(node.module) for node in at_import)


def test_there_is_one_logger():
    named = {
        name for path in ROOT.glob("*.py") for name in re.findall(r"= logging.getLogger\((.*)\)", path.read_text())
    }
    assert named == {f'"{NAME}"'}


def test_the_sandbox_shares_nothing_with_the_package():
    for path in (ROOT / "sandbox").glob("*.py"):
        foreign = {
            name for name in imports_of(path) if name.startswith(NAME) and not name.startswith(f"{NAME}.sandbox")
        }
        assert foreign == set(), path.name
        assert not any(name.startswith(("langchain_core", "langgraph", "mistralai")) for name in imports_of(path))


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


def test_the_chat_model_needs_no_langgraph_storage_or_server():
    heavy = {"langgraph", "fsspec", "PIL", "starlette", "mistralai", "langchain"}
    assert not loaded_by(f"from {NAME} import ChatMistralConversations") & heavy
