"""The official SDK drives every operation of the sandbox: it is the judge of the sandbox's protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError
from mistralai.client.models import (
    AgentHandoffEntry,
    FunctionCallEntry,
    MessageOutputEntry,
    ToolExecutionEntry,
    ToolFileChunk,
)

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

CAT = "Generate an orange cat in an office."
IMAGE_TOOL = {"type": "image_generation"}
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Mistral]:
    # A client of our own, because the SDK's default one is not closed with it.
    with httpx.Client(follow_redirects=True) as http:
        async with httpx.AsyncClient(follow_redirects=True) as async_http:
            yield Mistral(api_key="k", server_url=sandbox.url, client=http, async_client=async_http)


class Caller:
    """Calls an SDK operation, or its asynchronous twin."""

    def __init__(self, kind: str) -> None:
        self.suffix = "_async" if kind == "async" else ""

    async def __call__(self, owner: object, name: str, /, **arguments: object) -> object:
        result = getattr(owner, name + self.suffix)(**arguments)
        return await result if self.suffix else result

    async def events(self, owner: object, name: str, /, **arguments: object) -> list:
        if self.suffix:
            async with await getattr(owner, name + "_async")(**arguments) as stream:
                return [event async for event in stream]
        with getattr(owner, name)(**arguments) as stream:
            return list(stream)

    async def data(self, response: httpx.Response) -> bytes:
        return await response.aread() if self.suffix else response.read()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Caller:
    return Caller(request.param)


def test_the_documentation_s_example_runs_as_it_is_printed(sandbox, client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # https://docs.mistral.ai/studio-api/agents/agent-tools/image_generation, imports adapted to SDK 3.
    image_agent = client.beta.agents.create(
        model="mistral-medium-latest",
        name="Image Generation Agent",
        description="Agent used to generate images.",
        instructions="Use the image generation tool when you have to create images.",
        tools=[{"type": "image_generation"}],
        completion_args={"temperature": 0.3, "top_p": 0.95},
    )
    response = client.beta.conversations.start(agent_id=image_agent.id, inputs="Generate an orange cat in an office.")
    for i, chunk in enumerate(response.outputs[-1].content):
        if isinstance(chunk, ToolFileChunk):
            file_bytes = client.files.download(file_id=chunk.file_id).read()
            with open(f"image_generated_{i}.png", "wb") as file:  # noqa: PTH123  # as printed
                file.write(file_bytes)
    (written,) = Path().glob("image_generated_*.png")
    assert written.read_bytes().startswith(b"\xff\xd8\xff")
    assert sandbox.paid == 1


async def test_start_answers_with_an_execution_and_a_message(call, client):
    response = await call(client.beta.conversations, "start", model="m", inputs=CAT, tools=[IMAGE_TOOL])
    execution, message = response.outputs
    assert isinstance(execution, ToolExecutionEntry)
    assert json.loads(execution.arguments)["prompt"] == "an orange cat in an office"
    assert isinstance(message, MessageOutputEntry)
    assert [chunk.type for chunk in message.content] == ["text", "tool_file"]
    usage = response.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens + usage.connector_tokens
    assert usage.connectors == {"image_generation": 1}


async def test_append_and_restart_continue_the_right_history(call, client):
    conversations = client.beta.conversations
    first = await call(conversations, "start", model="m", inputs="My name is Ada.")
    second = await call(conversations, "append", conversation_id=first.conversation_id, inputs="What is my name?")
    assert second.conversation_id == first.conversation_id
    assert second.outputs[0].content == "Your name is Ada."
    restarted = await call(
        conversations,
        "restart",
        conversation_id=first.conversation_id,
        from_entry_id=first.outputs[-1].id,
        inputs="My name is Bob. What is my name?",
    )
    history = await call(conversations, "get_history", conversation_id=restarted.conversation_id)
    assert restarted.conversation_id != first.conversation_id
    assert len(history.entries) == 4


async def test_streams_carry_the_same_answer(call, client):
    events = await call.events(client.beta.conversations, "start_stream", model="m", inputs=CAT, tools=[IMAGE_TOOL])
    kinds = [event.event for event in events]
    assert kinds[0] == "conversation.response.started"
    assert kinds[-1] == "conversation.response.done"
    assert kinds.count("tool.execution.started") == kinds.count("tool.execution.done") == 1
    assert "UNKNOWN" not in {event.data.type for event in events}
    pieces = [event.data.content for event in events if event.event == "message.output.delta"]
    assert "".join(piece for piece in pieces if isinstance(piece, str)).startswith("Here is your image")
    assert [piece.type for piece in pieces if not isinstance(piece, str)] == ["tool_file"]


async def test_append_and_restart_stream_too(call, client):
    conversations = client.beta.conversations
    first = await call(conversations, "start", model="m", inputs="Hello")
    where = {"conversation_id": first.conversation_id, "inputs": "Hello"}
    appended = await call.events(conversations, "append_stream", **where)
    restarted = await call.events(conversations, "restart_stream", **where, from_entry_id=first.outputs[-1].id)
    assert appended[0].data.conversation_id == first.conversation_id
    assert restarted[0].data.conversation_id != first.conversation_id
    assert appended[-1].event == restarted[-1].event == "conversation.response.done"


async def test_conversations_are_listed_read_and_deleted(call, client):
    conversations = client.beta.conversations
    tagged = await call(conversations, "start", model="m", inputs="Hello", metadata={"key": "1"})
    await call(conversations, "start", model="m", inputs="Hello")
    assert len(await call(conversations, "list")) == 2
    (found,) = await call(conversations, "list", metadata={"key": "1"})
    assert found.id == tagged.conversation_id
    read = await call(conversations, "get", conversation_id=tagged.conversation_id)
    assert (read.model, read.metadata) == ("m", {"key": "1"})
    messages = await call(conversations, "get_messages", conversation_id=tagged.conversation_id)
    assert [message.type for message in messages.messages] == ["message.input", "message.output"]
    await call(conversations, "delete", conversation_id=tagged.conversation_id)
    with pytest.raises(SDKError) as caught:
        await call(conversations, "get", conversation_id=tagged.conversation_id)
    assert caught.value.status_code == 404


async def test_what_is_not_stored_cannot_be_read(call, client):
    response = await call(client.beta.conversations, "start", model="m", inputs="Hello", store=False)
    with pytest.raises(SDKError, match="not found"):
        await call(client.beta.conversations, "get", conversation_id=response.conversation_id)


async def test_functions_are_called_and_their_results_used(call, client):
    conversations = client.beta.conversations
    asked = await call(conversations, "start", model="m", inputs="add 3 and 4", tools=[ADD, IMAGE_TOOL])
    (request,) = asked.outputs
    assert isinstance(request, FunctionCallEntry)
    assert json.loads(request.arguments) == {"a": 3, "b": 4}
    with pytest.raises(SDKError, match="function results are still missing"):
        await call(conversations, "append", conversation_id=asked.conversation_id, inputs="And?")
    result = {"type": "function.result", "tool_call_id": request.tool_call_id, "result": "7"}
    answer = await call(conversations, "append", conversation_id=asked.conversation_id, inputs=[result])
    assert answer.outputs[0].content == "The result is: 7"


@pytest.mark.parametrize(("decision", "paid"), [("allow", 1), ("deny", 0)])
async def test_a_confirmation_decides_whether_an_image_is_paid(call, client, sandbox, decision, paid):
    tool = {**IMAGE_TOOL, "tool_configuration": {"requires_confirmation": ["generate_image"]}}
    asked = await call(client.beta.conversations, "start", model="m", inputs=CAT, tools=[tool])
    (pending,) = asked.outputs
    assert (pending.confirmation_status, sandbox.paid) == ("pending", 0)
    await call(
        client.beta.conversations,
        "append",
        conversation_id=asked.conversation_id,
        tool_confirmations=[{"tool_call_id": pending.tool_call_id, "confirmation": decision}],
    )
    assert sandbox.paid == paid


async def test_agents_have_versions_and_aliases(call, client):
    agents = client.beta.agents
    made = await call(agents, "create", model="m", name="Painter", tools=[IMAGE_TOOL], metadata={"a": "1"})
    changed = await call(agents, "update", agent_id=made.id, instructions="Paint.")
    assert (made.version, changed.version, changed.versions) == (0, 1, [0, 1])
    assert (await call(agents, "get", agent_id=made.id, agent_version=0)).instructions is None
    assert (await call(agents, "update_version", agent_id=made.id, version=0)).version == 0
    assert len(await call(agents, "list_versions", agent_id=made.id)) == 2
    assert (await call(agents, "get_version", agent_id=made.id, version="1")).instructions == "Paint."
    await call(agents, "create_version_alias", agent_id=made.id, alias="prod", version=1)
    (alias,) = await call(agents, "list_version_aliases", agent_id=made.id)
    assert (alias.alias, alias.version) == ("prod", 1)
    assert (await call(agents, "get", agent_id=made.id, agent_version="prod")).version == 1
    await call(agents, "delete_version_alias", agent_id=made.id, alias="prod")
    pages = await call(agents, "list_pages", metadata={"a": "1"})
    assert [agent.id for agent in pages.result.data] == [made.id]
    await call(agents, "delete", agent_id=made.id)
    with pytest.warns(DeprecationWarning, match="Use list_pages"):
        assert await call(agents, "list") == []


async def test_agents_hand_over(call, client):
    painter = await call(client.beta.agents, "create", model="m", name="Painter", tools=[IMAGE_TOOL])
    host = await call(client.beta.agents, "create", model="m", name="Host", handoffs=[painter.id])
    served = await call(client.beta.conversations, "start", agent_id=host.id, inputs="Painter, draw a boat.")
    assert isinstance(served.outputs[0], AgentHandoffEntry)
    assert served.outputs[-1].agent_id == painter.id
    stopped = await call(
        client.beta.conversations,
        "start",
        agent_id=host.id,
        inputs="Painter, draw a boat.",
        handoff_execution="client",
    )
    assert [entry.type for entry in stopped.outputs] == ["agent.handoff"]


async def test_files_are_uploaded_listed_signed_downloaded_and_deleted(call, client):
    files = client.files
    uploaded = await call(files, "upload", file={"file_name": "a.txt", "content": b"hello"}, purpose="ocr")
    assert (await call(files, "retrieve", file_id=uploaded.id)).size_bytes == 5
    assert [file.id for file in (await call(files, "list")).data] == [uploaded.id]
    signed = await call(files, "get_signed_url", file_id=uploaded.id)
    assert httpx.get(signed.url).content == b"hello"
    assert await call.data(await call(files, "download", file_id=uploaded.id)) == b"hello"
    assert (await call(files, "delete", file_id=uploaded.id)).deleted is True
    with pytest.raises(SDKError):
        await call(files, "retrieve", file_id=uploaded.id)


@pytest.mark.parametrize(
    ("behavior", "error"),
    [
        (Behavior(quota="minute"), SDKError),
        (Behavior(status=503), SDKError),
        (Behavior(status=422), HTTPValidationError),
        (Behavior(status=401), SDKError),
    ],
    ids=["429", "503", "422", "401"],
)
async def test_errors_are_the_sdk_s_errors(call, client, sandbox, behavior, error):
    sandbox.behave(behavior)
    with pytest.raises(error):
        await call(client.beta.conversations, "start", model="m", inputs=CAT)


async def test_the_sdk_rejects_what_the_documentation_prints(call, client, sandbox):
    """Why this package reads the wire itself."""
    from mistralai.client.errors import ResponseValidationError

    sandbox.behave(Behavior(documentation=True))
    with pytest.raises(ResponseValidationError):
        await call(client.beta.conversations, "start", model="m", inputs=CAT, tools=[IMAGE_TOOL])
    assert sandbox.paid == 1
