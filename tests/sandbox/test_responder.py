"""Answers: drawing, calling functions, filling schemas, remembering, and chatting."""

import json

import httpx
import jsonschema
import pytest

from langchain_mistral_imagegen.sandbox import Sandbox

MODEL = {"model": "mistral-medium-latest"}
IMAGES = [{"type": "image_generation"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def http(sandbox):
    with httpx.Client(base_url=sandbox.url, headers={"Authorization": "Bearer k"}) as bare:
        yield bare


@pytest.fixture
def answer(http):
    def answering(inputs, **fields):
        return http.post("/v1/conversations", json={**MODEL, "inputs": inputs, **fields}).json()["outputs"]

    return answering


def function(name, parameters, description=""):
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


@pytest.mark.parametrize(
    ("inputs", "prompt"),
    [
        ("Generate an orange cat in an office.", "an orange cat in an office"),
        ("Please draw a blue dog", "a blue dog"),
        ("Can you paint me a red boat?", "a red boat"),
        ("Create an image of a tree at night.", "a tree at night"),
        ("Dessine un chat bleu.", "un chat bleu"),
        ("Zeichne eine rote Katze.", "eine rote Katze"),
        ("Dibuja un gato.", "un gato"),
    ],
)
def test_image_is_drawn_from_what_was_asked(answer, inputs, prompt):
    execution, message = answer(inputs, tools=IMAGES)
    assert execution["function"] == "generate_image"
    assert json.loads(execution["arguments"]) == {"prompt": prompt}
    assert message["content"][0]["text"].strip() == f"Here is your image: {prompt}."


@pytest.mark.parametrize(
    "inputs", ["Hello!", "What can you do?", "Tell me a joke, without an image.", "[Image: a cat (id 1)]"]
)
def test_nothing_is_drawn_unasked(answer, inputs):
    (message,) = answer(inputs, tools=IMAGES)
    assert len(message["content"].split()) > 3


def test_nothing_is_drawn_without_the_tool(answer):
    assert [output["type"] for output in answer("Draw a cat.")] == ["message.output"]


def test_refinements_pile_up(http):
    first = http.post("/v1/conversations", json={**MODEL, "inputs": "Draw a cat.", "tools": IMAGES}).json()
    path = f"/v1/conversations/{first['conversation_id']}"
    http.post(path, json={"inputs": "Make it blue."})
    last = http.post(path, json={"inputs": "Add a hat."}).json()
    assert json.loads(last["outputs"][0]["arguments"])["prompt"] == "a cat, blue, Add a hat"


@pytest.mark.parametrize(
    ("inputs", "parameters"),
    [
        ("magic with input 3", {"type": "object", "properties": {"input": {"type": "integer"}}, "required": ["input"]}),
        ("magic", {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]}),
        ("magic", {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}, "minItems": 2}}}),
        ("magic", {"type": "object", "properties": {"at": {"$ref": "#/$defs/P"}}, "required": ["at"],
                   "$defs": {"P": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}}}),
        ("magic", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 5, "maximum": 9}}}),
        ("magic with 400", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 5, "maximum": 9}}}),
        ("magic", {"type": "object", "properties": {"s": {"type": "string", "maxLength": 3}}}),
        ("magic", {"type": "object", "properties": {"v": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}}),
        ("magic", {"type": "object", "properties": {"d": {"type": "string", "format": "date"}}}),
        ("magic", {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}, "$defs": {"T": {
            "type": "object", "properties": {"child": {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}}}}}),
        ("magic", {"type": "object", "properties": {}}),
        ("magic", {"type": "object", "properties": {"v": {"type": ["string", "null"]}}}),
        ("magic", {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}},
                             {"type": "object", "properties": {"b": {"type": "integer"}}}], "required": ["a", "b"]}),
    ],
)  # fmt: skip
def test_arguments_fit_the_schema(answer, inputs, parameters):
    (call,) = answer(inputs, tools=[function("magic", parameters)])
    jsonschema.validate(json.loads(call["arguments"]), parameters, format_checker=jsonschema.FormatChecker())


def test_numbers_are_taken_from_the_text(answer):
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    (call,) = answer("What is 3 + 4?", tools=[function("add", parameters, "Add two numbers, as in what is 1 + 2.")],
                     completion_args={"tool_choice": "any"})  # fmt: skip
    assert json.loads(call["arguments"]) == {"a": 3, "b": 4}
    assert len(call["tool_call_id"]) == 9


def test_several_calls_are_made_at_once(answer):
    calls = answer(
        "What is the weather in Paris and London?", tools=[function("get_weather", CITY, "Weather in a city.")]
    )
    assert [json.loads(call["arguments"]) for call in calls] == [{"city": "Paris"}, {"city": "London"}]


@pytest.mark.parametrize(("choice", "kind"), [("required", "function.call"), ("any", "function.call"),
                                              ("none", "message.output"), ("auto", "message.output")])  # fmt: skip
def test_tool_choice_is_obeyed(answer, choice, kind):
    (output,) = answer("Hello!", tools=[function("get_weather", CITY)], completion_args={"tool_choice": choice})
    assert output["type"] == kind


def test_results_are_in_the_answer(answer):
    (message,) = answer(
        [
            {"role": "user", "content": "Weather in Paris?"},
            {"type": "function.call", "tool_call_id": "abcdefghi", "name": "get_weather", "arguments": "{}"},
            {"type": "function.result", "tool_call_id": "abcdefghi", "result": "22 degrees"},
        ],
        tools=[function("get_weather", CITY)],
    )
    assert "22 degrees" in message["content"]


def test_structured_output_fits_its_schema(answer):
    schema = {"type": "object", "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
              "required": ["title", "year"], "additionalProperties": False}  # fmt: skip
    wanted = {"type": "json_schema", "json_schema": {"name": "film", "schema": schema}}
    (message,) = answer("A film of 1999, please.", completion_args={"response_format": wanted})
    content = json.loads(message["content"])
    jsonschema.validate(content, schema)
    assert content["year"] == 1999


def test_json_object_is_one(answer):
    (message,) = answer("Hello!", completion_args={"response_format": {"type": "json_object"}})
    assert isinstance(json.loads(message["content"]), dict)


def test_stop_and_max_tokens_shorten_the_answer(answer):
    (stopped,) = answer("Hello!", completion_args={"stop": ["help"]})
    assert "help" not in stopped["content"]
    (short,) = answer("Hello!", completion_args={"max_tokens": 2})
    assert len(short["content"].split()) == 2


def test_name_is_remembered_from_the_inputs(answer):
    inputs = [{"role": "user", "content": "My name is Bob."}, {"role": "assistant", "content": "Hello Bob!"},
            {"role": "user", "content": "What is my name?"}]  # fmt: skip
    assert "Bob" in answer(inputs)[0]["content"]


def test_image_in_the_inputs_is_acknowledged(answer):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    inputs = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    assert "image" in answer(inputs)[0]["content"]


def test_usage_without_a_connector_has_no_connector_keys(http):
    usage = http.post("/v1/conversations", json={**MODEL, "inputs": "Hello!"}).json()["usage"]
    assert usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def test_agents_that_name_each_other_hand_over_only_once(http):
    """Without a limit the two would hand the conversation back and forth for ever."""
    first = http.post("/v1/agents", json={**MODEL, "name": "Desk"}).json()
    second = http.post("/v1/agents", json={**MODEL, "name": "Painter", "handoffs": [first["id"]]}).json()
    http.patch(f"/v1/agents/{first['id']}", json={"handoffs": [second["id"]]})
    response = http.post("/v1/conversations", json={"agent_id": first["id"], "inputs": "Hand off, please."})
    assert response.status_code == 200
    assert [output["type"] for output in response.json()["outputs"]].count("agent.handoff") == 1


# --- after a function's result ---


def replayed(text, name="get_weather", result="22 degrees"):
    return [
        {"role": "user", "content": text},
        {"type": "function.call", "tool_call_id": "abcdefghi", "name": name, "arguments": "{}"},
        {"type": "function.result", "tool_call_id": "abcdefghi", "result": result},
    ]


def test_a_result_leaves_the_response_format(answer):
    schema = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
    (message,) = answer(replayed("Weather in Paris?"), tools=[function("get_weather", CITY)],
                        completion_args={"response_format": wanted})  # fmt: skip
    assert json.loads(message["content"]) == {"degrees": 22}


@pytest.mark.parametrize("choice", ["any", "required"])
def test_a_result_leaves_the_tool_choice(answer, choice):
    tools = [function("get_weather", CITY), function("report", CITY)]
    (call,) = answer(replayed("Weather in Paris?"), tools=tools, completion_args={"tool_choice": choice})
    assert (call["type"], call["name"]) == ("function.call", "report")


def test_a_choice_of_tools_that_were_all_called_ends_with_words(answer):
    (message,) = answer(replayed("Weather?"), tools=[function("get_weather", CITY)],
                        completion_args={"tool_choice": "any"})  # fmt: skip
    assert "22 degrees" in message["content"]


def test_a_result_leaves_the_wish_for_an_image(answer):
    tools = [*IMAGES, function("get_weather", CITY)]
    execution, _ = answer(replayed("What is the weather in Paris? Draw it."), tools=tools)
    assert execution["name"] == "image_generation"


# --- wishes ---


def test_a_noun_phrase_is_a_wish_for_an_image(answer):
    execution, _ = answer("A red boat", tools=IMAGES)
    assert json.loads(execution["arguments"]) == {"prompt": "A red boat"}


def test_several_things_are_refined(http):
    first = http.post("/v1/conversations", json={**MODEL, "inputs": "Draw two cats.", "tools": IMAGES}).json()
    last = http.post(f"/v1/conversations/{first['conversation_id']}", json={"inputs": "Make them blue."}).json()
    assert json.loads(last["outputs"][0]["arguments"])["prompt"] == "two cats, blue"


def test_an_argument_named_prompt_has_the_words_of_the_user(answer):
    parameters = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
    (call,) = answer("Draw a red boat in Paris.", tools=[function("draw_image", parameters)])
    assert json.loads(call["arguments"]) == {"prompt": "Draw a red boat in Paris."}
