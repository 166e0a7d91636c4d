"""Tools in Mistral's form, and the server's rules for them, checked before a request is sent."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_mistral_imagegen._messages.tool_names import to_wire
from langchain_mistral_imagegen._protocol.entries import Json
from langchain_mistral_imagegen._protocol.image_tool import IMAGE_FUNCTIONS, IMAGE_TOOL
from langchain_mistral_imagegen.errors import InvalidInputError

ToolLike: TypeAlias = Json | type | Callable[..., Any] | BaseTool
ToolChoice: TypeAlias = str | bool | Mapping[str, Any]
_BUILT_IN = frozenset(
    {"image_generation", "web_search", "web_search_premium", "code_interpreter", "document_library", "connector"}
)


def is_built_in(tool: Mapping[str, Any]) -> bool:
    """Return whether the server runs a tool itself."""
    return bool(tool["type"] != "function")


def function_names(tools: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the functions among tools."""
    return {tool["function"]["name"] for tool in tools if not is_built_in(tool)}


def to_mistral_tool(tool: ToolLike, *, strict: bool | None = None) -> Json:
    """Convert a tool: a function, pydantic class, LangChain tool or JSON schema, or one of Mistral's own dicts.

    Raises:
        InvalidInputError: If options are given to the image tool: Mistral's has none.
    """
    if isinstance(tool, dict) and (tool.get("type") in _BUILT_IN or tool.keys() <= {"type", "tool_configuration"}):
        return _checked(tool)
    return convert_to_openai_tool(tool, strict=strict)


def _checked(tool: Json) -> Json:
    unknown = sorted(tool.keys() - {"type", "tool_configuration"})
    if tool["type"] == IMAGE_TOOL and unknown:
        raise InvalidInputError(
            f"Mistral's image_generation tool takes no {', '.join(unknown)}: "
            "describe size, format, number and style in the prompt"
        )
    return _with_function_names(tool) if tool["type"] == IMAGE_TOOL else tool


def _with_function_names(tool: Json) -> Json:
    """Name the functions to be confirmed: Mistral takes the names of functions, not that of the tool.

    The documentation of 2026-08-11 says "list the tool names", and its example has `["web_search", "news_search"]` for
    the connector `web_search_premium`.
    """
    configuration = tool.get("tool_configuration") or {}
    names = configuration.get("requires_confirmation") or []
    if IMAGE_TOOL not in names:
        return tool
    warnings.warn(
        f"requires_confirmation={names!r} names the tool; Mistral takes the names of its functions, "
        f"{list(IMAGE_FUNCTIONS)!r}, which are sent instead",
        stacklevel=2,
    )
    functions = dict.fromkeys([*IMAGE_FUNCTIONS, *(name for name in names if name != IMAGE_TOOL)])
    return {**tool, "tool_configuration": {**configuration, "requires_confirmation": list(functions)}}


def resolve(tools: Sequence[Json], choice: ToolChoice | None) -> tuple[list[Json], str | None]:
    """Return the tools to send, with their names on the wire, and the `tool_choice` to send with them.

    Mistral cannot be forced to call a certain tool, so a named one is sent alone. It also cannot be forced while there
    are built-in tools, so they are left out then.

    Args:
        tools: In Mistral's form.
        choice: `auto`, `none`, `any`, `required`, `True` for any, `False` for none, or a function's name, also in
            OpenAI's form.

    Raises:
        InvalidInputError: If the choice does not fit these tools, or two tools exclude each other.
    """
    distinct = [tool for place, tool in enumerate(tools) if tool not in tools[:place]]
    kinds = {tool["type"] for tool in distinct}
    if {"web_search", "web_search_premium"} <= kinds:
        raise InvalidInputError("web_search and web_search_premium exclude each other: pass one of them")
    name = choice_name(choice)
    if name in {None, "auto", "none"}:
        return _on_the_wire(distinct), name
    functions = {tool["function"]["name"]: tool for tool in distinct if not is_built_in(tool)}
    if name == "required" and functions:
        return _on_the_wire(functions.values()), name
    if name in functions:
        return _on_the_wire([functions[name]]), "required"
    raise InvalidInputError(
        f"tool_choice={choice!r} needs a function to choose, out of {sorted(functions)}; "
        "a built-in tool such as image_generation cannot be forced, only be asked for in the prompt"
    )


def _on_the_wire(tools: Iterable[Json]) -> list[Json]:
    return [tool if is_built_in(tool) else _renamed(tool) for tool in tools]


def _renamed(tool: Json) -> Json:
    function = tool["function"]
    return {**tool, "function": {**function, "name": to_wire(function["name"])}}


def choice_name(choice: ToolChoice | None) -> str | None:
    """Return a choice as Mistral's name for it, or a function's name."""
    match choice:
        case True | "any" | "required":
            return "required"
        case False:
            return "none"
        case {"function": {"name": str(name)}}:
            return name
        case str(word):
            return word
        case None:
            return None
    raise InvalidInputError(f"tool_choice={choice!r} is none of 'auto', 'none', 'any' and a function's name")


def check_forced(tools: Sequence[Json], choice: ToolChoice | None) -> None:
    """Refuse built-in tools that are given together with a forced choice.

    Raises:
        InvalidInputError: Naming them; the server answers 422 "Can't set 'tool_choice' to 'required'".
    """
    built_in = sorted(tool["type"] for tool in tools if is_built_in(tool))
    if built_in and choice_name(choice) not in {None, "auto", "none"}:
        raise InvalidInputError(
            f"tool_choice={choice!r} cannot be combined with the built-in {', '.join(built_in)}: "
            "leave the choice to the model, or the built-in tools out"
        )
