"""Tools in Mistral's form, and the rules that are checked before anything is sent."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistral_imagegen._messages.tool_schemas import check_forced, resolve, to_mistral_tool
from langchain_mistral_imagegen.errors import InvalidInputError, InvalidRequestError

IMAGE = {"type": "image_generation"}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Weather(BaseModel):
    """Return the weather of a city."""

    city: str = Field(description="Where")


@tool
def shout(text: str) -> str:
    """Return a text in capital letters."""
    return text.upper()


ADD, WEATHER = to_mistral_tool(add), to_mistral_tool(Weather)
BUILT_IN = [
    IMAGE,
    {"type": "web_search"},
    {"type": "web_search_premium"},
    {"type": "code_interpreter"},
    {"type": "document_library", "library_ids": ["l"]},
    {"type": "connector", "connector_id": "c"},
    {"type": "image_generation", "tool_configuration": {"requires_confirmation": ["generate_image"]}},
    {"type": "a_tool_of_next_year"},
]


@pytest.mark.parametrize("built_in", BUILT_IN, ids=lambda one: one["type"])
def test_built_in_tools_are_sent_as_they_are(built_in):
    assert to_mistral_tool(built_in) == built_in


def test_the_functions_to_be_confirmed_are_sent_instead_of_their_tool():
    configuration = {"requires_confirmation": ["image_generation", "generate_image"], "include": None}
    with pytest.warns(UserWarning, match="takes the names of its functions"):
        sent = to_mistral_tool({**IMAGE, "tool_configuration": configuration})
    assert sent["tool_configuration"] == {"requires_confirmation": ["generate_image", "edit_image"], "include": None}


@pytest.mark.parametrize(("given", "name"), [(add, "add"), (Weather, "Weather"), (shout, "shout"), (ADD, "add")])
def test_functions_become_function_tools(given, name):
    converted = to_mistral_tool(given)
    assert (converted["type"], converted["function"]["name"]) == ("function", name)
    assert converted["function"]["parameters"]["type"] == "object"


def test_a_json_schema_becomes_a_function_tool():
    schema = {"title": "Point", "description": "A point.", "type": "object", "properties": {"x": {"type": "integer"}}}
    assert to_mistral_tool(schema)["function"]["name"] == "Point"


def test_the_image_tool_has_no_options():
    with pytest.raises(InvalidInputError, match="takes no quality, size: describe size"):
        to_mistral_tool({"type": "image_generation", "size": "1024x1024", "quality": "high"})


@pytest.mark.parametrize(
    ("tools", "choice", "sent"),
    [
        ([IMAGE, ADD], None, ([IMAGE, ADD], None)),
        ([IMAGE, ADD, IMAGE], "auto", ([IMAGE, ADD], "auto")),
        ([IMAGE, ADD], False, ([IMAGE, ADD], "none")),
        ([IMAGE, ADD, WEATHER], "any", ([ADD, WEATHER], "required")),
        ([IMAGE, ADD, WEATHER], True, ([ADD, WEATHER], "required")),
        ([IMAGE, ADD, WEATHER], "Weather", ([WEATHER], "required")),
        ([ADD, WEATHER], {"type": "function", "function": {"name": "add"}}, ([ADD], "required")),
    ],
)
def test_a_choice_is_made_by_what_is_sent(tools, choice, sent):
    assert resolve(tools, choice) == sent


@pytest.mark.parametrize(
    ("tools", "choice", "reason"),
    [
        ([IMAGE], "any", r"needs a function to choose, out of \[\]"),
        ([IMAGE, ADD], "image_generation", r"out of \['add'\].*cannot be forced"),
        ([ADD], "weather", r"'weather' needs a function to choose, out of \['add'\]"),
        ([ADD], 7, "tool_choice=7 is none of"),
        ([{"type": "web_search"}, {"type": "web_search_premium"}], None, "exclude each other"),
    ],
)
def test_what_cannot_be_had_is_refused(tools, choice, reason):
    with pytest.raises(InvalidInputError, match=reason):
        resolve(tools, choice)


def test_a_built_in_tool_that_is_asked_for_is_not_left_out_silently():
    with pytest.raises(InvalidInputError, match="cannot be combined with the built-in image_generation"):
        check_forced([IMAGE, ADD], "any")
    check_forced([IMAGE, ADD], "auto")


async def test_nothing_is_sent_when_the_rules_are_broken(face, model, sandbox):
    with pytest.raises(InvalidInputError):
        model.bind_tools([add, {"type": "web_search"}], tool_choice="any")
    with pytest.raises(InvalidInputError):
        await face.call(model.bind(tool_choice="any"), "invoke", "Draw a cat.")
    assert sandbox.requests == []


async def test_functions_and_the_image_tool_work_side_by_side(face, model, sandbox):
    bound = model.bind_tools([add, Weather, shout])
    question = HumanMessage("Use add for 3 and 4.")
    answer = await face.call(bound, "invoke", [question])
    assert [tool["type"] for tool in sandbox.requests[-1].json["tools"]] == ["image_generation"] + ["function"] * 3
    result = ToolMessage(str(add(**answer.tool_calls[0]["args"])), tool_call_id=answer.tool_calls[0]["id"])
    final = await face.call(bound, "invoke", [question, answer, result])
    assert final.text == "The result is: 7"
    await face.call(bound, "invoke", [question, answer, result, final, HumanMessage("Draw a red house.")])
    assert sandbox.paid == 1


async def test_all_results_of_parallel_calls_go_in_one_request(face, model, sandbox):
    bound = model.bind_tools([Weather])
    question = HumanMessage("What is the weather in Paris and London?")
    answer = await face.call(bound, "invoke", [question])
    results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in answer.tool_calls]
    assert len(results) == 2
    final = await face.call(bound, "invoke", [question, answer, *results])
    assert final.text == "The result is: sunny; sunny"
    assert len(sandbox.requests[-1].json["inputs"]) == 2


def test_what_a_forced_call_leaves_out_is_logged_once_for_each_model(model, make_model, caplog):
    for choice in ("Weather", "auto"):
        model.bind_tools([Weather], tool_choice=choice)
    make_model(tools=[]).bind_tools([Weather], tool_choice="any")
    assert caplog.messages == []
    for choice in ("any", "required", True):
        model.bind_tools([Weather], tool_choice=choice)
    assert [message[:47] for message in caplog.messages] == ["The built-in image_generation of this model can"]
    model.model_copy().bind_tools([Weather], tool_choice="any")
    assert len(caplog.messages) == 2


async def test_a_named_choice_sends_only_that_function(face, model, sandbox):
    await face.call(model.bind_tools([add, Weather], tool_choice="Weather"), "invoke", "Hello")
    sent = sandbox.requests[-1].json
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["Weather"]
    assert sent["completion_args"] == {"tool_choice": "required"}


async def test_a_model_without_built_in_tools_is_an_error_with_a_remedy(face, make_model):
    with pytest.raises(InvalidRequestError, match=r"not supported by codestral.*pass tools=\[\].*code 3004"):
        await face.call(make_model(model="codestral-latest"), "invoke", "Draw a cat.")


def test_tools_may_be_given_as_functions_once_and_for_all():
    model = ChatMistralConversations(api_key="k", tools=[add, IMAGE])
    assert model.tools == [ADD, IMAGE]


async def test_an_agents_functions_are_looked_up_once_and_then_called(face, make_model, sandbox):
    model = make_model(make_model(tools=[add]).ensure_agent("Adder"))
    bound = model.bind_tools([add])
    question = HumanMessage("Use add for 3 and 4.")
    answer = await face.call(bound, "invoke", [question])
    result = ToolMessage("7", tool_call_id=answer.tool_calls[0]["id"])
    assert (await face.call(bound, "invoke", [question, answer, result])).text == "The result is: 7"
    looked = [request for request in sandbox.requests if request.path.startswith(f"/v1/agents/{model.agent_id}")]
    assert len(looked) == 1


async def test_a_function_that_an_agent_lacks_is_refused_before_anything_is_paid(face, make_model, sandbox):
    model = make_model(make_model(tools=[add]).ensure_agent("Adder"))
    with pytest.raises(InvalidInputError, match=r"no function Weather.*`ensure_agent`"):
        await face.call(model.bind_tools([add, Weather]), "invoke", "Hello")
    assert "/v1/conversations" not in [request.path for request in sandbox.requests]


@pytest.mark.parametrize(("tools", "choice"), [([IMAGE], None), ([add], "any")])
def test_an_agent_brings_its_own_tools(tools, choice):
    model = ChatMistralConversations(api_key="k", agent_id="ag_1")
    with pytest.raises(InvalidInputError, match=r"'ag_1' brings its own tools.*ensure_agent"):
        model.bind_tools(tools, tool_choice=choice)
