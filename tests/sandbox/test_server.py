"""The server around the API: starting, stopping, recording, keys, quotas and rude clients."""

import asyncio
import dataclasses
import json
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

KEY = {"Authorization": "Bearer secret"}
DRAW = {"model": "m", "tools": [{"type": "image_generation"}], "inputs": "Draw a cat."}


def post(sandbox, body, **headers):
    return httpx.post(f"{sandbox.url}/v1/conversations", json=body, headers={**KEY, **headers})


def test_port_is_free_after_the_block():
    with Sandbox() as running:
        port = int(running.url.rpartition(":")[2])
        assert running.url == f"http://127.0.0.1:{port}"
    with Sandbox(port=port) as again:
        assert again.url == running.url
        assert post(again, {"model": "m", "inputs": "Hi"}).status_code == 200


def test_taken_port_is_an_os_error():
    with Sandbox() as running, pytest.raises(OSError), Sandbox(port=int(running.url.rpartition(":")[2])):
        pass


def test_block_ends_at_once_despite_open_connections_and_a_hanging_answer():
    with httpx.Client() as idle, socket.socket() as silent:
        with Sandbox(behavior=Behavior(delay=60)) as running:
            idle.get(f"{running.url}/v1/nothing")
            silent.connect(("127.0.0.1", int(running.url.rpartition(":")[2])))
            body = json.dumps(DRAW).encode()
            head = (
                f"POST /v1/conversations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"
            )
            silent.sendall(head.encode() + b"\r\n\r\n" + body)
            before = time.perf_counter()
        assert time.perf_counter() - before < 1


def test_block_ends_at_once_despite_a_hanging_stream():
    with httpx.Client() as client, Sandbox() as running:
        headers = {**KEY, "x-sandbox-behavior": '{"pace": 60}'}
        request = client.build_request(
            "POST", f"{running.url}/v1/conversations", json=DRAW | {"stream": True}, headers=headers
        )
        response = client.send(request, stream=True)
        assert response.status_code == 200
        before = time.perf_counter()
        running.__exit__(None, None, None)
        assert time.perf_counter() - before < 1
        response.close()


def test_requests_are_recorded_without_the_key(sandbox):
    post(sandbox, {"model": "m", "inputs": "Hi"}, **{"X-Extra": "1"})
    (request,) = sandbox.requests
    assert (request.method, request.path, request.status) == ("POST", "/v1/conversations", 200)
    assert request.json == {"model": "m", "inputs": "Hi"}
    assert (request.headers["authorization"], request.headers["x-extra"]) == ("***", "1")
    assert "secret" not in repr(request)
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.status = 500


def test_refused_requests_are_recorded_with_their_status_and_query(sandbox):
    httpx.get(f"{sandbox.url}/v1/conversations", params={"page": 1})
    assert [(r.path, r.query, r.status) for r in sandbox.requests] == [("/v1/conversations", {"page": "1"}, 401)]


def test_unknown_routes_are_recorded_too(sandbox):
    httpx.post(f"{sandbox.url}/v1/images/generations", json={}, headers=KEY)
    assert [request.status for request in sandbox.requests] == [404]


def test_quota_of_the_minute_recovers():
    now = [0.0]
    with Sandbox(images_per_minute=2, clock=lambda: now[0]) as running:
        first, second, refused = (post(running, DRAW) for _ in range(3))
        assert first.headers["X-Ratelimit-Limit-Image-Generation-Minute"] == "2"
        assert second.headers["X-Ratelimit-Remaining-Image-Generation-Minute"] == "0"
        assert (refused.status_code, refused.json()) == (429, {"detail": "image_generation rate limit reached."})
        assert refused.headers["X-Ratelimit-Limit-Image-Generation-Minute"] == "2"
        assert running.paid == 2
        now[0] += 61
        assert post(running, DRAW).status_code == 200


def test_refused_image_leaves_no_trace_in_the_conversation():
    with Sandbox(images_per_minute=1) as running:
        first = post(running, DRAW).json()
        path = f"{running.url}/v1/conversations/{first['conversation_id']}"
        assert httpx.post(path, json={"inputs": "Draw a dog."}, headers=KEY).status_code == 429
        assert len(running.entries(first["conversation_id"])) == 3


def test_entries_are_a_copy(sandbox):
    conversation_id = post(sandbox, {"model": "m", "inputs": "Hi"}).json()["conversation_id"]
    sandbox.entries(conversation_id)[0]["content"] = "changed"
    assert sandbox.entries(conversation_id)[0]["content"] == "Hi"


def test_entries_of_an_unknown_conversation_are_a_key_error(sandbox):
    with pytest.raises(KeyError):
        sandbox.entries("conv_unknown")


async def test_many_images_at_once_are_all_counted(sandbox):
    async with httpx.AsyncClient(headers=KEY, timeout=30) as client:
        requests = [client.post(f"{sandbox.url}/v1/conversations", json=DRAW | {"inputs": f"Draw {n} cats."})
                    for n in range(40)]  # fmt: skip
        answers = await asyncio.gather(*requests)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["conversation_id"] for answer in answers}) == sandbox.paid == 40


def test_client_that_hangs_up_makes_no_noise(sandbox, capfd):
    with httpx.Client(headers=KEY) as client:
        request = client.build_request("POST", f"{sandbox.url}/v1/conversations", json=DRAW | {"stream": True},
                                       headers={"x-sandbox-behavior": '{"pace": 0.01}'})  # fmt: skip
        client.send(request, stream=True).close()
        cut = {**DRAW, "stream": True}
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(f"{sandbox.url}/v1/conversations", json=cut, headers={"x-sandbox-behavior": '{"cut_after": 1}'})
        assert client.get(f"{sandbox.url}/v1/files").status_code == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "body",
    [
        [], "Draw", {}, {"inputs": None}, {"inputs": [1, {"role": "user"}]}, {"inputs": [{"role": "user", "content": 1}]},
        {"messages": [{"role": "assistant", "content": "Hi"}]},
    ],
)  # fmt: skip
def test_malformed_requests_are_no_prompts(body):
    with Sandbox() as sandbox:
        assert post(sandbox, body).status_code == 422
        post(sandbox, {**DRAW, "inputs": [{"role": "user", "content": [1, {"type": "text", "text": "Draw."}]}]})
        assert sandbox.prompts == ["Draw."]


def test_sandbox_is_not_left_behind_as_a_thread():
    with Sandbox():
        pass
    assert "mistral-sandbox" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("module", ["uvicorn", "starlette", "PIL"])
def test_missing_dependency_names_the_extra(module):
    program = f"import sys; sys.modules[{module!r}] = None\nimport langchain_mistral_imagegen.sandbox"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'langchain-mistral-imagegen[sandbox]'" in result.stderr


def test_sandbox_imports_nothing_of_the_package_and_no_langchain():
    # What `import langchain_mistral_imagegen` itself brings in is that module's affair.
    program = (
        "import sys, langchain_mistral_imagegen\nbefore = set(sys.modules)\n"
        "import langchain_mistral_imagegen.sandbox\n"
        "new = [m for m in set(sys.modules) - before if m.startswith(('lang', 'httpx', 'pydantic'))]\n"
        "print([m for m in new if not m.startswith('langchain_mistral_imagegen.sandbox')])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
