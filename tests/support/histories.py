"""Histories in short, remote and local ones in the same words, so that they can be compared entry by entry."""

from __future__ import annotations

import json

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage


def last_way(sandbox) -> str:
    """Return how the last turn reached the sandbox."""
    path = [request.path for request in sandbox.requests if request.method == "POST"][-1]
    return "start" if path == "/v1/conversations" else "restart" if path.endswith("/restart") else "append"


def remote(sandbox, answer) -> list:
    """Return the remote history in short: who sent what, which tools ran, which images there are."""
    return [fact for entry in sandbox.entries(answer.response_metadata["conversation_id"]) for fact in facts(entry)]


def facts(entry):
    match entry:
        case {"type": "message.input" | "message.output", "content": content}:
            role = "says" if entry["type"] == "message.output" else entry["role"]
            chunks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            yield from [(role, chunk["text"].strip()) for chunk in chunks if chunk["type"] == "text"]
        case {"type": "tool.execution"}:
            yield "ran", entry["function"], entry["arguments"]
        case {"type": "function.call"}:
            yield "ran" if entry["name"] == "generate_image" else "called", entry["name"], entry["arguments"]
        case {"type": "function.result", "result": result} if not result.startswith("The image was generated"):
            yield "got", result


def local(messages) -> list:
    """Return the local history in the same way."""
    return [fact for message in messages for fact in facts_of_message(message)]


def facts_of_message(message):
    match message:
        case AIMessage():
            for block in message.content_blocks:
                if block["type"] == "server_tool_call":
                    yield "ran", "generate_image", json.dumps(block["args"])
                elif block["type"] == "text":
                    yield "says", block["text"].strip()
            yield from [("called", call["name"], json.dumps(call["args"])) for call in message.tool_calls]
        case ToolMessage():
            yield "got", message.text
        case HumanMessage():
            yield "user", message.text
