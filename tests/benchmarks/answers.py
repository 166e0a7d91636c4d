"""What the server answers: small JSON objects and long event streams, as Mistral and OpenAI send them."""

from __future__ import annotations

import functools
import json
from typing import Any

MODEL = "mistral-medium-latest"
USAGE = {"prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 180, "connector_tokens": 20}
_TEXT = "Here is your image: an orange cat in an office, at a desk, late in the afternoon."
_DELTA = "word"


def conversation(conversation_id: str, number: int, file_id: str, images: int = 1) -> dict[str, Any]:
    """An answer with an image, or with several from one run of the tool."""
    tool = {"name": "image_generation", "arguments": '{"prompt": "a cat"}', "info": {"result": [{"file_id": file_id}]}}
    about = {"type": "tool_file", "tool": "image_generation", "file_name": "cat", "file_type": "png"}
    files = [{**about, "file_id": file_id}, *({**about, "file_id": f"{file_id}-{n}"} for n in range(1, images))]
    times = {"created_at": "2026-01-05T10:00:00Z", "completed_at": "2026-01-05T10:00:09Z"}
    return {
        "object": "conversation.response",
        "conversation_id": conversation_id,
        "outputs": [
            {"object": "entry", "type": "tool.execution", "id": f"tool_{number}", **times, **tool},
            {
                "object": "entry",
                "type": "message.output",
                "id": f"msg_{number}",
                "role": "assistant",
                **times,
                "model": MODEL,
                "content": [{"type": "text", "text": _TEXT}, *files],
            },
        ],
        "usage": {**USAGE, "connectors": {"image_generation": 1}},
    }


def history(conversation_id: str, last: str) -> dict[str, Any]:
    """The end of a conversation."""
    output = {"object": "entry", "type": "message.output", "id": last, "role": "assistant", "content": _TEXT}
    return {"object": "conversation.history", "conversation_id": conversation_id, "entries": [output]}


def completion() -> dict[str, Any]:
    """An answer over chat completions."""
    output = {"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}
    return {
        "id": "cmpl_1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [output],
        "usage": USAGE,
    }


def openai_response(text: str = _TEXT, status: str = "completed") -> dict[str, Any]:
    """An answer over OpenAI's responses."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 120, "output_tokens": 40, "total_tokens": 160, **details}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1.0,
        "model": "gpt",
        "status": status,
        "usage": usage,
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
    }


def conversation_events(count: int) -> list[bytes]:
    """A conversation's answer of `count` pieces of text."""
    at = {"created_at": "2026-01-05T10:00:00Z"}
    place = {"output_index": 0, "id": "msg_1", "model": MODEL, "role": "assistant", "content_index": 0}
    delta = {"type": "message.output.delta", **at, **place, "content": _DELTA}
    return [
        _event({"type": "conversation.response.started", **at, "conversation_id": "conv_1"}),
        *[_event(delta)] * count,
        _event({"type": "conversation.response.done", **at, "usage": USAGE}),
    ]


def completion_events(count: int) -> list[bytes]:
    """The same over chat completions."""

    def chunk(reason: str | None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": {"role": "assistant", "content": _DELTA}, "finish_reason": reason}
        return _data(
            {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice], **more}
        )

    return [*[chunk(None)] * count, chunk("stop", usage=USAGE), b"data: [DONE]\n\n"]


def openai_events(count: int) -> list[bytes]:
    """The same over OpenAI's responses."""
    place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    events = [
        {"type": "response.created", "response": openai_response("", "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *[{"type": "response.output_text.delta", **place, "delta": _DELTA, "logprobs": []}] * count,
        {"type": "response.output_text.done", **place, "text": _DELTA * count, "logprobs": []},
        {"type": "response.completed", "response": openai_response(_DELTA * count)},
    ]
    return [_event({**event, "sequence_number": number}) for number, event in enumerate(events)]


@functools.cache
def stream(kind: str, count: int, at_once: int) -> bytes:
    """A body of events, in HTTP chunks of so many events each."""
    makers = {"conversations": conversation_events, "chat": completion_events, "responses": openai_events}
    events = makers[kind](count)
    pieces = [b"".join(events[start : start + at_once]) for start in range(0, len(events), at_once)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _event(event: dict[str, Any]) -> bytes:
    return b"event: %b\n%b" % (event["type"].encode(), _data(event))


def _data(event: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(event).encode()
