"""Refusals: what the real server refuses, with its statuses, codes and places."""

import json

import httpx
import pytest

from langchain_mistral_imagegen.sandbox import Sandbox

MODEL = {"model": "mistral-medium-latest"}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
IMAGES = {"type": "image_generation"}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def http(sandbox):
    with httpx.Client(base_url=sandbox.url, headers={"Authorization": "Bearer k"}) as bare:
        yield bare


@pytest.fixture
def start(http):
    """Start a conversation; keyword arguments are fields of the request."""

    def starting(inputs="Draw an orange cat.", headers=None, **fields):
        whole = {"model": "m", "tools": [{"type": "image_generation"}], "inputs": inputs, **fields}
        return http.post("/v1/conversations", json=whole, headers=headers)

    return starting


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({**MODEL, "size": "1024x1024"}, ["body", "size"]),
        ({**MODEL, "inputs": []}, ["body", "inputs"]),
        ({**MODEL, "inputs": None}, ["body", "inputs"]),
        ({**MODEL, "agent_id": "ag_1"}, ["body"]),
        ({}, ["body"]),
        ({**MODEL, "handoff_execution": "server"}, ["body", "handoff_execution"]),
        ({**MODEL, "completion_args": {"temperature": 1.5}}, ["body", "completion_args", "temperature"]),
        ({**MODEL, "completion_args": {"temperature": "hot"}}, ["body", "completion_args", "temperature"]),
        ({**MODEL, "completion_args": {"tool_choice": "always"}}, ["body", "completion_args", "tool_choice"]),
        ({**MODEL, "completion_args": {"tool_choice": {"type": "function"}}}, ["body", "completion_args", "tool_choice"]),
        ({**MODEL, "completion_args": {"seed": 1}}, ["body", "completion_args", "seed"]),
        ({**MODEL, "completion_args": {"tool_choice": "required"}, "tools": [IMAGES]},
         ["body", "completion_args", "tool_choice"]),
        ({**MODEL, "tools": [{"type": "web_search"}, {"type": "web_search_premium"}]}, ["body", "tools"]),
        ({**MODEL, "tools": [{**IMAGES, "size": "1024x1024"}]}, ["body", "tools", 0, "image_generation", "size"]),
        ({**MODEL, "tools": [{"type": "time_machine"}]}, ["body", "tools", 0]),
        ({**MODEL, "tools": "image_generation"}, ["body", "tools"]),
        ({**MODEL, "inputs": [{"role": "system", "content": "Hi"}]}, ["body", "inputs", 0, "role"]),
        ({**MODEL, "inputs": ["Hi"]}, ["body", "inputs", 0]),
        ({**MODEL, "inputs": 7}, ["body", "inputs"]),
    ],
)  # fmt: skip
def test_invalid_start_is_a_422_that_names_the_place(http, sandbox, fields, location):
    paid = sandbox.paid
    response = http.post("/v1/conversations", json={"inputs": "Hello!", **fields})
    assert response.status_code == 422
    assert [item["loc"] for item in response.json()["detail"]] == [location]
    assert sandbox.paid == paid


def test_missing_inputs_are_a_422(http):
    response = http.post("/v1/conversations", json=MODEL)
    assert (response.status_code, response.json()["detail"][0]["loc"]) == (422, ["body", "inputs"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_body_that_is_not_an_object_is_a_422(http, content):
    assert http.post("/v1/conversations", content=content).status_code == 422


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "codestral-latest", "tools": [IMAGES]}, 3004),
        ({"model": "ministral-8b-latest", "tools": [IMAGES]}, 3004),
        ({"model": "codestral-latest",
          "inputs": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,AA=="}]}]},
         3051),
    ],
)  # fmt: skip
def test_model_that_cannot_is_a_400(http, fields, code):
    response = http.post("/v1/conversations", json={"inputs": "Hello!", **fields})
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json()["object"] == "Error"


@pytest.mark.parametrize("fields", [{"completion_args": {"temperature": 0.1}}, {"tools": [IMAGES]}])
def test_agent_owns_its_settings(http, fields):
    agent = http.post("/v1/agents", json={**MODEL, "name": "Painter"}).json()
    response = http.post("/v1/conversations", json={"inputs": "Hi", "agent_id": agent["id"], **fields})
    assert (response.status_code, response.json()["code"]) == (400, 3001)


def test_missing_function_results_are_named(http):
    body = {**MODEL, "tools": [ADD], "inputs": "Please add."}
    first = http.post("/v1/conversations", json=body).json()
    call = first["outputs"][-1]["tool_call_id"]
    path = f"/v1/conversations/{first['conversation_id']}"
    response = http.post(path, json={"inputs": "And now?"})
    assert (response.status_code, response.json()["code"]) == (400, 3001)
    assert call in response.json()["message"]
    result = {"type": "function.result", "tool_call_id": call, "result": "7"}
    assert "7" in http.post(path, json={"inputs": [result]}).json()["outputs"][0]["content"]


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"tools": []}, ["body", "tools"]),
        ({"model": "m"}, ["body", "model"]),
        ({"completion_args": {"n": 2}}, ["body", "completion_args", "n"]),
    ],
)
def test_append_takes_fewer_fields(http, start, fields, location):
    first = start("Hello!").json()
    response = http.post(f"/v1/conversations/{first['conversation_id']}", json={"inputs": "More", **fields})
    assert (response.status_code, response.json()["detail"][0]["loc"]) == (422, location)


def test_append_accepts_what_the_sdk_always_sends(http, start):
    first = start("Hello!").json()
    body = {"inputs": "more", "stream": False, "store": True, "handoff_execution": "server"}
    assert http.post(f"/v1/conversations/{first['conversation_id']}", json=body).status_code == 200


def test_restart_needs_a_known_entry(http, start):
    path = f"/v1/conversations/{start('Hello!').json()['conversation_id']}/restart"
    assert http.post(path, json={"inputs": "Hi"}).json()["detail"][0]["loc"] == ["body", "from_entry_id"]
    assert http.post(path, json={"inputs": "Hi", "from_entry_id": "msg_unknown"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/conversations/conv_1"), ("GET", "/v1/conversations/conv_1/history"), ("POST", "/v1/conversations/conv_1"),
     ("GET", "/v1/agents/ag_1"), ("PATCH", "/v1/agents/ag_1"), ("DELETE", "/v1/agents/ag_1")],
)  # fmt: skip
def test_unknown_thing_is_a_404_with_code_3000(http, method, path):
    response = http.request(method, path, json={"inputs": "Hi"} if method == "POST" else {})
    assert (response.status_code, response.json()["code"]) == (404, 3000)


@pytest.mark.parametrize("query", [{"page": "x"}, {"page_size": "x"}, {"page_size": 0}, {"page": -1}])
@pytest.mark.parametrize("path", ["/v1/conversations", "/v1/agents", "/v1/files"])
def test_page_must_be_a_number(http, path, query):
    assert http.get(path, params=query).status_code == 422


@pytest.mark.parametrize("body", [{"name": "x"}, {"model": "m"}, {"model": "m", "name": "x", "handoffs": []},
                                  {"model": "m", "name": "x", "colour": "red"},
                                  {"model": "m", "name": "x", "tools": None},
                                  {"model": "m", "name": "x", "completion_args": None}])  # fmt: skip
def test_invalid_agent_is_a_422(http, body):
    assert http.post("/v1/agents", json=body).status_code == 422


@pytest.mark.parametrize(("path", "most"), [("", 1000), ("/pages", 1000), ("/{id}/versions", 100)])
def test_a_page_of_agents_has_a_greatest_size(http, path, most):
    agent = http.post("/v1/agents", json={**MODEL, "name": "Painter"}).json()
    url = f"/v1/agents{path.format(**agent)}"
    assert http.get(url, params={"page_size": most}).status_code == 200
    assert http.get(url, params={"page_size": most + 1}).status_code == 422


def test_agents_are_searched_by_name_and_id(http):
    agent = http.post("/v1/agents", json={**MODEL, "name": "Sought after"}).json()
    found = [http.get("/v1/agents", params={"search": text}).json() for text in ("sought", agent["id"][5:], "x-y")]
    assert found == [[agent], [agent], []]


def test_unset_sentinel_of_the_sdk_is_no_filter(http, start):
    start("Hello!")
    sentinel = json.dumps("~?~unset~?~sentinel~?~")
    found = http.get("/v1/conversations", params={"metadata": sentinel}).json()
    assert found == http.get("/v1/conversations").json() != []


@pytest.mark.parametrize("authorization", [None, "", "Basic abc", "Bearer"])
def test_request_without_a_key_is_unauthorized(sandbox, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    response = httpx.get(f"{sandbox.url}/v1/conversations", headers=headers)
    assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})


def test_nothing_is_kept_of_a_refused_append(http, start, sandbox):
    first = start("Hello!").json()
    path = f"/v1/conversations/{first['conversation_id']}"
    http.post(path, json={"inputs": [{"role": "robot", "content": "x"}]})
    http.post(path, json={"inputs": "Draw a cat."}, headers={"x-sandbox-behavior": '{"quota": "minute"}'})
    assert len(sandbox.entries(first["conversation_id"])) == 2


def test_success_has_the_recorded_headers():
    with Sandbox() as fresh:
        body = {**MODEL, "tools": [IMAGES], "inputs": "Draw a cat."}
        headers = httpx.post(f"{fresh.url}/v1/conversations", json=body, headers={"Authorization": "Bearer k"}).headers
    assert headers["content-type"] == "application/json"
    assert headers["mistral-correlation-id"] == headers["x-kong-request-id"]
    assert headers["x-ratelimit-limit-image-generation-minute"] == "10"
    assert headers["x-ratelimit-remaining-image-generation-minute"] == "9"
    assert "x-model-deprecation-timestamp" not in headers


@pytest.mark.parametrize(
    "inputs",
    [[{"type": "function.result", "result": "7"}], [{"type": "function.call"}], [{"role": "user"}],
     [{"role": "user", "content": ["Hi"]}], [{"role": ["user"], "content": "Hi"}]],
)  # fmt: skip
def test_incomplete_entry_is_a_422(http, inputs):
    assert http.post("/v1/conversations", json={**MODEL, "inputs": inputs}).status_code == 422


@pytest.mark.parametrize(
    "tool", [{"type": "function"}, {"type": "function", "function": {}}, {"type": ["x"]}, "x", None]
)
def test_incomplete_tool_is_a_422(http, tool):
    assert http.post("/v1/conversations", json={**MODEL, "inputs": "Hi", "tools": [tool]}).status_code == 422


@pytest.mark.parametrize(
    "confirmations", ["x", ["x"], [{"confirmation": "allow"}], [{"tool_call_id": "a", "confirmation": "ok"}]]
)
def test_malformed_confirmation_is_a_422(http, start, confirmations):
    first = start("Hello!").json()
    path = f"/v1/conversations/{first['conversation_id']}"
    assert http.post(path, json={"tool_confirmations": confirmations}).status_code == 422


@pytest.mark.parametrize("metadata", [{"sandbox": 7}, {"sandbox": "no json"}])
def test_unreadable_behavior_in_metadata_is_a_400(start, metadata):
    assert start("Hello!", metadata=metadata).status_code == 400


@pytest.mark.parametrize(
    "name",
    ["code_interpreter", "document_library", "edit_image", "generate_image", "image_generation", "library_search",
     "news_search", "web_search", "web_search_premium"],
)  # fmt: skip
def test_names_of_mistrals_tools_are_protected(http, name):
    tool = {"type": "function", "function": {"name": name, "parameters": {}}}
    body = {"model": "m", "inputs": "Hello!", "tools": [tool]}
    refused = http.post("/v1/conversations", json=body)
    assert (refused.status_code, "protected function name" in refused.text) == (422, True)
    tool["function"]["name"] = f"my_{name}"
    assert http.post("/v1/conversations", json=body).status_code == 200
