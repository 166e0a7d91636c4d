"""Read requests."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from langchain_mistral_imagegen.sandbox.behavior import Behavior, Operation
from langchain_mistral_imagegen.sandbox.records.problems import Problem, quota_exceeded, typical, unprocessable

Json = dict[str, Any]
Item = TypeVar("Item")
Handler = Callable[[Request, Behavior], Awaitable[Response]]
Table = list[tuple[str, str, Operation, Handler]]
"""Method, path, operation, and handler."""


class ConnectionCut(Exception):  # noqa: N818  # not an error: it is what was asked for
    """Ends a response in the middle; the server closes the connection."""


def misbehave(behavior: Behavior) -> None:
    """Raise the error that a behavior asks for."""
    if behavior.quota:
        refusal = quota_exceeded(behavior.quota)
        raise Problem(refusal.status, refusal.body, {**refusal.headers, **behavior.headers})
    if behavior.status:
        usual = typical(behavior.status)
        body = usual.body if behavior.body is None else behavior.body
        raise Problem(behavior.status, body, behavior.headers)


def last_user_text(body: Any) -> str | None:
    """Return the text of a body's last message from the user, or `None` if it has none."""
    match body:
        case {"inputs": str(text)}:
            return text
        case {"inputs": [*entries]} | {"messages": [*entries]}:
            return next((_text(entry["content"]) for entry in reversed(entries) if _is_user_message(entry)), None)
    return None


def _is_user_message(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("role") == "user" and isinstance(entry.get("content"), str | list)


def _text(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return " ".join(str(chunk["text"]) for chunk in content if isinstance(chunk, dict) and "text" in chunk)


def read_behavior(text: str) -> Behavior:
    """Read knobs from a header or from metadata."""
    try:
        return Behavior.from_json(text)
    except (TypeError, ValueError) as error:
        raise Problem(400, {"detail": str(error)}) from error


async def read_json(request: Request) -> Json:
    """Read a body that must be a JSON object."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unprocessable("model_attributes_type", (), "Input should be a valid dictionary")
    return body


def metadata_filter(request: Request) -> Json | None:
    """Read the metadata filter; the official SDK sends a string where it means "no filter"."""
    try:
        wanted = json.loads(request.query_params.get("metadata", "null"))
    except ValueError:
        return None
    return wanted if isinstance(wanted, dict) else None


def page(request: Request, items: list[Item], size: int, most: int | None = None) -> list[Item]:
    """Return the page that is asked for, of `size` items by default and `most` at most."""
    size = number(request, "page_size", size, least=1, most=most)
    start = number(request, "page", 0) * size
    return items[start : start + size]


def number(request: Request, name: str, usual: int, least: int = 0, most: int | None = None) -> int:
    """Return a query parameter that must be a whole number."""
    given = request.query_params.get(name) or str(usual)
    if not given.isdecimal() or int(given) < least:
        message = f"Input should be an integer greater than or equal to {least}"
        raise unprocessable("greater_than_equal", (name,), message, given, "query")
    if most is not None and int(given) > most:
        message = f"Input should be less than or equal to {most}"
        raise unprocessable("less_than_equal", (name,), message, given, "query")
    return int(given)


def required(request: Request, name: str) -> str:
    """Return a query parameter that must be there."""
    if name not in request.query_params:
        raise unprocessable("missing", (name,), "Field required", part="query")
    return request.query_params[name]
