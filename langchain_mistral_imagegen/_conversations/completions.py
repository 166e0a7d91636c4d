"""Chat completions as the second endpoint: a turn becomes its messages; `completion_events` reads the answers.

Nothing is stored there, and images come as signed URLs instead of files.
https://docs.mistral.ai/api, chat
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._messages.inputs import Inputs
from langchain_mistral_imagegen._messages.tool_results import short_call_id
from langchain_mistral_imagegen._protocol.entries import Json
from langchain_mistral_imagegen._protocol.requests import Request, complete_chat
from langchain_mistral_imagegen.errors import InvalidInputError

_TOOLS = frozenset({"function", "image_generation", "document_library", "connector"})


def completion_request(turn: Turn) -> Request:
    """Build the request that sends a turn's whole history.

    Raises:
        InvalidInputError: If it holds something that only conversations take.
    """
    if unknown := sorted({tool["type"] for tool in turn.target["tools"]} - _TOOLS):
        raise InvalidInputError(f"Chat completions have no {', '.join(unknown)}: use transport='conversations'")
    settings = {name: turn.labels[name] for name in ("guardrails",) if name in turn.labels}
    body = {
        **turn.target,
        **turn.options.get("completion_args", {}),
        **settings,
        "messages": list(_messages(turn.inputs)),
    }
    return complete_chat(body, stream=turn.stream)


def _messages(inputs: Inputs) -> Iterator[Json]:
    if inputs.instructions:
        yield {"role": "system", "content": inputs.instructions}
    calls: list[Json] = []
    for entry in inputs.entries:
        if entry["type"] == "function.call":
            calls.append(_call(entry))
            continue
        if calls:
            yield {"role": "assistant", "content": "", "tool_calls": calls}
            calls = []
        yield _message(entry)


def _message(entry: Json) -> Json:
    match entry:
        case {"type": "function.result"}:
            return {"role": "tool", "tool_call_id": _call_id(entry["tool_call_id"]), "content": entry["result"]}
        case {"type": "message.output", "content": [{"text": text}]}:
            return {"role": "assistant", "content": text}
    if any(chunk["type"] == "tool_file" for chunk in entry["content"] if isinstance(chunk, dict)):
        raise InvalidInputError(
            "Chat completions do not know files: pass the image itself, with `image.content_block()`, "
            "or use transport='conversations'"
        )
    return {"role": entry["role"], "content": entry["content"]}


def _call(entry: Json) -> Json:
    function = {"name": entry["name"], "arguments": entry["arguments"]}
    return {"id": _call_id(entry["tool_call_id"]), "type": "function", "function": function}


def _call_id(given: str) -> str:
    """Return an id of the form that the server demands (code 3280): nine letters and digits."""
    return given if re.fullmatch("[a-zA-Z0-9]{9}", given) else short_call_id(given)
