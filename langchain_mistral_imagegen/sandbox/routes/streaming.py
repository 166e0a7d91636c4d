"""A response as server-sent events, in the order and with the fields the real server was recorded to send."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_mistral_imagegen.sandbox.behavior import Behavior
from langchain_mistral_imagegen.sandbox.records import ids

Json = dict[str, Any]


def events_of(response: Json, behavior: Behavior) -> Iterator[Json]:
    """Yield the events of a response."""
    yield _event("conversation.response.started", conversation_id=response["conversation_id"])
    for place, entry in enumerate(response["outputs"]):
        yield from _output(place, entry)
    if behavior.unknown:
        yield _event("weather.changed", sky="clear")
    yield _event("conversation.response.done", usage=response["usage"])


def _event(kind: str, **content: Any) -> Json:
    return {"type": kind, "created_at": ids.now(), **content}


def _output(place: int, entry: Json) -> Iterator[Json]:
    speaker = {name: entry[name] for name in ("model", "agent_id") if entry.get(name)}
    common = {"output_index": place, "id": entry.get("id")}
    match entry.get("type"):
        case "message.output":
            yield from _message(entry, {**common, **speaker, "role": "assistant"})
        case "tool.execution":
            yield from _tool(entry, common, speaker)
        case "function.call":
            status = {"confirmation_status": entry["confirmation_status"]} if entry.get("confirmation_status") else {}
            call = {name: entry.get(name) for name in ("name", "tool_call_id")} | status
            for piece in _pieces(entry.get("arguments")) or [""]:
                yield _event("function.call.delta", **common, **speaker, **call, arguments=piece)
        case "agent.handoff":
            parts = {"started": "previous", "done": "next"}
            for kind, side in parts.items():
                names = {name: entry.get(name) for name in (f"{side}_agent_id", f"{side}_agent_name")}
                yield _event(f"agent.handoff.{kind}", **common, **names)
        case unknown:
            yield {**entry, "type": f"{unknown}.done", "output_index": place}


def _message(entry: Json, common: Json) -> Iterator[Json]:
    content = entry.get("content")
    chunks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    for index, chunk in enumerate(chunks):
        is_text = isinstance(chunk, dict) and chunk.get("type") == "text" and isinstance(chunk.get("text"), str)
        pieces = _pieces(chunk["text"]) if is_text else [chunk]
        for piece in pieces:
            yield _event("message.output.delta", **common, content_index=index, content=piece)


def _tool(entry: Json, common: Json, speaker: Json) -> Iterator[Json]:
    tool = {name: entry[name] for name in ("name", "function") if name in entry}
    started = {"arguments": ""} if "arguments" in entry else {}
    yield _event("tool.execution.started", **common, **speaker, **tool, **started)
    for piece in _pieces(entry.get("arguments")):
        yield _event("tool.execution.delta", **common, **tool, arguments=piece)
    yield _event("tool.execution.done", **common, **tool, info=entry.get("info", {}))


def _pieces(text: str | None) -> list[str]:
    """Split a text into pieces of a few characters, as tokens are."""
    return re.findall(r"\s*\S{1,8}|\s+$", text) if text else []


def encode(event: Json, framing: str) -> bytes:
    """Write an event, with the liberties that a server may take."""
    data = json.dumps(event, ensure_ascii=False)
    lines = [f"data: {data}"] if framing == "no_event_line" else [f"event: {event['type']}", f"data: {data}"]
    if framing == "comments":
        lines.insert(0, ": ping")
    end = "\r\n" if framing == "crlf" else "\n"
    return (end.join(lines) + end + end).encode()
