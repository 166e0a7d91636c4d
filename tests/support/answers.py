"""Answers in every shape, each as entries and as the events of a stream."""

from __future__ import annotations

import json

URL = "https://mistralaiblackforestprod.blob.core.windows.net/images/a/image.jpg?se=x&sp=r&sig=SECRET"
USAGE = {
    "prompt_tokens": 129,
    "completion_tokens": 94,
    "total_tokens": 292,
    "connector_tokens": 69,
    "connectors": {"image_generation": 1},
}
STARTED = {"type": "conversation.response.started", "conversation_id": "conv_1"}
DONE = {"type": "conversation.response.done", "usage": USAGE}
FILE = {
    "type": "tool_file",
    "tool": "image_generation",
    "file_id": "f1",
    "file_name": "image_generated_0",
    "file_type": "png",
}


def execution(place, result, arguments='{"prompt": "a cat"}'):
    info = {} if result is None else {"result": result}
    name = {"name": "image_generation", "function": "generate_image"}
    entry = {"type": "tool.execution", "id": f"tool_{place}", **name, "arguments": arguments, "info": info}
    common = {"id": f"tool_{place}", "output_index": place, **name}
    events = [{"type": "tool.execution.started", **common, "model": "m", "arguments": ""}]
    events += [
        {"type": "tool.execution.delta", **common, "arguments": piece} for piece in (arguments[:9], arguments[9:])
    ]
    return {**entry, "model": "m"}, [*events, {"type": "tool.execution.done", **common, "info": info}]


def message(place, *chunks):
    """Make a message entry, and events in which each text comes letter by letter."""
    content = chunks[0]["text"] if len(chunks) == 1 and chunks[0]["type"] == "text" else list(chunks)
    events = []
    for index, chunk in enumerate(chunks):
        for piece in chunk["text"] if chunk["type"] == "text" else [chunk]:
            where = {"id": f"msg_{place}", "output_index": place, "content_index": index, "model": "m"}
            events.append({"type": "message.output.delta", **where, "content": piece})
    return {"type": "message.output", "id": f"msg_{place}", "content": content, "model": "m"}, events


def text(value):
    return {"type": "text", "text": value}


def call(place, name, arguments):
    common = {"id": f"fc_{place}", "name": name, "tool_call_id": f"call{place:05}"}
    pieces = [arguments[:3], arguments[3:]]
    events = [{"type": "function.call.delta", **common, "output_index": place, "arguments": piece} for piece in pieces]
    return {"type": "function.call", **common, "arguments": arguments}, events


def pending(place, name, arguments):
    entry, events = call(place, name, arguments)
    waiting = {"confirmation_status": "pending"}
    return {**entry, **waiting}, [{**event, **waiting} for event in events]


def source(title):
    return {"type": "tool_reference", "tool": "web_search", "title": title, "url": f"https://e.x/{title}"}


def handoff(place):
    previous = {"previous_agent_id": "ag_1", "previous_agent_name": "Host"}
    following = {"next_agent_id": "ag_2", "next_agent_name": "Painter"}
    events = [
        {"type": "agent.handoff.started", "id": f"h_{place}", "output_index": place, **previous},
        {"type": "agent.handoff.done", "id": f"h_{place}", "output_index": place, **following},
    ]
    return {"type": "agent.handoff", "id": f"h_{place}", **previous, **following}, events


RESULT = json.dumps({"url": URL})
ANSWERS = {
    "shape A": [execution(0, RESULT), message(1, text("Here it is:\n\n"), FILE)],
    "shape B": [execution(0, RESULT), message(1, text("Here it is."))],
    "shape C": [message(0, text(f"Here: ![a cat]({URL}) - with love"))],
    "text only": [message(0, text("No image today, oh well http"))],
    "several images": [
        execution(0, RESULT),
        execution(1, RESULT.replace("/a/", "/b/")),
        message(2, FILE, text("and"), {**FILE, "file_id": "f2"}, {**FILE, "file_id": "f3"}),
    ],
    "a timeout first": [
        execution(0, "Tool call timed out. Please try again."),
        execution(1, RESULT),
        message(2, text("x")),
    ],
    "text between tools": [
        message(0, text("First.")),
        execution(1, RESULT),
        message(2, text("Second.")),
        execution(3, None),
    ],
    "documentation": [execution(0, None, ""), message(1, text("Here"), FILE)],
    "parallel calls": [message(0, text("Let me see.")), call(1, "add", '{"a": 1}'), call(2, "add", '{"a": 2}')],
    "malformed call": [call(0, "add", '{"a": [1, '), call(1, "add", "not json"), call(2, "add", "")],
    "handoff": [handoff(0), execution(1, RESULT), message(2, text("Done."), FILE)],
    "citations": [
        message(0, source("A"), text("Cats."), source("B"), source("C"), text(" Dogs."), source("D")),
        message(1, source("E")),
    ],
    "a citation before a tool": [message(0, text("Cats."), source("A")), execution(1, RESULT)],
    "reasoning": [message(0, {"type": "thinking", "thinking": [text("Hm.")], "closed": True}, text("Yes."))],
    "reasoning with sources": [
        message(
            0,
            {
                "type": "thinking",
                "thinking": [text("See "), source("A"), text("and "), {"type": "hologram", "at": URL}],
            },
            {"type": "thinking", "thinking": [text("it."), source("B")]},
            text("Yes."),
        )
    ],
    "calls that wait": [pending(0, "image_generation", '{"prompt": "a cat"}'), pending(1, "add", '{"a": 1}')],
    "a handoff at the end": [message(0, text("I ask the painter.")), handoff(1)],
    "unknown chunk": [message(0, text("Look:"), {"type": "hologram", "beams": [1]}, FILE)],
    "other images": [
        message(
            0,
            {"type": "image_url", "image_url": {"url": URL}},
            {"type": "document_url", "document_url": "https://e.x/d"},
        )
    ],
}
