"""Strategies for whatever may come over the wire: any JSON, and what is documented with something wrong in it."""

from __future__ import annotations

import copy
import functools
import operator
import re
from typing import Any

from answers import ANSWERS, DONE, FILE, STARTED, URL, USAGE
from hypothesis import strategies as st

ENTRIES = [entry for answer in ANSWERS.values() for entry, _ in answer]
EVENTS = [STARTED, DONE, *(event for answer in ANSWERS.values() for _, events in answer for event in events)]
STREAMS = [[STARTED, *(event for _, events in answer for event in events), DONE] for answer in ANSWERS.values()]
EVENTS += [{"type": "conversation.response.error", "message": "Overloaded", "code": 503}]
FUNCTION_EVENT = next(event for event in EVENTS if event["type"] == "function.call.delta")
FUNCTION_CALL = next(entry for entry in ENTRIES if entry["type"] == "function.call")
RESPONSE = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [], "usage": USAGE}
RESPONSE |= {"guardrails": None}

CALL = {"id": "Ab3dE5fG7", "index": 0, "function": {"name": "generate_image", "arguments": '{"prompt": "a cat"}'}}
FUNCTION = {"id": "Ab3dE5fG8", "index": 1, "function": {"name": "add", "arguments": '{"a": 1}'}}
MESSAGES = [
    {"role": "assistant", "index": 0, "content": "", "tool_calls": [CALL, FUNCTION]},
    {"role": "tool", "index": 1, "tool_call_id": "Ab3dE5fG7", "content": f'{{"url": "{URL}"}}'},
    {
        "role": "assistant",
        "index": 2,
        "content": [{"type": "text", "text": "Here"}, {"type": "image_url", "image_url": URL}],
    },
]
COMPLETION = {
    "id": "c",
    "object": "chat.multi_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "messages": MESSAGES}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
CHUNKS: list[Any] = [{**COMPLETION, "choices": [{"index": 0, "delta": message}]} for message in MESSAGES]
CHUNKS += [{"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "code": "1300"}]
CHUNKS += [{**COMPLETION, "created": None}, {"id": "c", "choices": CHUNKS[2]["choices"]}]

PROBLEMS: list[Any] = [
    {"object": "Error", "message": "No results", "type": "invalid_request_error", "code": 3001},
    {"detail": [{"type": "missing", "loc": ["body", "inputs"], "msg": "Field required", "input": {}}]},
    {"object": "error", "message": {"detail": [{"loc": ["body"], "msg": "x"}]}, "code": None},
    {"error": {"message": "Content blocked by guardrail", "status": 403}, "guardrails": {}},
    {"detail": f"cannot fetch {URL}", "code": "1300"},
]


def _names(value: Any) -> set[str]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {*(value if isinstance(value, dict) else ()), *(name for part in parts for name in _names(part))}


FIELDS = sorted(
    _names([ENTRIES, EVENTS, RESPONSE, COMPLETION, CHUNKS, PROBLEMS]) | {"extras", "index", "cites", "text"}
)
TYPES = sorted({item["type"] for item in [*ENTRIES, *EVENTS]} | {"text", "image_url", "tool_file", "thinking", "error"})
REVEALING = [
    "",
    "h",
    "http",
    "msg_0",
    "f1",
    "call00001",
    "{",
    '{"a": "\\ud800"}',
    "[" * 300,
    URL,
    URL[:60],
    "mistral-image:tool_0",
    "pending",
    "image_generation",
]

texts = st.sampled_from([*REVEALING, *TYPES]) | st.text(st.characters(codec="utf-8"), max_size=5)
names = st.sampled_from(FIELDS) | st.text(st.characters(codec="utf-8"), max_size=3)
numbers = st.integers(-2, 3) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.just(10**40)


@st.composite
def one_of(draw: st.DrawFn, documented: list[Any]) -> Any:
    """Copy something documented."""
    return copy.deepcopy(draw(st.sampled_from(documented)))


json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts | one_of([*ENTRIES, FILE, MESSAGES[0]]),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(names, part, max_size=4),
    max_leaves=8,
)


def nested(depth: int) -> Any:
    """Nest lists; deeper than Python can they are bytes."""
    if depth > 500:
        return b"[" * depth + b"]" * depth
    return functools.reduce(lambda inner, _: [inner], range(depth), "x")


def paths(value: Any) -> list[tuple[Any, ...]]:
    """Return the way to each part of a JSON value, `()` for itself."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((step, *path) for step, part in steps for path in paths(part))]


def names_a_secret(value: Any) -> bool:
    """Return whether an id or a name is a signed URL; those are looked for in contents, not in names."""
    name = re.compile(r".*id|.*name|model|function|tool|type|connectors|confirmation_status|code|.*signature")
    found = ((path, functools.reduce(operator.getitem, path, value)) for path in paths(value))
    return any("SECRET" in str(part) for path, part in found if path and name.fullmatch(str(path[-1])))


@st.composite
def mutated(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Any:
    """Drop, replace, repeat, reorder, wrap or add parts."""
    root = [copy.deepcopy(draw(values))]
    for _ in range(draw(st.integers(0, 3))):
        *path, step = draw(st.sampled_from([path for path in paths(root) if path]))
        _mutate(draw, functools.reduce(operator.getitem, path, root), step)
        if not root:
            return None
    return root[0]


def _mutate(draw: st.DrawFn, owner: Any, step: Any) -> None:
    match draw(st.sampled_from(["drop", "replace", "repeat", "wrap", "reorder", "add"])):
        case "drop":
            del owner[step]
        case "repeat" if isinstance(owner, list):
            owner.append(copy.deepcopy(owner[step]))
        case "wrap":
            owner[step] = [owner[step]] if draw(st.booleans()) else {"type": "text", "text": owner[step]}
        case "reorder" if isinstance(owner, list):
            owner[:] = draw(st.permutations(owner))
        case "add" if isinstance(owner, dict):
            owner[draw(names)] = draw(json_values)
        case _:
            owner[step] = draw(json_values)


@st.composite
def answers(draw: st.DrawFn) -> Any:
    """Make a response of documented entries."""
    return {**RESPONSE, "outputs": draw(st.lists(one_of(ENTRIES), max_size=4))}


any_entry = mutated(one_of(ENTRIES))
any_response = mutated(answers()) | json_values
any_event = mutated(one_of(EVENTS)) | json_values
any_events = st.lists(any_event, max_size=8) | mutated(one_of(STREAMS)).filter(lambda events: isinstance(events, list))
any_chunks = st.lists(mutated(one_of(CHUNKS)) | json_values, max_size=5)
any_completion = mutated(one_of([COMPLETION])) | json_values
any_problem = mutated(one_of(PROBLEMS)) | json_values
