"""Refuses what the real server refuses, with its statuses and messages."""

from __future__ import annotations

from typing import Any

from langchain_mistral_imagegen.sandbox.records.problems import invalid_request, unprocessable

Body = dict[str, Any]

_SHARED = {"inputs", "stream", "store", "handoff_execution", "completion_args"}
START_KEYS = _SHARED | {
    "instructions", "tools", "guardrails", "name", "description", "metadata", "agent_id", "agent_version", "model",
}  # fmt: skip
APPEND_KEYS = _SHARED | {"tool_confirmations"}
RESTART_KEYS = _SHARED | {"from_entry_id", "guardrails", "metadata", "agent_version"}
AGENT_KEYS = {
    "model", "name", "instructions", "tools", "completion_args", "guardrails", "description", "handoffs", "metadata",
    "version_message", "deployment_chat",
}  # fmt: skip
_COMPLETION_ARGS = {
    "stop", "presence_penalty", "frequency_penalty", "temperature", "top_p", "max_tokens", "random_seed", "prediction",
    "response_format", "tool_choice", "reasoning_effort",
}  # fmt: skip
_TOOL_KEYS = {
    "function": {"function"}, "web_search": set(), "web_search_premium": set(), "code_interpreter": set(),
    "image_generation": set(), "document_library": {"library_ids"}, "connector": {"connector_id", "authorization"},
}  # fmt: skip
_NEEDED = {
    "function": {"function"}, "document_library": {"library_ids"}, "connector": {"connector_id"},
    "message.input": {"content"}, "message.output": {"content"}, "tool.execution": {"name", "arguments"},
    "function.call": {"tool_call_id", "name", "arguments"}, "function.result": {"tool_call_id", "result"},
    "agent.handoff": {"previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name"},
}  # fmt: skip
_NO_IMAGE_INPUT = ("codestral", "labs-leanstral")
_NO_BUILT_IN_TOOLS = ("codestral", "ministral", "mistral-large-4", "labs-leanstral")
# Names of Mistral's own tools. No documentation lists them: two clients that rename such functions do.
_PROTECTED_NAMES = {
    "code_interpreter", "document_library", "edit_image", "generate_image", "image_generation", "library_search",
    "news_search", "web_search", "web_search_premium",
}  # fmt: skip
ENTRY_TYPES = {
    "message.input", "message.output", "tool.execution", "function.call", "function.result", "agent.handoff",
}  # fmt: skip


def check_keys(body: Body, allowed: set[str]) -> None:
    """Refuse unknown keys."""
    for key, value in body.items():
        if key not in allowed:
            raise unprocessable("extra_forbidden", (key,), "Extra inputs are not permitted", value)


def check_object(value: Any, location: tuple[str | int, ...], kind: str | None = None) -> Body:
    """Refuse what is not an object, or lacks a key that its kind needs."""
    if not isinstance(value, dict):
        raise unprocessable("model_attributes_type", location, "Input should be a valid dictionary", value)
    for key in sorted(_NEEDED.get(kind or "", set()) - value.keys()):
        raise unprocessable("missing", (*location, key), "Field required", value)
    return value


def check_list(value: Any, location: tuple[str | int, ...]) -> list[Any]:
    """Refuse what is not a list."""
    if not isinstance(value, list):
        raise unprocessable("list_type", location, "Input should be a valid list", value)
    return value


def check_start(body: Body) -> None:
    """Check a request that starts a conversation."""
    check_keys(body, START_KEYS)
    if body.get("inputs") in (None, [], ""):
        raise unprocessable("missing", ("inputs",), "inputs is required")
    if bool(body.get("model")) == bool(body.get("agent_id")):
        raise unprocessable("value_error", (), "Exactly one of 'model' and 'agent_id' must be given")
    if body.get("model") and body.get("handoff_execution"):
        raise unprocessable("value_error", ("handoff_execution",), "handoff_execution is only for agents")
    if body.get("agent_id") and body.get("completion_args"):
        raise invalid_request("completion_args cannot be given with an agent_id.", 3001)
    if body.get("agent_id") and body.get("tools"):
        raise invalid_request("tools cannot be given with an agent_id.", 3001)
    check_tools(body.get("tools") or [], str(body.get("model") or ""), body.get("completion_args") or {})
    check_function_names(body.get("tools") or [])


def check_tool(tool: Any, place: int) -> None:
    """Check one tool."""
    kind = str(check_object(tool, ("tools", place)).get("type"))
    if kind not in _TOOL_KEYS:
        raise unprocessable("union_tag_invalid", ("tools", place), f"Input tag {kind!r} does not match", tool)
    check_object(tool, ("tools", place, kind), kind)
    if kind == "function" and "name" not in check_object(tool["function"], ("tools", place, kind, "function")):
        raise unprocessable("missing", ("tools", place, kind, "function", "name"), "Field required")
    for key in tool.keys() - _TOOL_KEYS[kind] - {"type", "tool_configuration"}:
        raise unprocessable("extra_forbidden", ("tools", place, kind, key), "Extra inputs are not permitted", tool[key])


def check_tools(tools: Any, model: str, completion_args: Any) -> None:
    """Check tools, and completion arguments together with them."""
    check_completion_args(completion_args)
    for place, tool in enumerate(check_list(tools, ("tools",))):
        check_tool(tool, place)
    kinds = {tool["type"] for tool in tools}
    if {"web_search", "web_search_premium"} <= kinds:
        raise unprocessable("value_error", ("tools",), "Can't add web_search and web_search_premium together")
    built_in = kinds - {"function"}
    if built_in and completion_args.get("tool_choice") in {"required", "any"}:
        message = "Can't set 'tool_choice' to 'required' when using built in connectors"
        raise unprocessable("value_error", ("completion_args", "tool_choice"), message)
    if built_in and model.startswith(_NO_BUILT_IN_TOOLS):
        raise invalid_request(f"Built-in connectors are not supported by {model}.", 3004)


def check_function_names(tools: list[Body]) -> None:
    """Refuse functions with names of Mistral's own tools, as two clients report of conversations."""
    for place, tool in enumerate(tools):
        if tool["type"] == "function" and (name := tool["function"]["name"]) in _PROTECTED_NAMES:
            location = ("tools", place, "function", "function", "name")
            raise unprocessable("value_error", location, f"Value error, {name!r} is a protected function name", name)


def check_completion_args(args: Any) -> None:
    """Check completion arguments."""
    for key, value in check_object(args, ("completion_args",)).items():
        if key not in _COMPLETION_ARGS:
            location = ("completion_args", key)
            raise unprocessable("extra_forbidden", location, "Extra inputs are not permitted", value)
    temperature = args.get("temperature")
    location = ("completion_args", "temperature")
    if not isinstance(temperature, int | float | None):
        raise unprocessable("float_type", location, "Input should be a valid number", temperature)
    if temperature is not None and not 0 <= temperature <= 1:
        raise unprocessable("less_than_equal", location, "Input should be less than or equal to 1", temperature)
    if args.get("tool_choice") not in (None, "auto", "none", "any", "required"):  # may be an object
        message = "Input should be 'auto', 'none' or 'required'"
        raise unprocessable("enum", ("completion_args", "tool_choice"), message, args["tool_choice"])


def check_function_results(entries: list[Body], inputs: list[Body]) -> None:
    """Refuse inputs while results of function calls are missing."""
    answered = {entry.get("tool_call_id") for entry in [*entries, *inputs] if entry.get("type") == "function.result"}
    # A call that waited for a confirmation was run by the server, or not at all: no result of it is missing.
    calls = [e for e in [*entries, *inputs] if e.get("type") == "function.call" and not e.get("confirmation_status")]
    missing = [call.get("tool_call_id") for call in calls if call.get("tool_call_id") not in answered]
    if missing:
        raise invalid_request(
            "Cannot append other inputs while function results are still missing. "
            f"Provide function results first for: {missing}",
            3001,
        )


def check_image_inputs(entries: list[Body], model: str) -> None:
    """Refuse images in the inputs of a model without vision."""
    contents = [entry["content"] for entry in entries if isinstance(entry.get("content"), list)]
    is_shown = any(chunk.get("type") == "image_url" for content in contents for chunk in content)
    if is_shown and model.startswith(_NO_IMAGE_INPUT):
        raise invalid_request("Image input is not enabled for this model", 3051)


def check_confirmations(confirmations: Any) -> None:
    """Check answers to pending tool calls."""
    for place, one in enumerate(check_list(confirmations, ("tool_confirmations",))):
        location = ("tool_confirmations", place)
        check_object(one, location)
        if not isinstance(one.get("tool_call_id"), str):
            raise unprocessable("missing", (*location, "tool_call_id"), "Field required", one)
        if one.get("confirmation") not in ("allow", "deny"):
            message = "Input should be 'allow' or 'deny'"
            raise unprocessable("enum", (*location, "confirmation"), message, one.get("confirmation"))


def as_entries(inputs: Any) -> list[Body]:
    """Return inputs as entries: a string is a user's message, and `{"role", "content"}` is short for one."""
    if isinstance(inputs, str):
        inputs = [{"role": "user", "content": inputs}]
    return [_as_entry(entry, place) for place, entry in enumerate(check_list(inputs or [], ("inputs",)))]


def _as_entry(entry: Any, place: int) -> Body:
    kind = str(check_object(entry, ("inputs", place)).get("type", "message.input"))
    if kind not in ENTRY_TYPES:
        raise unprocessable("union_tag_invalid", ("inputs", place), f"Input tag {kind!r} does not match", entry)
    check_object(entry, ("inputs", place, kind), kind)
    if kind == "message.input" and entry.get("role") not in ("user", "assistant"):
        message = "Input should be 'user' or 'assistant'"
        raise unprocessable("enum", ("inputs", place, "role"), message, entry.get("role"))
    for number, chunk in enumerate(entry["content"] if isinstance(entry.get("content"), list) else ()):
        check_object(chunk, ("inputs", place, kind, "content", number))
    return {"object": "entry", "type": kind, **entry}
