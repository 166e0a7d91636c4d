"""Streams: the events in their order, and the same outputs as without streaming."""

import json

import httpx
import pytest
from mistralai.client import Mistral

MODEL = "mistral-medium-latest"
IMAGES = [{"type": "image_generation"}]
ADD = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}}}  # fmt: skip


@pytest.fixture
def client(sandbox):
    # A client of our own, because the SDK's default one is not closed with it.
    with httpx.Client() as bare:
        yield Mistral(api_key="k", server_url=sandbox.url, client=bare)


@pytest.fixture
def start(http):
    """Start a conversation; keyword arguments are fields of the request."""

    def starting(**fields):
        return http.post("/v1/conversations", json={"model": MODEL, "tools": IMAGES, "inputs": "Draw a cat.", **fields})

    return starting


def outputs_of(events):
    """Put outputs together from events, keeping what does not change from one run to the next."""
    outputs = {}
    for event in (event.data for event in events):
        if event.type == "message.output.delta":
            parts = outputs.setdefault(event.output_index, {})
            if isinstance(event.content, str):
                parts[event.content_index] = parts.get(event.content_index, "") + event.content
            else:
                parts[event.content_index] = event.content.type
        elif event.type in {"tool.execution.started", "tool.execution.delta", "function.call.delta"}:
            outputs[event.output_index] = outputs.get(event.output_index, "") + event.arguments
    return [outputs[place] for place in sorted(outputs)]


def outputs_without_streaming(response):
    outputs = []
    for output in response.outputs:
        if output.type == "message.output":
            content = [output.content] if isinstance(output.content, str) else output.content
            outputs.append({n: c if isinstance(c, str) else c.text if c.type == "text" else c.type
                            for n, c in enumerate(content)})  # fmt: skip
        else:
            outputs.append(output.arguments)
    return outputs


@pytest.mark.parametrize(
    ("inputs", "tools"), [("Draw a cat in a house.", IMAGES), ("Hello there!", []), ("What is 3 + 4? add", [ADD])]
)
def test_stream_has_the_content_of_a_plain_answer(client, inputs, tools):
    with client.beta.conversations.start_stream(model=MODEL, tools=tools, inputs=inputs) as stream:
        streamed = outputs_of(stream)
    plain = client.beta.conversations.start(model=MODEL, tools=tools, inputs=inputs)
    assert streamed == outputs_without_streaming(plain)


def test_events_come_in_the_recorded_order(client):
    with client.beta.conversations.start_stream(model=MODEL, tools=IMAGES, inputs="Draw a cat.") as stream:
        names = [event.event for event in stream]
    runs = [name for place, name in enumerate(names) if not place or names[place - 1] != name]
    assert runs == [
        "conversation.response.started", "tool.execution.started", "tool.execution.delta", "tool.execution.done",
        "message.output.delta", "conversation.response.done",
    ]  # fmt: skip
    assert names.count("message.output.delta") > 3
    assert names.count("tool.execution.delta") > 1


def test_streamed_conversation_is_kept_appended_and_restarted(client, sandbox):
    conversations = client.beta.conversations
    with conversations.start_stream(model=MODEL, tools=IMAGES, inputs="Draw a cat.") as stream:
        conversation_id = next(iter(stream)).data.conversation_id
        list(stream)
    with conversations.append_stream(conversation_id=conversation_id, inputs="Hello!") as stream:
        assert next(iter(stream)).data.conversation_id == conversation_id
        list(stream)
    entries = sandbox.entries(conversation_id)
    assert len(entries) == 5
    with conversations.restart_stream(
        conversation_id=conversation_id, from_entry_id=entries[2]["id"], inputs="Hi!"
    ) as stream:
        fork = next(iter(stream)).data.conversation_id
        list(stream)
    assert fork != conversation_id
    assert len(sandbox.entries(fork)) == 5


def test_frames_are_event_and_data_only_and_headers_are_the_recorded_ones(start):
    response = start(stream=True)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "x-ratelimit-remaining-image-generation-minute" not in response.headers
    for frame in response.text.removesuffix("\n\n").split("\n\n"):
        event, data = frame.split("\n")
        content = json.loads(data.removeprefix("data: "))
        assert event == f"event: {content['type']}"
        assert content["created_at"].endswith("Z")


def test_first_arguments_of_a_tool_are_empty(start):
    started = next(line for line in start(stream=True).text.splitlines() if '"tool.execution.started"' in line)
    assert json.loads(started.removeprefix("data: "))["arguments"] == ""


def test_handoff_streams_two_events(client):
    painter = client.beta.agents.create(model=MODEL, name="Painter", tools=IMAGES)
    desk = client.beta.agents.create(model=MODEL, name="Desk", handoffs=[painter.id])
    with client.beta.conversations.start_stream(agent_id=desk.id, inputs="Ask the Painter for a cat image.") as stream:
        names = [event.event for event in stream]
    assert names[1:3] == ["agent.handoff.started", "agent.handoff.done"]


def test_refusal_comes_before_the_stream_as_plain_json(start):
    response = start(stream=True, completion_args={"temperature": 2})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/json")
