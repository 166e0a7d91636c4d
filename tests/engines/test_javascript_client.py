"""LangGraph's JavaScript client in headless Chromium, against its development server: v1 blocks, and approval buttons."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_browser
from documents import fences, guide
from engines import RAN, missing
from langgraph_server import development_server, environment_of

from langchain_mistral_imagegen.sandbox import Sandbox

CLIENT = "LangGraph's JavaScript client"
AGENT = """
from langchain.agents import create_agent

from langchain_mistral_imagegen import ChatMistralConversations, create_image_graph
from langchain_mistral_imagegen.middleware import ConfirmationMiddleware, ImagesMiddleware

images = ImagesMiddleware(public_url="/images")
agent = create_agent(ChatMistralConversations(output_version="v1"), middleware=[images])

configuration = {"requires_confirmation": ["generate_image", "edit_image"]}
careful = ChatMistralConversations(tools=[{"type": "image_generation", "tool_configuration": configuration}])
confirmed = create_agent(careful, middleware=[ConfirmationMiddleware(), images])
approved = create_image_graph(ChatMistralConversations(), approve=True, public_url="/images").compile()
"""
WEB = """
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from langchain_mistral_imagegen.web import image_routes


def file(request):
    return FileResponse(request.path_params["name"])


app = Starlette(routes=[Route("/page/{name}", file), *image_routes()])
"""
GRAPHS = {name: f"./agent.py:{name}" for name in ("agent", "confirmed", "approved")}
SETTINGS = {"dependencies": ["."], "graphs": GRAPHS, "http": {"app": "./web.py:app"}}
PAGE = '<!doctype html><meta charset="utf-8"><body><script src="/page/bundle.js"></script>'
SCRIPT = """
import { Client } from "@langchain/langgraph-sdk";
import { start } from "./chat.js";

window.start = start;
window.draw = async text => {
  const client = new Client({ apiUrl: location.origin });
  const { thread_id } = await client.threads.create();
  const run = { input: { messages: [{ role: "user", content: text }] }, streamMode: ["messages-tuple", "values"] };
  let state, pieces = 0;
  for await (const { event, data } of client.runs.stream(thread_id, "agent", run)) {
    if (event === "messages") pieces += data[0].content.filter?.(block => block.type === "text").length ?? 0;
    if (event === "values") state = data;
  }
  const blocks = state.messages.at(-1).content;
  for (const block of blocks) {
    if (block.type === "text") document.body.append(block.text);
    if (block.type === "image") {
      const image = Object.assign(new Image(), { src: state.images[block.file_id].url + "?w=256" });
      document.body.append(image);
      await image.decode();
    }
  }
  const widths = [...document.images].map(image => image.naturalWidth);
  return { types: blocks.map(block => block.type), widths, pieces, text: document.body.textContent };
};
"""


WIDTHS = "Promise.all([...document.images].map(async one => (await one.decode(), one.naturalWidth)))"
BUTTONS = "[...document.querySelectorAll('button')]"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The scripts with LangGraph's client, in one file."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "script.js").write_text(SCRIPT)
    (folder / "chat.js").write_text(fences(guide("chat_app"), "js chat.js")[0])
    (folder / "package.json").write_text("{}")
    if shutil.which("npm") is None:
        missing(CLIENT, "there is no npm")
    packages = ["@langchain/langgraph-sdk@1", "esbuild@0"]
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", *packages]
    try:
        subprocess.run(install, cwd=folder, check=True, timeout=60, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        missing(CLIENT, f"npm did not install it: {error}")
    build = [folder / "node_modules/.bin/esbuild", "script.js", "--bundle", "--outfile=bundle.js", "--log-level=error"]
    subprocess.run(build, cwd=folder, check=True, timeout=60)
    package = json.loads((folder / "node_modules/@langchain/langgraph-sdk/package.json").read_text())
    RAN[CLIENT] = package["version"]
    return folder / "bundle.js"


@dataclass
class Deployment:
    """The graphs in a running server."""

    url: str
    log: Path
    sandbox: Sandbox


@pytest.fixture(scope="module")
def deployment(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "app"
    folder.mkdir()
    shutil.copy(bundle, folder)
    texts = {"agent.py": AGENT, "web.py": WEB, "langgraph.json": json.dumps(SETTINGS), "page.html": PAGE}
    for name, text in texts.items():
        (folder / name).write_text(text)
    with Sandbox() as sandbox, development_server(folder, environment_of(sandbox)) as (url, log):
        yield Deployment(url, log, sandbox)


@dataclass
class Page:
    """The page in a browser, and what it made the sandbox draw."""

    browser: Browser
    deployment: Deployment
    paid_before: int

    @property
    def paid(self) -> int:
        return self.deployment.sandbox.paid - self.paid_before

    def run(self, script: str) -> Any:
        return self.browser.eval(script)


@pytest.fixture
def page(deployment):
    program = find_browser() or missing(CLIENT, "there is no Chromium")
    with Browser(program) as browser:
        browser.open(f"{deployment.url}/page/page.html", 800, 600)
        yield Page(browser, deployment, deployment.sandbox.paid)
    assert "BlockingError" not in deployment.log.read_text()


def test_it_reads_v1_blocks_and_shows_the_image(page):
    seen = page.run("draw('Draw a boat.')")
    assert set(seen["types"]) >= {"text", "image"}
    assert seen["widths"] == [256]
    assert seen["pieces"] > 1, "tokens came one by one"
    assert "Here is your image: a boat." in seen["text"]
    assert page.paid == 1


@pytest.mark.parametrize("graph", ["confirmed", "approved"])
def test_buttons_decide_over_an_image(page, graph):
    page.run(f"start({graph!r}, 'Draw a boat.')")
    offered = page.run(f"{BUTTONS}.map(one => one.textContent)")
    assert [text.split(": ")[0] for text in offered] == ["approve", "reject"]
    assert all("boat" in text for text in offered)
    assert (page.run(WIDTHS), page.paid) == ([], 0)
    page.run(f"{BUTTONS}[0].onclick()")
    assert (page.run(WIDTHS), page.paid) == ([256], 1)
    assert page.run(f"{BUTTONS}.length") == 0


@pytest.mark.parametrize("graph", ["confirmed", "approved"])
def test_a_rejected_image_is_not_paid_for(page, graph):
    page.run(f"start({graph!r}, 'Draw a boat.')")
    page.run(f"{BUTTONS}[1].onclick()")
    assert (page.run(WIDTHS), page.run(f"{BUTTONS}.length"), page.paid) == ([], 0, 0)
