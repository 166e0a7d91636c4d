"""Convert the messages of chat completions to entries, and output entries to messages.

Built-in tools answer with `chat.multi_completion`: all messages of the chain, images as signed URLs, nothing stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_mistral_imagegen.sandbox.records import ids
from langchain_mistral_imagegen.sandbox.records.problems import invalid_request, unprocessable
from langchain_mistral_imagegen.sandbox.records.validation import (
    check_function_results,
    check_list,
    check_object,
    check_tools,
)

Json = dict[str, Any]
ARGUMENTS = {
    "temperature", "top_p", "max_tokens", "stop", "random_seed", "presence_penalty", "frequency_penalty",
    "response_format", "tool_choice", "prediction", "reasoning_effort",
}  # fmt: skip
_KEYS = ARGUMENTS | {"model", "messages", "tools", "stream", "n", "guardrails", "metadata", "parallel_tool_calls"}
_TOOLS = {"function", "image_generation", "document_library", "connector"}


def check_completion(body: Json) -> None:
    """Check a request."""
    for key in sorted(body.keys() - _KEYS):
        raise unprocessable("extra_forbidden", (key,), "Extra inputs are not permitted", body[key])
    for key in ("model", "messages"):
        if not body.get(key):
            raise unprocessable("missing", (key,), "Field required")
    args = {name: body[name] for name in ARGUMENTS & body.keys()}
    tools = body.get("tools") or []
    check_tools(tools, body["model"], args)
    for place, tool in enumerate(tools):
        if tool["type"] not in _TOOLS:
            message = f"Input tag {tool['type']!r} does not match"
            raise unprocessable("union_tag_invalid", ("tools", place), message, tool)
    for place, message in enumerate(check_list(body["messages"], ("messages",))):
        _check_message(check_object(message, ("messages", place)), place)


def _check_message(message: Json, place: int) -> None:
    if message.get("role") not in ("system", "user", "assistant", "tool"):
        text = "Input should be 'system', 'user', 'assistant' or 'tool'"
        raise unprocessable("enum", ("messages", place, "role"), text, message.get("role"))
    if message.get("content") and message.get("tool_calls"):
        raise invalid_request("Assistant message must have either content or tool_calls, but not both.", 3240)
    for call in check_list(message.get("tool_calls") or [], ("messages", place, "tool_calls")):
        check_object(call, ("messages", place, "tool_calls"))
        if "name" not in check_object(call.get("function"), ("messages", place, "tool_calls", "function")):
            raise unprocessable("missing", ("messages", place, "tool_calls", "function", "name"), "Field required")
        _check_call_id(call.get("id"), ("messages", place, "tool_calls", "id"))
    if message["role"] == "tool":
        _check_call_id(message.get("tool_call_id"), ("messages", place, "tool_call_id"))


def _check_call_id(call_id: Any, location: tuple[str | int, ...]) -> None:
    if not isinstance(call_id, str):
        raise unprocessable("string_type", location, "Input should be a valid string", call_id)
    if not re.fullmatch(r"[a-zA-Z0-9]{9}", call_id):
        text = f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
        raise invalid_request(text, 3280)


def entries_of(messages: Sequence[Json]) -> list[Json]:
    """Return messages as the entries of a conversation; system messages are instructions and left out."""
    entries = [entry for message in messages for entry in _entries(message)]
    check_function_results(entries, [])
    return entries


def _entries(message: Json) -> Iterator[Json]:
    match message:
        case {"role": "user", "content": content}:
            yield {"type": "message.input", "role": "user", "content": content}
        case {"role": "assistant"}:
            if message.get("content"):
                yield {"type": "message.output", "content": message["content"]}
            for call in message.get("tool_calls") or ():
                yield {"type": "function.call", "tool_call_id": call["id"], **call["function"]}
        case {"role": "tool", "content": content}:
            yield {"type": "function.result", "tool_call_id": message["tool_call_id"], "result": content}


def messages_of(outputs: Sequence[Json]) -> list[Json]:
    """Return output entries as the messages of one answer."""
    messages: list[Json] = []
    urls: list[str] = []
    for entry in outputs:
        match entry.get("type"):
            case "tool.execution":
                call_id, result = ids.tool_call_id(), str((entry.get("info") or {}).get("result", ""))
                name = entry.get("function") or entry.get("name")
                urls += [json.loads(result)["url"]] if result.startswith("{") else []
                messages += [_calling([_call(call_id, name, entry, built_in=True)]), {
                    "role": "tool", "tool_call_id": call_id, "content": result,
                    "metadata": {"tool_call_result": {"type": "success" if result.startswith("{") else "error"}},
                }]  # fmt: skip
            case "function.call":
                call = _call(entry.get("tool_call_id"), entry.get("name"), entry, built_in=False)
                if messages and messages[-1].get("tool_calls"):
                    messages[-1]["tool_calls"].append({**call, "index": len(messages[-1]["tool_calls"])})
                else:
                    messages.append(_calling([call]))
            case "message.output":
                messages.append({"role": "assistant", "content": _content(entry.get("content"), urls)})
    silence = {"role": "assistant", "content": ""}
    return [{"index": place, **message} for place, message in enumerate(messages or [silence])]


def _calling(calls: list[Json]) -> Json:
    return {"role": "assistant", "content": "", "tool_calls": calls}


def _call(call_id: str | None, name: str | None, entry: Json, *, built_in: bool) -> Json:
    metadata: Json = {"metadata": {"tool_type": "image", "integration_id": call_id, "locale": {}}} if built_in else {}
    function = {"name": name, "arguments": entry.get("arguments", "")}
    return {"id": call_id, "type": "function", "index": 0, "function": function, **metadata}


def _content(content: Any, urls: list[str]) -> Any:
    """Return content in which files, which are unknown here, are images by URL."""
    if not isinstance(content, list):
        return content
    waiting = iter(urls)
    return [
        {"type": "image_url", "image_url": next(waiting, "")} if is_file(chunk) else chunk
        for chunk in content
    ]  # fmt: skip


def is_file(chunk: Any) -> bool:
    """Return whether a chunk names a file."""
    return isinstance(chunk, dict) and chunk.get("type") == "tool_file"
