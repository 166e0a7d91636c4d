"""What the sandbox refuses, and how it misbehaves when asked to."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import subprocess
import sys
import time
from itertools import pairwise

import httpx
import pytest
from cli_process import stop
from PIL import Image

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

TOOLS = [{"type": "image_generation"}]
CAT = {"model": "m", "inputs": "Generate an orange cat in an office.", "tools": TOOLS}


def start(http, **body):
    return http.post("/v1/conversations", json={**CAT, **body})


def url_of(answer):
    execution = next(entry for entry in answer["outputs"] if entry["type"] == "tool.execution")
    return json.loads(execution["info"]["result"])["url"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"size": "1024x1024"}, 422, "extra_forbidden"),
        ({"inputs": []}, 422, "inputs is required"),
        ({"agent_id": "ag_1"}, 422, "Exactly one of"),
        ({"model": None}, 422, "Exactly one of"),
        ({"handoff_execution": "server"}, 422, "only for agents"),
        ({"completion_args": {"temperature": 1.5}}, 422, "less than or equal to 1"),
        ({"completion_args": {"tool_choice": "maybe"}}, 422, "Input should be 'auto', 'none' or 'required'"),
        ({"completion_args": {"tool_choice": "required"}}, 422, "when using built in connectors"),
        ({"completion_args": {"top_k": 3}}, 422, "extra_forbidden"),
        ({"tools": [{"type": "image_generation", "size": "1x1"}]}, 422, "extra_forbidden"),
        ({"tools": [{"type": "web_search"}, {"type": "web_search_premium"}]}, 422, "Can't add web_search"),
        ({"tools": [{"type": "telepathy"}]}, 422, "union_tag_invalid"),
        ({"inputs": [{"role": "system", "content": "x"}]}, 422, "'user' or 'assistant'"),
        ({"model": "codestral-latest"}, 400, "3004"),
        ({"model": None, "agent_id": "ag_1", "tools": None, "completion_args": {"top_p": 1}}, 400, "3001"),
        ({"model": None, "agent_id": "ag_1", "tools": None}, 404, "3000"),
    ],
)
def test_bad_requests_are_refused_as_mistral_refuses_them(http, sandbox, body, status, text):
    response = start(http, **body)
    assert (response.status_code, text in response.text) == (status, True)
    assert sandbox.paid == 0


def test_unknown_routes_and_ids_are_404(http):
    assert "no Route matched" in http.post("/v1/images/generations", json={}).text
    assert http.post("/v1/conversations/conv_1", json={"inputs": "x"}).json()["code"] == 3000
    assert http.get("/v1/files/nothing/content").status_code == 404


def test_keys_are_checked():
    with Sandbox(api_key="right") as sandbox, httpx.Client(base_url=sandbox.url) as http:
        assert http.get("/v1/agents").json() == {"detail": "Unauthorized"}
        wrong = http.get("/v1/agents", headers={"authorization": "Bearer wrong"})
        assert (wrong.status_code, wrong.json()) == (401, {"detail": "Invalid API Key"})
        assert http.get("/v1/agents", headers={"authorization": "Bearer right"}).json() == []
        assert "wrong" not in str(sandbox.requests)


def test_a_signed_url_works_without_a_key_and_only_with_its_signature(http, sandbox):
    url = url_of(start(http).json())
    assert httpx.get(url).content.startswith(b"\xff\xd8\xff")
    assert httpx.get(re.sub("sig=.*", "sig=x", url)).status_code == 403
    assert http.get(url).status_code == 400, "a key must not be sent there"


def test_signed_urls_expire_with_the_clock():
    time = [1_000_000.0]
    with Sandbox(clock=lambda: time[0]) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        http.headers["authorization"] = "Bearer k"
        url = url_of(start(http).json())
        assert httpx.get(url).status_code == 200
        time[0] += 3601
        refused = httpx.get(url)
        assert (refused.status_code, "AuthenticationFailed" in refused.text) == (403, True)


def test_a_file_is_jpeg_labelled_png_and_sent_without_its_length(http):
    chunk = start(http).json()["outputs"][-1]["content"][-1]
    response = http.get(f"/v1/files/{chunk['file_id']}/content")
    assert chunk["file_type"] == "png"
    assert response.content.startswith(b"\xff\xd8\xff")
    assert response.headers["content-type"] == "application/octet-stream"
    assert "content-length" not in response.headers


def test_shape_b_has_no_file_and_shape_c_no_execution(http, sandbox):
    sandbox.behave(Behavior(shape="url"))
    execution, message = start(http).json()["outputs"]
    assert isinstance(message["content"], str)
    assert "url" in execution["info"]["result"]
    sandbox.behave(Behavior(shape="markdown"))
    (message,) = start(http).json()["outputs"]
    assert re.search(r"!\[.*\]\(http.*sig=.*\)", message["content"])
    assert http.get("/v1/files").json()["data"] == []


def test_failed_attempts_are_entries_and_count_as_calls(http, sandbox):
    sandbox.behave(Behavior(tool_timeouts=2))
    answer = start(http).json()
    results = [entry["info"]["result"] for entry in answer["outputs"] if entry["type"] == "tool.execution"]
    assert results[:2] == ["Tool call timed out. Please try again."] * 2
    assert answer["usage"]["connectors"] == {"image_generation": 3}
    assert sandbox.paid == 1


def test_quotas_count_images_and_report_what_is_left():
    time = [1_000_000.0]
    with Sandbox(images_per_minute=2, images_per_day=3, clock=lambda: time[0]) as sandbox:
        http = httpx.Client(base_url=sandbox.url, headers={"authorization": "Bearer k"})
        with http:
            left = [start(http).headers["x-ratelimit-remaining-image-generation-minute"] for _ in range(2)]
            refused = start(http)
            time[0] += 61
            assert start(http).status_code == 200
            time[0] += 61
            exhausted = start(http)
    assert left == ["1", "0"]
    assert (refused.status_code, refused.json()) == (429, {"detail": "image_generation rate limit reached."})
    assert exhausted.headers["x-ratelimit-remaining-image-generation-day"] == "0"
    assert sandbox.paid == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 502, 503])
def test_any_status_can_be_asked_for(http, sandbox, status):
    sandbox.behave(Behavior(status=status, headers={"retry-after": "7"}))
    response = start(http)
    assert (response.status_code, response.headers["retry-after"]) == (status, "7")
    assert len(response.text) > 10
    assert start(http).status_code == 200, "only once"


def test_streams_can_be_cut_or_fail(http, sandbox):
    sandbox.behave(Behavior(cut_after=3))
    with pytest.raises(httpx.RemoteProtocolError):
        start(http, stream=True)
    sandbox.behave(Behavior(error_after=3))
    body = start(http, stream=True).text
    assert body.count("event: ") == 4
    assert "conversation.response.error" in body
    assert "response.done" not in body


def test_downloads_can_be_cut_and_replaced(http, sandbox):
    sandbox.behave(Behavior(file_bytes=b"x" * 1000))
    path = f"/v1/files/{start(http).json()['outputs'][-1]['content'][-1]['file_id']}/content"
    assert http.get(path).content == b"x" * 1000
    sandbox.behave(Behavior(on="download", cut_after=10))
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(path)


def test_drawings_can_be_padded_to_a_size(http, sandbox):
    sandbox.behave(Behavior(file_size=2_000_000))
    file_id = start(http).json()["outputs"][-1]["content"][-1]["file_id"]
    data = http.get(f"/v1/files/{file_id}/content").content
    assert len(data) == 2_000_000
    assert Image.open(io.BytesIO(data)).size == (1024, 768)


@pytest.mark.parametrize(
    ("framing", "found"),
    [("crlf", "\r\n\r\n"), ("comments", ": ping\n"), ("done", "data: [DONE]\n\n"), ("no_event_line", "data: {")],
)
def test_events_can_be_framed_otherwise(http, sandbox, framing, found):
    sandbox.behave(Behavior(framing=framing))
    body = start(http, stream=True).text
    assert found in body
    assert ("event: " in body) == (framing != "no_event_line")


def test_a_behavior_can_come_with_a_request_or_a_conversation(http):
    by_header = http.post("/v1/conversations", json=CAT, headers={"x-sandbox-behavior": '{"status": 500}'})
    assert by_header.status_code == 500
    kept = start(http, metadata={"sandbox": '{"text": "Always this."}'}).json()
    again = http.post(f"/v1/conversations/{kept['conversation_id']}", json={"inputs": "Hello"}).json()
    assert again["outputs"][-1]["content"] == "Always this."
    wrong = http.post("/v1/conversations", json=CAT, headers={"x-sandbox-behavior": '{"shap": "url"}'})
    assert (wrong.status_code, "shape" in wrong.text) == (400, True)


def test_a_restart_can_exclude_its_entry(http, sandbox):
    first = start(http).json()
    sandbox.behave(Behavior(restart_inclusive=False))
    body = {"from_entry_id": first["outputs"][-1]["id"], "inputs": "Hello"}
    again = http.post(f"/v1/conversations/{first['conversation_id']}/restart", json=body).json()
    kinds = [entry["type"] for entry in sandbox.entries(again["conversation_id"])]
    assert kinds == ["message.input", "tool.execution", "message.input", "message.output"]


def test_a_restart_includes_its_entry_though_nothing_was_appended(http, sandbox):
    first = start(http).json()
    body = {"from_entry_id": first["outputs"][-1]["id"], "inputs": "Hello"}
    again = http.post(f"/v1/conversations/{first['conversation_id']}/restart", json=body).json()
    kept = sandbox.entries(again["conversation_id"])
    assert again["conversation_id"] != first["conversation_id"]
    assert [entry["id"] for entry in kept[1:3]] == [entry["id"] for entry in first["outputs"]]
    assert [entry["id"] for entry in kept[4:]] == [entry["id"] for entry in again["outputs"]]


def colours(http, prompt):
    file_id = start(http, inputs=prompt).json()["outputs"][-1]["content"][-1]["file_id"]
    image = Image.open(io.BytesIO(http.get(f"/v1/files/{file_id}/content").content)).crop((400, 180, 660, 640))
    return image.resize((1, 1)).getpixel((0, 0))


@pytest.mark.parametrize(
    ("prompt", "order"),
    [
        ("Generate an orange cat in an office.", "rgb"),
        ("Dessine un chat bleu dans un bureau.", "bgr"),
        ("Zeichne ein rotes Haus.", "rgb"),
    ],
)
def test_the_prompt_decides_the_colours(http, prompt, order):
    channels = dict(zip("rgb", colours(http, prompt), strict=True))
    assert all(channels[more] > channels[less] for more, less in pairwise(order))


def test_the_same_prompt_gives_the_same_bytes_and_another_one_others(http):
    def data(prompt):
        file_id = start(http, inputs=prompt).json()["outputs"][-1]["content"][-1]["file_id"]
        return http.get(f"/v1/files/{file_id}/content").content

    assert data("Draw a cat.") == data("Draw a cat.") != data("Draw a dog.")


def test_structured_output_fits_its_schema(http):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "kind": {"enum": ["cat", "dog"]}, "tags": {"type": "array"}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = start(http, inputs="A dog, 4 years", tools=[], completion_args={"response_format": wanted}).json()
    assert json.loads(answer["outputs"][0]["content"]) == {"n": 4, "kind": "dog", "tags": ["tags text"]}


async def test_it_runs_under_async_with_and_leaves_the_port_free():
    async with Sandbox() as sandbox:
        port = httpx.URL(sandbox.url).port
        async with httpx.AsyncClient(base_url=sandbox.url, headers={"authorization": "Bearer k"}) as http:
            assert (await http.get("/v1/agents")).json() == []
    await asyncio.to_thread(lambda: socket.create_server(("127.0.0.1", port)).close())


def test_it_stops_at_once_even_while_an_answer_is_pending():
    with Sandbox(behavior=Behavior(delay=60)) as sandbox:
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=sandbox.url, timeout=0.2) as http:
            http.post("/v1/conversations", json=CAT, headers={"authorization": "Bearer k"})
        started = time.monotonic()
    assert time.monotonic() - started < 5


def test_the_command_prints_how_to_use_it_and_stops_on_ctrl_c():
    command = [sys.executable, "-m", "langchain_mistral_imagegen.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        output = process.stdout.readline() + process.stdout.readline()
        url = re.search(r"MISTRAL_BASE_URL=(\S+)", output)[1]
        assert httpx.get(f"{url}/v1/agents").status_code == 401
        _, errors = stop(process)
    assert (process.returncode, errors) == (0, "")
