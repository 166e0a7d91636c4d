"""The chat app of the guide, served by uvicorn: as a program reads it, and in headless Chromium."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys

import httpx
import pytest
from browser import Browser, find_browser
from documents import fences, guide

pytestmark = pytest.mark.slow
WISH = "Use generate_image for an orange cat."


@pytest.fixture
def app(sandbox, tmp_path, monkeypatch):
    for name in ("app.py", "page.html"):
        (tmp_path / name).write_text(
            fences(guide("chat_app"), f"{name.rpartition('.')[2].replace('py', 'python')} {name}")[0]
        )
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connections wait in it until the app is there
        command = [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(listener.fileno()), "--log-level", "error"]
        with subprocess.Popen(command, cwd=tmp_path, pass_fds=[listener.fileno()]) as server:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.kill()


def events(url, **body):
    with httpx.stream("POST", url, json=body, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line]


def of_kind(found, kind):
    return [one["data"] for one in found if one["kind"] == kind]


def test_tokens_progress_approval_and_images_by_url(app, sandbox):
    stopped = events(f"{app}/chat/1", text=WISH)
    ((request,),) = of_kind(stopped, "approve")
    assert (request["name"], sandbox.paid) == ("generate_image", 0)
    done = events(f"{app}/chat/1", decisions=[{"type": "approve"}])
    assert of_kind(done, "progress")[:1] == ["mistral.image.generating"]
    assert "mistral.image.stored" in of_kind(done, "progress")
    assert len(of_kind(done, "token")) > 1
    (ref,) = of_kind(done, "image")
    assert re.fullmatch(r"/images/[0-9a-f]{2}/[0-9a-f]{64}\.jpg", ref["url"])
    assert len(httpx.get(f"{app}{ref['url']}").content) == ref["size_bytes"]
    assert sandbox.paid == 1


def test_nothing_is_paid_for_what_was_rejected(app, sandbox):
    events(f"{app}/chat/1", text=WISH)
    done = events(f"{app}/chat/1", decisions=[{"type": "reject"}])
    assert (of_kind(done, "image"), sandbox.paid) == ([], 0)


def test_a_browser_shows_the_image(app, sandbox):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here")
    httpx.get(app, timeout=60).raise_for_status()  # the app is there
    with Browser(program) as browser:
        browser.open(f"{app}/", 800, 600)
        browser.eval(f"send({{text: {json.dumps(WISH)}}})")
        assert browser.eval(
            "[...document.querySelectorAll('#buttons button')].map(one => one.textContent.split(':')[0])"
        ) == [
            "approve",
            "reject",
        ]
        browser.eval("document.querySelector('#buttons button').onclick()")
        assert browser.eval(
            "Promise.all([...document.images].map(async one => (await one.decode(), one.naturalWidth)))"
        ) == [512]
        assert "mistral.image.stored" in browser.eval("document.getElementById('progress').textContent")
        assert "orange cat" in browser.eval("document.getElementById('words').textContent")
    assert sandbox.paid == 1
