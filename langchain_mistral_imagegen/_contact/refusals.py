"""Questions about what the server refuses, and how much it still allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from langchain_mistral_imagegen._contact.conversations import first_answer
from langchain_mistral_imagegen._contact.outlines import body_outline
from langchain_mistral_imagegen._contact.question import Finding, Question
from langchain_mistral_imagegen._contact.visit import Visit
from langchain_mistral_imagegen._messages.tool_names import RESERVED, to_wire
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.failures import is_success, quotas, raise_for_status
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.requests import Request, Response, resource
from langchain_mistral_imagegen.errors import APIError, InvalidRequestError

_NO_FILE = "00000000-0000-4000-8000-000000000000"
_NO_CONVERSATION = "conv_" + 32 * "0"


def _reserved(visit: Visit) -> Flow[Finding]:
    refused: dict[str, str] = {}
    for name in sorted(RESERVED):
        if reason := (yield from _refusal(visit, name)):
            refused[name] = reason
    renamed = yield from _refusal(visit, to_wire("generate_image"))
    answer = f"refused: {', '.join(refused) or 'none'}"
    if renamed:
        answer = f"{answer}; also the name that the package sends instead: {renamed}"
    return Finding(answer=answer, fits=bool(refused) and renamed is None, evidence=refused)


def _refusal(visit: Visit, name: str) -> Flow[str | None]:
    function = {"name": name, "description": "Does nothing.", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    try:
        yield from visit.start("Reply with one word.", tools=tools, completion_args={"max_tokens": 5})
    except InvalidRequestError as error:
        return f"{error.status_code} {error}"
    return None


def _errors(visit: Visit) -> Flow[Finding]:
    unknown_field = {"model": visit.model, "inputs": "Reply with one word.", "size": 1, "metadata": visit.metadata()}
    requested: Sequence[tuple[str, int, Request]] = (
        ("unknown conversation", 404, resource("GET", "conversations", _NO_CONVERSATION)),
        ("unknown file", 404, resource("GET", "files", _NO_FILE)),
        ("unknown field", 422, requests.start_conversation(unknown_field)),
    )
    answers, fits, evidence = [], True, {}
    for what, expected, request in requested:
        # Not `send`, which would turn the body into an error.
        response = cast("Response", (yield request))
        visit.under_way += request.paid and is_success(response.status)  # the field was ignored: it is deleted later
        error = _error(response)
        answers.append(f"{what}: {response.status} {_reading(error)}")
        fits = fits and response.status == expected and "unreadable" not in answers[-1]
        evidence[what] = {"status": response.status, "body": body_outline(response.content), "words": str(error)}
    return Finding(answer="; ".join(answers), fits=fits, evidence=evidence)


def _error(response: Response) -> APIError | None:
    try:
        raise_for_status(response)
    except APIError as error:
        return error
    return None


def _reading(error: APIError | None) -> str:
    """Describe what the package reads of an error."""
    if error is None:
        return "is no error"
    code = "" if error.code is None else f", code {error.code}"
    return ("unreadable" if str(error).startswith("HTTP ") else "readable") + code


def _headers(visit: Visit) -> Flow[Finding]:
    answer = yield from first_answer(visit)
    left = quotas(answer.headers)
    names = sorted(name for name in answer.headers if name.startswith(("x-ratelimit-", "retry-", "mistral-")))
    fits = {"image-generation-minute", "image-generation-day"} <= left.keys()
    quota = ", ".join(f"{name} {quota['remaining']}/{quota.get('limit', '?')}" for name, quota in sorted(left.items()))
    return Finding(answer=quota or "no quota headers", fits=fits, evidence=names)


REFUSALS = (
    Question(
        name="reserved",
        text="Which function names are refused?",
        assumes="the names of Mistral's own functions; not with the prefix local_",
        otherwise="works all the same if no name is refused; if a name with the prefix is, rename the function",
        find=_reserved,
    ),
    Question(
        name="errors",
        text="What do errors look like?",
        assumes="404, 404 and 422, each with a readable message",
        otherwise="error messages may be less clear, or of another class",
        find=_errors,
    ),
    Question(
        name="headers",
        text="Which quotas do headers report?",
        assumes="image-generation, by minute and day (all optional)",
        otherwise="works all the same, but a day's quota cannot be distinguished from a minute's",
        find=_headers,
    ),
)
"""Questions about refusals and quotas."""
