"""LangGraph's JavaScript client in headless Chromium, against its development server: it reads v1 blocks."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from browser import Browser, find_browser
from engines import RAN, missing
from langgraph_server import development_server, environment_of

CLIENT = "LangGraph's JavaScript client"
AGENT = """
from langchain.agents import create_agent

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen.middleware import ImagesMiddleware

middleware = [ImagesMiddleware(public_url="/images")]
agent = create_agent(ChatMistralConversations(output_version="v1"), middleware=middleware)
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
SETTINGS = {"dependencies": ["."], "graphs": {"agent": "./agent.py:agent"}, "http": {"app": "./web.py:app"}}
PAGE = '<!doctype html><meta charset="utf-8"><body><script src="/page/bundle.js"></script>'
SCRIPT = """
import { Client } from "@langchain/langgraph-sdk";

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


@pytest.fixture
def bundle(tmp_path):
    """The script with LangGraph's client, in one file."""
    folder = tmp_path / "script"
    folder.mkdir()
    (folder / "script.js").write_text(SCRIPT)
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


def test_it_reads_v1_blocks_and_shows_the_image(bundle, sandbox, tmp_path):
    program = find_browser() or missing(CLIENT, "there is no Chromium")
    folder = tmp_path / "app"
    folder.mkdir()
    shutil.copy(bundle, folder)
    texts = {"agent.py": AGENT, "web.py": WEB, "langgraph.json": json.dumps(SETTINGS), "page.html": PAGE}
    for name, text in texts.items():
        (folder / name).write_text(text)
    with development_server(folder, environment_of(sandbox)) as (url, log), Browser(program) as browser:
        browser.open(f"{url}/page/page.html", 800, 600)
        seen = browser.eval("draw('Draw a boat.')")
        assert "BlockingError" not in log.read_text()
    assert set(seen["types"]) >= {"text", "image"}
    assert seen["widths"] == [256]
    assert seen["pieces"] > 1, "tokens came one by one"
    assert "Here is your image: a boat." in seen["text"]
    assert sandbox.paid == 1
