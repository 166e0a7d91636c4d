"""Confirmations: what happens to a conversation after a tool call that waited for one."""

import httpx
import pytest

from langchain_mistral_imagegen.sandbox import Sandbox

ASKED = {
    "model": "m",
    "inputs": "Draw a cat.",
    "tools": [{"type": "image_generation", "tool_configuration": {"requires_confirmation": ["generate_image"]}}],
}


@pytest.mark.parametrize("confirmation", ["allow", "deny"])
def test_conversation_goes_on_after_a_confirmation(http, confirmation):
    asked = http.post("/v1/conversations", json=ASKED).json()
    path = f"/v1/conversations/{asked['conversation_id']}"
    answers = [{"tool_call_id": asked["outputs"][0]["tool_call_id"], "confirmation": confirmation}]
    assert http.post(path, json={"tool_confirmations": answers}).status_code == 200
    assert http.post(path, json={"tool_confirmations": answers}).status_code == 400, "it was answered already"
    assert http.post(path, json={"inputs": "Hello!"}).status_code == 200


def test_call_still_waits_when_its_image_was_refused():
    """A quota hit while carrying out an allowed call must not lose the call."""
    now = [0.0]
    with (
        Sandbox(images_per_minute=1, clock=lambda: now[0]) as sandbox,
        httpx.Client(base_url=sandbox.url, headers={"Authorization": "Bearer k"}) as http,
    ):
        http.post("/v1/conversations", json={**ASKED, "tools": [{"type": "image_generation"}]})
        asked = http.post("/v1/conversations", json=ASKED).json()
        path = f"/v1/conversations/{asked['conversation_id']}"
        allow = {"tool_confirmations": [{"tool_call_id": asked["outputs"][0]["tool_call_id"], "confirmation": "allow"}]}
        assert http.post(path, json=allow).status_code == 429
        now[0] += 61
        assert http.post(path, json=allow).status_code == 200
    assert sandbox.paid == 2


def test_inputs_are_refused_while_a_call_waits(http):
    asked = http.post("/v1/conversations", json=ASKED).json()
    path = f"/v1/conversations/{asked['conversation_id']}"
    assert http.post(path, json={"inputs": "Hello!"}).status_code == 400


def test_only_names_of_functions_are_honoured(http, sandbox):
    asked = http.post("/v1/conversations", json=ASKED).json()["outputs"]
    assert [(one["type"], one["name"]) for one in asked] == [("function.call", "generate_image")]
    tool = {"type": "image_generation", "tool_configuration": {"requires_confirmation": ["image_generation"]}}
    http.post("/v1/conversations", json={**ASKED, "tools": [tool]})
    assert sandbox.paid == 1
