"""Structured output by each method, whole, raw and streamed."""

from __future__ import annotations

from itertools import pairwise
from typing import TypedDict

import pytest
from langchain_core.exceptions import OutputParserException
from pydantic import BaseModel, Field

from langchain_mistral_imagegen import ChatMistralConversations, images_of
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior

METHODS = ["json_schema", "function_calling", "json_mode"]
PROMPT = "Tell me a joke about cats, as JSON with the keys 'setup' and 'punchline'."


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="The question")
    punchline: str


class JokeDict(TypedDict):
    """A joke."""

    setup: str
    punchline: str


JOKE_SCHEMA = Joke.model_json_schema()


@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Joke, JokeDict, JOKE_SCHEMA], ids=["pydantic", "typed dict", "JSON schema"])
async def test_an_object_of_the_schema_comes_back(face, model, schema, method, strict):
    joke = await face.call(model.with_structured_output(schema, method=method, strict=strict), "invoke", PROMPT)
    assert isinstance(joke, Joke if schema is Joke else dict)
    values = joke.model_dump() if isinstance(joke, Joke) else joke
    assert values.keys() == {"setup", "punchline"}


async def test_the_server_receives_the_schema(face, model, sandbox):
    await face.call(model.with_structured_output(Joke), "invoke", PROMPT)
    asked = sandbox.requests[-1].json["completion_args"]["response_format"]
    assert (asked["type"], asked["json_schema"]["name"], asked["json_schema"]["strict"]) == (
        "json_schema",
        "Joke",
        True,
    )
    assert asked["json_schema"]["schema"]["required"] == ["setup", "punchline"]


async def test_strictness_can_be_waived(face, model, sandbox):
    await face.call(model.with_structured_output(Joke, strict=False), "invoke", PROMPT)
    assert sandbox.requests[-1].json["completion_args"]["response_format"]["json_schema"]["strict"] is False


async def test_a_function_is_forced(face, model, sandbox):
    await face.call(model.with_structured_output(Joke, method="function_calling"), "invoke", PROMPT)
    sent = sandbox.requests[-1].json
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["Joke"]
    assert sent["completion_args"] == {"tool_choice": "required"}


@pytest.mark.parametrize("method", METHODS)
async def test_the_raw_message_can_be_had_beside(face, model, method):
    asking = model.with_structured_output(Joke, method=method, include_raw=True)
    answer = await face.call(asking, "invoke", PROMPT)
    assert isinstance(answer["parsed"], Joke)
    assert answer["parsing_error"] is None
    assert answer["raw"].response_metadata["conversation_id"]


async def test_what_does_not_fit_is_an_error_or_is_reported_beside_the_raw_message(face, model, sandbox):
    sandbox.behavior = Behavior(outputs=[{"type": "message.output", "content": "No jokes today."}])
    with pytest.raises(OutputParserException):
        await face.call(model.with_structured_output(Joke), "invoke", PROMPT)
    answer = await face.call(model.with_structured_output(Joke, include_raw=True), "invoke", PROMPT)
    assert answer["parsed"] is None
    assert isinstance(answer["parsing_error"], OutputParserException)
    assert answer["raw"].text.strip() == "No jokes today."


@pytest.mark.parametrize("method", METHODS)
async def test_a_stream_yields_growing_objects(face, model, method):
    parts = await face.chunks(model.with_structured_output(JokeDict, method=method), PROMPT)
    assert len(parts) > 2
    assert parts[-1].keys() == {"setup", "punchline"}
    assert all(len(str(one)) <= len(str(other)) for one, other in pairwise(parts))


async def test_an_image_drawn_in_json_mode_is_found_in_the_tools_result(face, model, sandbox):
    """JSON suppresses the chunk that names the file; the URL in the tool's result remains."""
    caption = {"title": "Caption", "type": "object", "properties": {"caption": {"type": "string"}}}
    asking = model.with_structured_output(caption, include_raw=True)
    answer = await face.call(asking, "invoke", "Draw an orange cat and caption it.")
    assert "tool_file" not in [block["type"] for block in answer["raw"].content]
    (ref,) = images_of(answer["raw"])
    assert ref["id"].startswith("tool_exec_")
    (image,) = await face.call(model, "images", answer["raw"])
    assert (image.mime_type, sandbox.paid) == ("image/jpeg", 1)


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_a_schema_is_needed(method):
    with pytest.raises(InvalidInputError, match=f"{method}.* needs a schema"):
        ChatMistralConversations(api_key="k").with_structured_output(None, method=method)


async def test_json_mode_needs_none(face, model):
    assert await face.call(model.with_structured_output(method="json_mode"), "invoke", "Say 'yes' in JSON.")


def test_an_agent_has_a_format_of_its_own():
    with pytest.raises(InvalidInputError, match="'ag_1' has completion arguments of its own"):
        ChatMistralConversations(api_key="k", agent_id="ag_1").with_structured_output(Joke)
