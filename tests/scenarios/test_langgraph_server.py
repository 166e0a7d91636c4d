"""The recipe runs in LangGraph's own development server, whatever calls it, and does not block its event loop."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from blockbuster import blockbuster_ctx
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client, get_sync_client
from langgraph_server import development_server, environment_of
from places import COOKBOOK

from langchain_mistral_imagegen import create_image_graph, images_of
from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

RECIPE = COOKBOOK / "langgraph_server"
QUESTION = {"messages": [("user", "Draw a boat.")]}
THREAD = {"configurable": {"thread_id": "1"}}


@dataclass
class Deployment:
    """The recipe in a running server, and the sandbox that it talks to."""

    url: str
    log: Path
    folder: Path
    sandbox: Sandbox

    def post(self, path: str, body: Any) -> Any:
        kinds = {"accept": "application/json, text/event-stream"}
        return httpx.post(f"{self.url}{path}", json=body, headers=kinds, timeout=60).raise_for_status().json()

    def mcp(self, method: str, **params: Any) -> Any:
        return self.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})["result"]

    @property
    def assistant(self) -> str:
        return self.post("/assistants/search", {})[0]["assistant_id"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "recipe"
    shutil.copytree(RECIPE, folder)
    with Sandbox() as sandbox, development_server(folder, environment_of(sandbox)) as (url, log):
        yield Deployment(url, log, folder, sandbox)
        assert "BlockingError" not in log.read_text()


@pytest.fixture
def paid_before(deployment):
    return deployment.sandbox.paid


@pytest.mark.slow
def test_an_image_is_drawn_once_reported_and_served(deployment, paid_before):
    done = subprocess.run(
        [sys.executable, "-W", "error", deployment.folder / "client.py"],
        env={**environment_of(deployment.sandbox), "LANGGRAPH_URL": deployment.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), deployment.log.read_text()
    *events, shown, hashed = done.stdout.splitlines()
    assert events == [f"mistral.image.{kind}" for kind in ("generating", "generated", "download", "stored")]
    digest = hashed.removeprefix("sha256 ")
    (image,) = deployment.folder.rglob(f"{digest}.jpg")
    assert digest == hashlib.sha256(image.read_bytes()).hexdigest()
    assert shown == f"{deployment.url}/images/{digest[:2]}/{digest}.jpg image/jpeg 1024x768 pixels"
    assert deployment.sandbox.paid == paid_before + 1


@pytest.mark.slow
def test_schemas_say_that_images_can_be_read_and_not_written(deployment):
    schemas = httpx.get(f"{deployment.url}/assistants/{deployment.assistant}/schemas").json()
    assert schemas["input_schema"]["properties"].keys() == {"messages"}
    assert schemas["output_schema"]["properties"].keys() >= {"messages", "images"}
    reference = schemas["output_schema"]["$defs"]["ImageRef"]["properties"]
    assert reference.keys() >= {"id", "status", "key", "sha256", "width", "height", "prompt"}


@pytest.mark.slow
def test_clients_cannot_write_references(deployment):
    invented = {"x": {"id": "x", "status": "stored", "key": "../secret.jpg"}}
    question = {"messages": [{"role": "user", "content": "Hello."}], "images": invented}
    state = deployment.post("/runs/wait", {"assistant_id": "images", "input": question})
    assert not state.get("images")


@pytest.mark.slow
def test_it_is_a_tool_over_mcp(deployment, paid_before):
    (tool,) = deployment.mcp("tools/list")["tools"]
    assert (tool["name"], tool["inputSchema"]["required"]) == ("images", ["messages"])
    result = deployment.mcp(
        "tools/call", name="images", arguments={"messages": [{"role": "user", "content": "Draw a boat."}]}
    )
    assert "'status': 'stored'" in result["content"][0]["text"]
    assert not result.get("isError")
    assert deployment.sandbox.paid == paid_before + 1


@pytest.mark.slow
def test_it_is_an_agent_over_a2a(deployment, paid_before):
    message = {"role": "user", "parts": [{"kind": "text", "text": "Draw a boat."}], "messageId": "1"}
    call = {"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": message}}
    task = deployment.post(f"/a2a/{deployment.assistant}", call)["result"]
    assert task["status"]["state"] == "completed"
    assert task["artifacts"][0]["parts"][0]["text"].startswith("Here is your image: a boat.")
    assert deployment.sandbox.paid == paid_before + 1


@pytest.mark.slow
async def test_it_is_a_remote_graph(deployment, paid_before, face):
    question = {"messages": [{"role": "user", "content": "Draw a boat."}]}
    async with get_client(url=deployment.url) as client:
        with get_sync_client(url=deployment.url) as sync_client:
            graph = RemoteGraph("images", client=client, sync_client=sync_client)
            state = await face.call(graph, "invoke", question)
    (reference,) = state["images"].values()
    assert [ref["id"] for ref in images_of(state["messages"])] == [reference["id"]]  # its messages are dicts
    assert reference["status"] == "stored"
    assert deployment.sandbox.paid == paid_before + 1


async def drawn(model, folder, cancel_after: float | None = None):
    """Draw where blocking calls on the event loop are errors, as in the development server."""
    graph = create_image_graph(model, image_store=str(folder)).compile(checkpointer=InMemorySaver())
    with blockbuster_ctx():
        async with asyncio.timeout(cancel_after):
            return await graph.ainvoke(QUESTION, THREAD)


def files_in(folder: Path) -> set[str]:
    return {path.suffix or path.name for path in folder.rglob("*") if path.is_file()}


async def test_nodes_do_not_block(model, tmp_path):
    state = await drawn(model, tmp_path / "s")
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]


async def test_a_cut_download_does_not_block_and_leaves_nothing(model, sandbox, tmp_path):
    sandbox.behave(Behavior(on="download", cut_after=100))
    state = await drawn(model, tmp_path / "s")
    (ref,) = state["images"].values()
    assert ref["error"].startswith("APIConnectionError: ")
    assert files_in(tmp_path / "s") == {".json"}


@pytest.mark.slow
async def test_a_cancelled_download_does_not_block_and_leaves_nothing(model, sandbox, tmp_path):
    sandbox.behavior = Behavior(on="any", file_size=2_000_000, pace=0.3)
    with pytest.raises(TimeoutError):
        await drawn(model, tmp_path / "s", cancel_after=1.5)
    assert sandbox.paid == 1
    assert files_in(tmp_path / "s") == {".json"}
