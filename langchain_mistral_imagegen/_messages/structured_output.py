"""Structured output: the request for it, and the parsers of its answers."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal, TypeAlias

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from langchain_mistral_imagegen._messages.tool_names import to_wire
from langchain_mistral_imagegen.errors import InvalidInputError

Schema: TypeAlias = dict[str, Any] | type
Method: TypeAlias = Literal["json_schema", "function_calling", "json_mode"]


def response_format(schema: Schema | None, method: Method, *, strict: bool | None = None) -> dict[str, Any]:
    """Return the `response_format` of the completion arguments.

    Raises:
        InvalidInputError: If a schema is needed and missing.
    """
    if method == "json_mode":
        return {"type": "json_object"}
    if schema is None:
        raise InvalidInputError(f"method={method!r} needs a schema; method='json_mode' takes any JSON")
    wanted = convert_to_json_schema(schema)
    name, description = wanted.pop("title", "answer"), wanted.get("description")
    described = {"description": description} if description else {}
    return {
        "type": "json_schema",
        "json_schema": {"name": to_wire(name), "schema": wanted, "strict": strict is not False, **described},
    }


def parser(schema: Schema | None, method: Method) -> BaseOutputParser[Any] | Runnable[AIMessage, Any]:
    """Return what reads the answer: an object of a pydantic schema, otherwise a dict."""
    is_class = isinstance(schema, type) and is_basemodel_subclass(schema)
    if method == "function_calling":
        if is_class:
            return PydanticToolsParser(tools=[schema], first_tool_only=True)
        return JsonOutputKeyToolsParser(key_name=function(schema)["function"]["name"], first_tool_only=True)
    return PydanticOutputParser(pydantic_object=schema) if is_class else JsonOutputParser()


def function(schema: Schema | None, *, strict: bool | None = None) -> dict[str, Any]:
    """Return the function, in Mistral's form, that a schema becomes.

    Raises:
        InvalidInputError: If there is no schema.
    """
    if schema is None:
        raise InvalidInputError("method='function_calling' needs a schema; method='json_mode' takes any JSON")
    return convert_to_openai_tool(schema, strict=strict)


def with_raw(
    asking: Runnable[LanguageModelInput, AIMessage], reading: Runnable[AIMessage, Any]
) -> Runnable[LanguageModelInput, dict[str, Any]]:
    """Return the message, what was read of it, and why it could not be read: `raw`, `parsed`, `parsing_error`."""
    assign = RunnablePassthrough.assign(parsed=itemgetter("raw") | reading, parsing_error=lambda _: None)
    unread = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=asking) | assign.with_fallbacks([unread], exception_key="parsing_error")
