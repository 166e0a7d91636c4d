"""`Behavior(outputs=...)` is answered as it is, whatever field is null or missing, streamed or not."""

from __future__ import annotations

import json

import pytest
from nulls import changed, fields

from langchain_mistral_imagegen.sandbox import Behavior

FILE = {"type": "tool_file", "tool": "image_generation", "file_id": "f", "file_name": "cat", "file_type": "png"}
OUTPUTS = [
    {"type": "tool.execution", "id": "t", "name": "image_generation", "arguments": "{}", "function": "generate_image",
     "info": {"result": '{"url": "https://e.org/a.png"}'}},
    {"type": "message.output", "id": "m", "role": "assistant", "content": [{"type": "text", "text": "Here."}, FILE]},
    {"type": "agent.handoff", "id": "h", "previous_agent_id": "a", "previous_agent_name": "one", "next_agent_id": "b",
     "next_agent_name": "two"},
    {"type": "function.call", "id": "f", "tool_call_id": "Ab3dE5fG7", "name": "look", "arguments": "{}",
     "confirmation_status": "allowed"},
]  # fmt: skip
CASES = [[output] for output in OUTPUTS]
CHANGES = [
    (number, path, null)
    for number, case in enumerate(CASES)
    for path in fields(case, frozenset())
    for null in (True, False)
]


@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/chat/completions"])
def test_a_null_or_missing_field_is_no_error_of_the_sandbox(http, sandbox, path: str) -> None:
    inputs = {"inputs": "Hi"} if path == "/v1/conversations" else {"messages": [{"role": "user", "content": "Hi"}]}
    for number, field, null in CHANGES:
        outputs = changed(CASES[number], field, null=null)
        for stream in (False, True):
            sandbox.behave(Behavior(outputs=outputs))
            answer = http.post(path, json={"model": "mistral-medium-latest", "stream": stream, **inputs})
            assert answer.status_code == 200, (field, null, stream, outputs)
            assert not stream or answer.text.rstrip().endswith(("[DONE]", "}")), (field, null)


def test_what_is_null_stays_null(http, sandbox) -> None:
    texts = [{"type": "text", "text": None}]
    for outputs in ([{"type": "message.output", "content": texts}], [{"type": "message.output", "content": None}]):
        sandbox.behave(Behavior(outputs=outputs))
        answer = http.post("/v1/conversations", json={"model": "mistral-medium-latest", "inputs": "Hi"}).json()
        assert answer["outputs"][0]["content"] == outputs[0]["content"]
        history = http.get(f"/v1/conversations/{answer['conversation_id']}/history").json()
        assert history["entries"][-1]["content"] == outputs[0]["content"]


@pytest.mark.parametrize("view", ["history", "messages"])
def test_a_conversation_with_nulls_is_read_and_continued(http, sandbox, view: str) -> None:
    for number, field, null in CHANGES:
        sandbox.behave(Behavior(outputs=changed(CASES[number], field, null=null)))
        start = http.post("/v1/conversations", json={"model": "mistral-medium-latest", "inputs": "Hi"}).json()
        where = f"/v1/conversations/{start['conversation_id']}"
        assert http.get(f"{where}/{view}").status_code == 200, (field, null)
        more = http.post(where, json={"inputs": "Make it blue."})
        assert more.status_code in {200, 400}, (field, null, json.dumps(start))  # 400: a function's result is missing
