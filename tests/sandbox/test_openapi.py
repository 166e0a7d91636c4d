"""The sandbox's responses against Mistral's own OpenAPI document, where it is at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from langchain_mistral_imagegen.sandbox import Behavior

DOCUMENT = Path(__file__).parents[3] / "shared" / "mistral-openapi.yaml"
TOOLS = [{"type": "image_generation"}]
CAT = {"model": "m", "inputs": "Generate an orange cat in an office.", "tools": TOOLS}
BEHAVIORS = [
    Behavior(),
    Behavior(shape="url"),
    Behavior(shape="markdown"),
    Behavior(images=2, tool_timeouts=1),
    Behavior(thinking=True, reference=True),
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    if not DOCUMENT.exists():
        pytest.skip("Mistral's OpenAPI document is not part of this project and not at hand here")
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


@pytest.fixture
def check(document):
    def check(value: Any, schema: str) -> None:
        reference = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
        jsonschema.Draft202012Validator(reference).validate(_without_function(value))

    return check


def _without_function(value: Any) -> Any:
    """Leave out `function`: the real server sends it with tool executions, the document does not have it."""
    if isinstance(value, list):
        return [_without_function(part) for part in value]
    if not isinstance(value, dict):
        return value
    is_tool = str(value.get("type", "")).startswith("tool.execution")
    return {key: _without_function(part) for key, part in value.items() if not (is_tool and key == "function")}


def _start(http: httpx.Client, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = http.post("/v1/conversations", json={**CAT, **body}).json()
    return answer


@pytest.mark.parametrize("behavior", BEHAVIORS, ids=range(len(BEHAVIORS)))
def test_answers_fit(http, sandbox, check, behavior):
    sandbox.behave(behavior)
    answer = _start(http)
    check(answer, "ConversationResponse")
    conversation = f"/v1/conversations/{answer['conversation_id']}"
    check(http.get(f"{conversation}/history").json(), "ConversationHistory")
    check(http.get(f"{conversation}/messages").json(), "ConversationMessages")
    check(http.get(conversation).json(), "ModelConversation")


@pytest.mark.parametrize("behavior", BEHAVIORS, ids=range(len(BEHAVIORS)))
def test_every_event_fits(http, sandbox, check, behavior):
    sandbox.behave(behavior)
    body = http.post("/v1/conversations", json={**CAT, "stream": True}).text
    frames = [frame.split("\n") for frame in body.strip().split("\n\n")]
    assert len(frames) > 10
    for name, data in frames:
        check(
            {"event": name.removeprefix("event: "), "data": json.loads(data.removeprefix("data: "))},
            "ConversationEvents",
        )


def test_function_calls_and_agents_fit(http, check):
    function = {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    tools = [{"type": "function", "function": function}]
    check(_start(http, inputs="add 3", tools=tools), "ConversationResponse")
    painter = http.post("/v1/agents", json={"model": "m", "name": "Painter", "tools": TOOLS}).json()
    host = http.post("/v1/agents", json={"model": "m", "name": "Host", "handoffs": [painter["id"]]}).json()
    check(painter, "Agent")
    answer = http.post("/v1/conversations", json={"agent_id": host["id"], "inputs": "Painter, draw a cat"}).json()
    check(answer, "ConversationResponse")
    check(http.get(f"/v1/conversations/{answer['conversation_id']}").json(), "AgentConversation")
    check(http.get("/v1/agents/pages").json(), "AgentListPage")
    alias = http.put(f"/v1/agents/{host['id']}/aliases", params={"alias": "prod", "version": 0}).json()
    check(alias, "AgentAliasResponse")


def test_files_fit(http, check):
    upload = http.post("/v1/files", files={"file": ("a.txt", b"hello")}, data={"purpose": "ocr"}).json()
    check(upload, "CreateFileResponse")
    check(http.get("/v1/files").json(), "ListFilesResponse")
    generated = _start(http)["outputs"][-1]["content"][-1]["file_id"]
    check(http.get(f"/v1/files/{generated}").json(), "GetFileResponse")
    check(http.get(f"/v1/files/{generated}/url").json(), "GetSignedUrlResponse")
    check(http.delete(f"/v1/files/{generated}").json(), "DeleteFileResponse")


def test_validation_errors_fit(http, check):
    response = http.post("/v1/conversations", json={**CAT, "size": "1024x1024"})
    assert response.status_code == 422
    check(response.json(), "HTTPValidationError")
