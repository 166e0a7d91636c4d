"""Knobs whose effect is more than a status: what is answered, when, and for which requests."""

import json
import time

import httpx
import pytest
from mistralai.client import Mistral

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

IMAGES = [{"type": "image_generation"}]


@pytest.fixture
def start(http):
    """Start a conversation with knobs in its header."""

    def starting(inputs="Draw a cat.", *, stream=False, **knobs):
        body = {"model": "m", "tools": IMAGES, "inputs": inputs, "stream": stream}
        return http.post("/v1/conversations", json=body, headers=behavior(**knobs))

    return starting


def behavior(**knobs):
    return {"x-sandbox-behavior": json.dumps(knobs)}


@pytest.mark.parametrize(
    ("knob", "allowed"),
    [("on", "'converse', 'image', 'text'"), ("shape", "'url'"), ("quota", "'day'"), ("framing", "'crlf'")],
)
def test_a_word_that_a_knob_does_not_have_is_refused(start, knob, allowed):
    with pytest.raises(ValueError, match=f"{knob}='append' is none of .*{allowed}"):
        Behavior(**{knob: "append"})
    refused = start(**{knob: "append"})
    assert (refused.status_code, allowed in refused.json()["detail"]) == (400, True)


def content_of(response):
    return response.json()["outputs"][-1]["content"]


def file_of(response):
    return next(chunk["file_id"] for chunk in content_of(response) if chunk["type"] == "tool_file")


def events(response):
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


def test_text_draws_nothing_though_asked(start, sandbox):
    assert isinstance(content_of(start(shape="text")), str)
    assert sandbox.paid == 0


def test_several_images_are_numbered_and_paid(start, sandbox):
    chunks = [chunk for chunk in content_of(start(images=3)) if chunk["type"] == "tool_file"]
    assert [chunk["file_name"] for chunk in chunks] == [f"image_generated_{n}" for n in range(3)]
    assert sandbox.paid == 3


def test_outputs_are_sent_with_ids_filled_in(start):
    entry = {"type": "message.output", "role": "assistant", "content": "mine"}
    (output,) = start(outputs=[entry]).json()["outputs"]
    assert (output["content"], output["id"][:4]) == ("mine", "msg_")


def test_events_are_streamed_as_they_are(start):
    assert start(stream=True, events="event: x\ndata: 1\n\n").text == "event: x\ndata: 1\n\n"


def test_status_takes_a_body(start):
    assert start(status=503, body={"detail": "no"}).json() == {"detail": "no"}
    plain = start(status=503, body="overflow")
    assert (plain.headers["content-type"], plain.text) == ("text/plain; charset=utf-8", "overflow")


def test_delay_comes_before_the_answer(start):
    before = time.perf_counter()
    start("Hello!", delay=0.1)
    assert time.perf_counter() - before >= 0.1


def test_pace_lies_between_events(start):
    before = time.perf_counter()
    count = len(events(start("Hello!", stream=True, pace=0.02)))
    assert time.perf_counter() - before >= 0.02 * (count - 1)


def test_pace_lies_between_pieces_of_a_download(start, http):
    file_id = file_of(start(file_size=200_000))
    before = time.perf_counter()
    assert len(http.get(f"/v1/files/{file_id}/content", headers=behavior(pace=0.03)).content) == 200_000
    assert time.perf_counter() - before >= 0.09


@pytest.mark.parametrize("cut_after", [0, 1000])
def test_cut_download_has_exactly_so_many_bytes(start, http, cut_after):
    path = f"/v1/files/{file_of(start())}/content"
    seen = b""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        http.stream("GET", path, headers=behavior(cut_after=cut_after)) as response,
    ):
        for piece in response.iter_bytes():
            seen += piece
    assert len(seen) == cut_after


def test_unknown_adds_an_entry_a_chunk_a_field_and_an_event(start):
    answer = start(unknown=True)
    assert answer.json()["outputs"][0]["type"] == "dream.sequence"
    assert content_of(answer)[-1]["type"] == "hologram"
    assert "novelty" in answer.json()
    assert "weather.changed" in [event["type"] for event in events(start(stream=True, unknown=True))]


@pytest.mark.slow
@pytest.mark.parametrize(("knob", "chunk"), [("thinking", "thinking"), ("reference", "tool_reference")])
def test_further_chunks_are_parsed_by_the_official_sdk(sandbox, knob, chunk):
    with httpx.Client() as bare:
        client = Mistral(api_key="k", server_url=sandbox.url, client=bare)
        response = client.beta.conversations.start(
            model="m", tools=IMAGES, inputs="Draw a cat.", http_headers=behavior(**{knob: True})
        )
    assert chunk in [one.type for one in response.outputs[-1].content]


def test_every_framing_carries_the_same(start):
    framings = ("normal", "crlf", "comments", "no_event_line", "done")
    answers = [events(start("Hello!", stream=True, framing=framing)) for framing in framings]
    assert len({"".join(event.get("content", "") for event in answer) for answer in answers}) == 1


def test_expired_urls_are_refused_as_azure_refuses_them(start):
    response = httpx.get(json.loads(start(expired=True).json()["outputs"][0]["info"]["result"])["url"])
    assert (response.status_code, response.headers["content-type"]) == (403, "application/xml")


def test_the_list_of_conversations_can_ignore_the_metadata(start, sandbox, http):
    body = {"model": "m", "inputs": "Hello!"}
    wanted = http.post("/v1/conversations", json={**body, "metadata": {"key": "1"}}).json()["conversation_id"]
    other = http.post("/v1/conversations", json=body).json()["conversation_id"]
    sandbox.behave(Behavior(on="list", filters_metadata=False))
    query = {"metadata": json.dumps({"key": "1"})}
    listed = [[one["id"] for one in http.get("/v1/conversations", params=query).json()] for _ in range(2)]
    assert listed == [[other, wanted], [wanted]]


@pytest.mark.parametrize(("times", "statuses"), [(2, [503, 503, 200]), (None, [503, 503, 503])])
def test_queued_behavior_holds_so_many_times(sandbox, http, times, statuses):
    sandbox.behave(Behavior(status=503), times=times)
    body = {"model": "m", "inputs": "Hello!"}
    assert [http.post("/v1/conversations", json=body).status_code for _ in range(3)] == statuses


@pytest.mark.parametrize(
    ("on", "path"),
    [("list", "/v1/conversations"), ("files", "/v1/files"), ("agents", "/v1/agents"), ("any", "/v1/files")],
)
def test_queued_behavior_waits_for_its_operation(sandbox, http, on, path):
    sandbox.behave(Behavior(on=on, status=500))
    assert [http.get(path).status_code for _ in range(2)] == [500, 200]


def test_behavior_of_the_whole_sandbox_is_the_default():
    with Sandbox(behavior=Behavior(text="Always this.")) as running:
        body = {"model": "m", "inputs": "Hello!"}
        response = httpx.post(f"{running.url}/v1/conversations", json=body, headers={"Authorization": "Bearer k"})
    assert content_of(response) == "Always this."


@pytest.mark.parametrize("content", [None, [{"type": "text", "text": None}], [{"type": "text"}]])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/chat/completions"])
def test_outputs_may_have_no_text(http, content, stream, path):
    given = {"model": "m", "stream": stream, "inputs": "Hello!"}
    if path.endswith("completions"):
        given = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Hello!"}]}
    outputs = [{"type": "message.output", "role": "assistant", "content": content}]
    response = http.post(path, json=given, headers=behavior(outputs=outputs))
    assert response.status_code == 200
    assert response.text.rstrip().endswith("[DONE]") or not (stream and path.endswith("completions"))


def test_several_behaviors_are_queued_in_order(sandbox, http):
    sandbox.behave(Behavior(status=503), Behavior(status=429))
    body = {"model": "m", "inputs": "Hello!"}
    assert [http.post("/v1/conversations", json=body).status_code for _ in range(3)] == [503, 429, 200]


@pytest.mark.parametrize(("on", "statuses"), [("image", [200, 503, 503]), ("text", [503, 200, 200]),
                                              ("any", [503, 503, 503])])  # fmt: skip
def test_a_behavior_is_for_requests_with_or_without_the_image_tool(sandbox, http, on, statuses):
    agent = sandbox.agents.create({"model": "m", "name": "Painter", "tools": IMAGES})["id"]
    sandbox.behave(Behavior(on=on, status=503), times=None)
    bodies = [{"model": "m"}, {"model": "m", "tools": IMAGES}, {"agent_id": agent}]
    found = [http.post("/v1/conversations", json={**body, "inputs": "Hello!"}).status_code for body in bodies]
    assert found == statuses


def test_an_appended_request_has_the_tools_of_its_conversation(sandbox, http, start):
    first = start("Hello!").json()["conversation_id"]
    sandbox.behave(Behavior(on="image", status=503))
    assert http.post(f"/v1/conversations/{first}", json={"inputs": "Hello!"}).status_code == 503
