"""The recipe and an agent run in LangGraph's own development server, whatever calls them, and do not block its loop."""

from __future__ import annotations

import asyncio
import hashlib
import json
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
AGENT = """
from langchain.agents import create_agent

from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool
from langchain_mistral_imagegen.middleware import ConfirmationMiddleware, ImagesMiddleware, PortableMessagesMiddleware

middleware = [ImagesMiddleware(show="latest"), PortableMessagesMiddleware(), ConfirmationMiddleware()]
agent = create_agent(ChatMistralConversations(tools=[]), [MistralImageGenerationTool()], middleware=middleware)
"""
WISHES = {"images": "Draw a boat.", "agent": "Use generate_image for a boat."}
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

    def assistant(self, graph: str) -> str:
        (found,) = self.post("/assistants/search", {"graph_id": graph})
        return found["assistant_id"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "recipe"
    shutil.copytree(RECIPE, folder)
    (folder / "agent.py").write_text(AGENT)
    settings = json.loads((folder / "langgraph.json").read_text())
    settings["graphs"]["agent"] = "./agent.py:agent"
    (folder / "langgraph.json").write_text(json.dumps(settings))
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


@pytest.fixture(params=["images", "agent"])
def graph(request):
    return request.param


@pytest.mark.slow
def test_schemas_say_that_images_can_be_read_and_not_written(deployment, graph):
    schemas = httpx.get(f"{deployment.url}/assistants/{deployment.assistant(graph)}/schemas").json()
    assert schemas["input_schema"]["properties"].keys() == {"messages"}
    assert schemas["output_schema"]["properties"].keys() >= {"messages", "images"}
    reference = schemas["output_schema"]["$defs"]["ImageRef"]["properties"]
    assert reference.keys() >= {"id", "status", "key", "sha256", "width", "height", "prompt"}


@pytest.mark.slow
def test_clients_cannot_write_references(deployment, graph):
    invented = {"x": {"id": "x", "status": "stored", "key": "../secret.jpg"}}
    question = {"messages": [{"role": "user", "content": "Hello."}], "images": invented}
    state = deployment.post("/runs/wait", {"assistant_id": graph, "input": question})
    assert state["messages"]
    assert not state.get("images")


@pytest.mark.slow
def test_it_is_a_tool_over_mcp(deployment, paid_before, graph):
    (tool,) = [tool for tool in deployment.mcp("tools/list")["tools"] if tool["name"] == graph]
    assert tool["inputSchema"]["required"] == ["messages"]
    assert "images" not in tool["inputSchema"]["properties"]
    question = {"messages": [{"role": "user", "content": WISHES[graph]}]}
    result = deployment.mcp("tools/call", name=graph, arguments=question)
    assert "'status': 'stored'" in result["content"][0]["text"]
    assert not result.get("isError")
    assert deployment.sandbox.paid == paid_before + 1


@pytest.mark.slow
def test_it_is_an_agent_over_a2a(deployment, paid_before, graph):
    message = {"role": "user", "parts": [{"kind": "text", "text": WISHES[graph]}], "messageId": "1"}
    call = {"jsonrpc": "2.0", "id": "1", "method": "message/send", "params": {"message": message}}
    task = deployment.post(f"/a2a/{deployment.assistant(graph)}", call)["result"]
    assert task["status"]["state"] == "completed"
    assert "image" in task["artifacts"][0]["parts"][0]["text"]
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
