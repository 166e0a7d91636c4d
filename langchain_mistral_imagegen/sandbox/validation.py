"""Refuses what the real server refuses, with its statuses and messages."""

from __future__ import annotations

from typing import Any

from langchain_mistral_imagegen.sandbox.problems import invalid_request, unprocessable

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
_NO_BUILT_IN_TOOLS = ("codestral", "ministral", "mistral-large-4", "labs-leanstral")
ENTRY_TYPES = {
    "message.input", "message.output", "tool.execution", "function.call", "function.result", "agent.handoff",
}  # fmt: skip


def check_keys(body: Body, allowed: set[str]) -> None:
    """Refuse unknown keys."""
    for key, value in body.items():
        if key not in allowed:
            raise unprocessable("extra_forbidden", (key,), "Extra inputs are not permitted", value)


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


def check_tools(tools: list[Body], model: str, completion_args: Body) -> None:
    """Check tools, and completion arguments together with them."""
    check_completion_args(completion_args)
    for place, tool in enumerate(tools):
        kind = tool.get("type", "")
        if kind not in _TOOL_KEYS:
            raise unprocessable("union_tag_invalid", ("tools", place), f"Input tag {kind!r} does not match", tool)
        for key in tool.keys() - _TOOL_KEYS[kind] - {"type", "tool_configuration"}:
            location = ("tools", place, kind, key)
            raise unprocessable("extra_forbidden", location, "Extra inputs are not permitted", tool[key])
    kinds = {tool["type"] for tool in tools}
    if {"web_search", "web_search_premium"} <= kinds:
        raise unprocessable("value_error", ("tools",), "Can't add web_search and web_search_premium together")
    built_in = kinds - {"function"}
    if built_in and completion_args.get("tool_choice") in {"required", "any"}:
        message = "Can't set 'tool_choice' to 'required' when using built in connectors"
        raise unprocessable("value_error", ("completion_args", "tool_choice"), message)
    if built_in and model.startswith(_NO_BUILT_IN_TOOLS):
        raise invalid_request(f"Built-in connectors are not supported by {model}.", 3004)


def check_completion_args(args: Body) -> None:
    """Check completion arguments."""
    for key, value in args.items():
        if key not in _COMPLETION_ARGS:
            location = ("completion_args", key)
            raise unprocessable("extra_forbidden", location, "Extra inputs are not permitted", value)
    temperature = args.get("temperature")
    if temperature is not None and not 0 <= temperature <= 1:
        location = ("completion_args", "temperature")
        raise unprocessable("less_than_equal", location, "Input should be less than or equal to 1", temperature)
    if args.get("tool_choice") not in {None, "auto", "none", "any", "required"}:
        message = "Input should be 'auto', 'none' or 'required'"
        raise unprocessable("enum", ("completion_args", "tool_choice"), message, args["tool_choice"])


def check_function_results(entries: list[Body], inputs: list[Body]) -> None:
    """Refuse inputs while results of function calls are missing."""
    answered = {entry["tool_call_id"] for entry in [*entries, *inputs] if entry["type"] == "function.result"}
    calls = [entry["tool_call_id"] for entry in [*entries, *inputs] if entry["type"] == "function.call"]
    missing = [call for call in calls if call not in answered]
    if missing:
        raise invalid_request(
            "Cannot append other inputs while function results are still missing. "
            f"Provide function results first for: {missing}",
            3001,
        )


def as_entries(inputs: Any) -> list[Body]:
    """Return inputs as entries: a string is a user's message, and `{"role", "content"}` is short for one."""
    if isinstance(inputs, str):
        inputs = [{"role": "user", "content": inputs}]
    entries = []
    for place, entry in enumerate(inputs or []):
        kind = entry.get("type", "message.input")
        if kind not in ENTRY_TYPES:
            raise unprocessable("union_tag_invalid", ("inputs", place), f"Input tag {kind!r} does not match", entry)
        if kind == "message.input" and entry.get("role") not in {"user", "assistant"}:
            message = "Input should be 'user' or 'assistant'"
            raise unprocessable("enum", ("inputs", place, "role"), message, entry.get("role"))
        entries.append({"object": "entry", "type": kind, **entry})
    return entries
