"""Every operation under every fault, on real sockets: what is repeated, which error comes, what was paid, what is found.

The table below is the expectation, and the one in the guide is made of it.
"""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

import pytest
from documents import guide
from faults import FaultyProxy
from langchain_core.messages import HumanMessage

from langchain_mistral_imagegen import api, errors, images_of
from langchain_mistral_imagegen._protocol.retry import RetryPolicy

CAT, BLUE, RED = map(HumanMessage, ["Draw a cat.", "Make it blue.", "Make it red."])


class Outcome(NamedTuple):
    """What an operation comes to: an error (or none, if it succeeds), after how many repetitions."""

    error: str
    repeats: int = 0


FINE = Outcome("")
UNKNOWN = Outcome("OutcomeUnknownError")
REFUSED = Outcome("InvalidRequestError")
FAILED = Outcome("ServerError")
BUSY = Outcome("RateLimitError", 2)
UNREACHABLE = Outcome("APIConnectionError", 2)
UNREADABLE = Outcome("InvalidResponseError")
AGAIN = {"error": FAILED._replace(repeats=2), "timeout": Outcome("APITimeoutError", 2)}

# fault: asks for money (start, append, restart, stream), reads (history, list, download), makes an agent
TABLE = {
    "refused connection": (UNREACHABLE, UNREACHABLE, UNREACHABLE),
    "unknown host": (UNREACHABLE, UNREACHABLE, UNREACHABLE),
    "TLS failure": (UNREACHABLE, UNREACHABLE, UNREACHABLE),
    "no answer": (UNKNOWN, AGAIN["timeout"], UNKNOWN),
    "reset before it was read": (UNKNOWN, UNREACHABLE, UNKNOWN),
    "reset after it was read": (UNKNOWN, UNREACHABLE, UNKNOWN),
    "reset in the body": (UNKNOWN, UNREACHABLE, UNKNOWN),
    "body cut short": (UNKNOWN, UNREACHABLE, UNKNOWN),
    "a byte at a time": (FINE, FINE, FINE),
    "wrong content type": (FINE, FINE, FINE),
    "408": (UNKNOWN, REFUSED._replace(repeats=2), UNKNOWN),
    "203": (FINE, FINE, FINE),
    "206": (UNKNOWN, AGAIN["error"], UNKNOWN),
    "400 with Mistral's code": (REFUSED, REFUSED, REFUSED),
    "400": (UNKNOWN, REFUSED, UNKNOWN),
    "400 after it was read": (UNKNOWN, REFUSED, UNKNOWN),
    "429 with Mistral's code": (BUSY, BUSY, BUSY),
    "429": (UNKNOWN, BUSY, UNKNOWN),
    "429 with Retry-After 7": (UNKNOWN, BUSY, UNKNOWN),
    "500 with Mistral's code": (FAILED, AGAIN["error"], FAILED),
    "500": (UNKNOWN, AGAIN["error"], UNKNOWN),
    "502": (UNKNOWN, AGAIN["error"], UNKNOWN),
    "503 with Retry-After 7": (UNKNOWN, AGAIN["error"], UNKNOWN),
    "504": (UNKNOWN, AGAIN["error"], UNKNOWN),
    "504 after it was read": (UNKNOWN, AGAIN["error"], UNKNOWN),
    "307": (UNKNOWN, REFUSED, UNKNOWN),
    "HTML": (UNKNOWN, UNREADABLE, UNREADABLE),
    "empty body": (UNKNOWN, UNREADABLE, UNREADABLE),
    "no JSON": (UNKNOWN, UNREADABLE, UNREADABLE),
    "gzip bomb": (UNKNOWN, UNREADABLE, UNKNOWN),
}
CARRIED_OUT = {
    "no answer",
    "reset after it was read",
    "reset in the body",
    "body cut short",
    "400 after it was read",
    "504 after it was read",
    "206",
}
PAYING = ("start", "append", "restart", "stream")
OPERATIONS = {**dict.fromkeys(PAYING, 0), "history": 1, "list": 1, "download": 1, "make an agent": 2}
MATCHES = {
    "start": "POST /v1/conversations ",
    "stream": "POST /v1/conversations ",
    "append": "POST /v1/conversations/conv",
    "restart": "/restart ",
    "history": "/history ",
    "list": "GET /v1/conversations",
    "download": "/content ",
    "make an agent": "POST /v1/agents ",
}


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were to be waited before repetitions; nothing waits."""
    asked: list[float] = []

    class Impatient(RetryPolicy):
        def delay(self, *args):
            wait = super().delay(*args)
            asked.extend([] if wait is None else [wait])
            return None if wait is None else 0.0

    monkeypatch.setattr("langchain_mistral_imagegen.chat_models._connected.RetryPolicy", Impatient)
    return asked


@pytest.fixture
def proxy(sandbox):
    proxy = FaultyProxy(sandbox.url)
    yield proxy
    proxy.close()


def unreachable(fault, sandbox):
    """Return the URL of a server that cannot be reached."""
    if fault == "TLS failure":
        return sandbox.url.replace("http:", "https:")
    if fault == "unknown host":
        return "http://no-such-host.invalid"
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return f"http://127.0.0.1:{gone.getsockname()[1]}"


async def prepared(face, model, operation):
    """Return what does the operation, once what it needs is there."""
    if operation in {"start", "stream"}:
        return lambda model: face.call(model, "invoke", [CAT]) if operation == "start" else face.streamed(model, [CAT])
    if operation == "list":
        return lambda model: face.run(model, api.list_conversations())
    if operation == "make an agent":
        return lambda model: face.call(model, "ensure_agent", "Painter")
    first = await face.call(model, "invoke", [CAT])
    if operation == "history":
        return lambda model: face.run(model, api.conversation_history(first.response_metadata["conversation_id"]))
    if operation == "download":
        return lambda model: face.call(model, "images", first)
    if operation == "restart":
        await face.call(model, "invoke", [CAT, first, RED])
    return lambda model: face.call(model, "invoke", [CAT, first, BLUE])


CELLS = [
    (fault, operation)
    for fault in TABLE
    for operation in OPERATIONS
    # What an append and a restart do first, reading the history, fails already.
    if not (fault in list(TABLE)[:3] and operation in {"append", "restart", "make an agent"})
]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "operation"), CELLS)
async def test_it(face, fault, operation, sandbox, proxy, make_model, waits):
    expected = TABLE[fault][OPERATIONS[operation]]
    if operation == "restart" and expected == REFUSED:
        expected = FINE  # the history is replayed instead
    usual = make_model(base_url=proxy.url)
    do = await prepared(face, usual, operation)
    paid, made = sandbox.paid, len(sandbox.agents.by_id)
    if fault in list(TABLE)[:3]:
        model = make_model(base_url=unreachable(fault, sandbox))
    else:
        model = make_model(base_url=proxy.url, timeout=0.3 if fault == "no answer" else 20)
        proxy.fault, proxy.matches = fault, lambda line: MATCHES[operation] in line

    error = None
    try:
        await do(model)
    except errors.MistralImagegenError as raised:
        error = raised
    assert name_of(error, operation) == expected.error, error
    assert len(waits) == expected.repeats
    assert set(waits) <= ({7.0} if "Retry-After" in fault else {0.5, 1.0})
    if proxy.hit:
        assert len(proxy.hit) == 1 + expected.repeats

    proxy.fault = ""
    carried_out = fault in CARRIED_OUT or not expected.error
    if operation in PAYING:
        assert sandbox.paid - paid == carried_out
        if isinstance(error, errors.OutcomeUnknownError):
            found = await face.call(usual, "reconcile", error)
            assert [len(images_of(found))] if found else [1] * carried_out == []
            assert sandbox.paid - paid == carried_out
    if operation == "make an agent":
        assert len(sandbox.agents.by_id) - made == carried_out


def name_of(error, operation):
    """Return the class of an error, as the table has it."""
    if isinstance(error, errors.OutcomeUnknownError):
        return "OutcomeUnknownError"
    if isinstance(error, errors.InvalidImageError) and operation == "download":
        return "InvalidResponseError"  # what is read there is an image
    return type(error).__name__ if error else ""


OUTCOMES = {
    FINE: "succeeds",
    UNKNOWN: "`OutcomeUnknownError`, not repeated",
    REFUSED: "`InvalidRequestError`",
    FAILED: "`ServerError`, not repeated",
    UNREADABLE: "`InvalidResponseError`",
}


def in_words(outcome: Outcome) -> str:
    return OUTCOMES.get(outcome) or f"repeated, then `{outcome.error}`"


def drawn() -> str:
    """Return the table of the guide."""
    rows = ["| fault | asks for money | reads, downloads | makes an agent |", "| --- | --- | --- | --- |"]
    same: dict[tuple[Outcome, ...], list[str]] = {}
    for fault, outcomes in TABLE.items():
        same.setdefault(outcomes, []).append(fault)
    rows += [f"| {', '.join(faults)} | {' | '.join(map(in_words, outcomes))} |" for outcomes, faults in same.items()]
    return "\n".join(rows)


def test_the_readme_has_this_table():
    shown = re.search(r"<!-- faults -->\n(.*?)\n<!-- /faults -->", guide("errors").read_text(), re.DOTALL)
    assert shown, drawn()
    assert shown[1] == drawn()
