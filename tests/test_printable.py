"""What others wrote reaches no terminal and no log as more than one line, and with nothing that a terminal obeys."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import re
from pathlib import Path

import pytest
from langchain_core.messages import ToolMessage

import langchain_mistral_imagegen
from langchain_mistral_imagegen import errors, notebook
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._printable import one_line, printable
from langchain_mistral_imagegen._protocol.failures import raise_for_status, stream_error
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import APIError
from langchain_mistral_imagegen.middleware._inline_images import store_inline_images
from langchain_mistral_imagegen.sandbox import Behavior
from langchain_mistral_imagegen.stores import image_store

SOURCES = sorted(Path(langchain_mistral_imagegen.__file__).parent.rglob("*.py"))
HOSTILE = {
    "line feed": "\n",
    "carriage return": "\r",
    "Windows line": "\r\n",
    "escape": "\x1b[2J",
    "title": "\x1b]0;owned\x07",
    "backspace": "\b\b",
    "delete": "\x7f",
    "null": "\0",
    "C1 escape": "\x9b2J",
    "next line": "\x85",
    "vertical tab": "\v",
    "form feed": "\f",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "right to left": "\u202e",
    "isolate": "\u2067",
}
FORGED = "x{}WARNING forged"
EVERYTHING = FORGED.format("".join(HOSTILE.values()))


def is_harmless(text: str) -> bool:
    return text.isprintable() and "forged" in text


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_text_becomes_one_line(kind):
    assert is_harmless(one_line(FORGED.format(HOSTILE[kind])))
    assert one_line(f"a  b {kind}") == f"a  b {kind}", "what is printable stays as it is"


@pytest.mark.parametrize("kind", HOSTILE)
def test_lines_stay_lines_on_a_terminal(kind):
    shown = printable(f"a\n\tb{HOSTILE[kind]}c \u00e9 \U0001f642")
    assert shown.startswith("a\n\tb")
    assert shown.endswith("c \u00e9 \U0001f642")
    assert shown.replace("\n", "").replace("\t", "").isprintable()


ERRORS = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.MistralImagegenError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_one_line(kind):
    options = {"sent": True} if issubclass(kind, errors.APIConnectionError) else {}
    if issubclass(kind, APIError):
        options = {"status_code": 500, "code": EVERYTHING, "request_id": EVERYTHING}
    if issubclass(kind, errors.OutcomeUnknownError):
        options = {"conversation_id": EVERYTHING}
    assert is_harmless(str(kind(EVERYTHING, **options)))


BODIES = {
    "text": EVERYTHING,
    "message": json.dumps({"message": EVERYTHING, "code": EVERYTHING}),
    "detail": json.dumps({"detail": [{"loc": [EVERYTHING], "msg": EVERYTHING}]}),
    "error": json.dumps({"error": {"message": EVERYTHING}}),
}


@pytest.mark.parametrize("body", BODIES)
def test_what_the_server_refuses_with_is_one_line(body):
    with pytest.raises(APIError) as caught:
        raise_for_status(
            Response(status=500, headers={"mistral-correlation-id": "a\tb"}, content=BODIES[body].encode())
        )
    assert str(caught.value).isprintable()
    assert caught.value.code is None or str(caught.value.code).isprintable()
    assert is_harmless(str(stream_error(EVERYTHING, 500)))


# --- logs ---


def test_every_module_logs_through_the_logger_whose_records_are_one_line():
    calls = {"debug", "info", "warning", "error", "exception", "critical", "log"}
    found = 0
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if (
                    attr in calls and "log" in name
                ):
                    found += 1
                    assert f"{name} = package_logger()" in source, path
                    message = node.args[1 if attr == "log" else 0]
                    # A text that was put together before would pass the filter unseen.
                    assert isinstance(message, ast.Constant | ast.Name), f"{path}:{node.lineno}"
    assert found > 15


@pytest.mark.parametrize("argument", [EVERYTHING, ValueError(EVERYTHING), Path(EVERYTHING.replace("\0", ""))])
def test_every_argument_of_a_record_becomes_one_line(caplog, argument):
    package_logger().warning("%s after %g seconds, %d times: %r", argument, 0.5, 3, argument)
    assert is_harmless(caplog.messages[0])
    assert "after 0.5 seconds, 3 times" in caplog.messages[0]
    assert len(package_logger().filters) == 1


async def test_a_refusal_that_is_retried_is_logged_in_one_line(face, make_model, sandbox, caplog):
    caplog.set_level(logging.DEBUG, "langchain_mistral_imagegen")
    sandbox.behave(Behavior(status=429, body={"message": EVERYTHING}, headers={"retry-after": "0"}))
    await face.call(make_model(max_retries=1), "invoke", "Hello")
    assert any("retrying" in line and "forged" in line for line in caplog.messages)
    assert [line for line in caplog.messages if not line.isprintable()] == []


async def test_a_conversation_that_is_gone_is_logged_in_one_line(face, model, caplog):
    answer = await face.call(model, "invoke", "Hello")
    answer.response_metadata["conversation_id"] = "conv_1\nforged\x1b[2J"
    await face.call(model, "invoke", [("user", "Hello"), answer, ("user", "And now?")])
    assert "forged" in caplog.text
    assert [line for line in caplog.messages if not line.isprintable()] == []


def test_what_a_tool_returned_is_logged_in_one_line(caplog):
    block = {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": EVERYTHING}
    store_inline_images(ToolMessage([block], name=EVERYTHING, tool_call_id="1"), image_store("memory://printable"))
    assert [line for line in caplog.messages if not line.isprintable()] == []


# --- terminals and notebooks ---


def lines_of(done) -> list[str]:
    text = done.stdout + done.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text)
    return text.splitlines()


def test_the_command_lists_an_agent_in_one_line(command, sandbox):
    sandbox.agents.create({"model": "m", "name": EVERYTHING})
    (line,) = lines_of(command("agents", "list", server=sandbox))
    assert is_harmless(line)


def test_the_command_shows_names_and_ids_in_one_line(command, sandbox):
    file = {"type": "tool_file", "tool": EVERYTHING, "file_id": EVERYTHING, "file_name": EVERYTHING}
    source = {"type": "tool_reference", "tool": "web_search", "title": EVERYTHING, "url": EVERYTHING}
    output = {"type": "message.output", "id": "m", "role": "assistant", "model": EVERYTHING}
    outputs = [
        {"type": "tool.execution", "id": "t", "name": EVERYTHING, "arguments": EVERYTHING, "info": {}},
        {**output, "content": [{"type": "text", "text": "Hello"}, file, source]},
        {"type": EVERYTHING, "id": "u"},
    ]
    sandbox.behave(Behavior(outputs=outputs))
    conversation = json.loads(command("--json", "Hello", server=sandbox).stdout)["conversation_id"]
    lines = lines_of(command("show", conversation, server=sandbox))
    assert [line for line in lines if line.lstrip().startswith(("WARNING", "forged"))] == []
    assert sum("forged" in line for line in lines) >= 4


def test_the_command_prints_an_error_in_one_line(command, sandbox):
    sandbox.behave(Behavior(status=400, body={"object": "error", "message": EVERYTHING}))
    lines = lines_of(command("Draw a cat.", server=sandbox))
    assert [line for line in lines if line.lstrip().startswith(("WARNING", "forged"))] == []
    assert sum("forged" in line for line in lines) == 1


def test_the_progress_in_a_notebook_is_one_line_for_each_image():
    progress = notebook.ImageProgress()
    shown = []
    progress._line.show = lambda text: shown.append(repr(text))
    progress({"type": "mistral.image.failed", "id": EVERYTHING, "error": EVERYTHING})
    progress({"type": "mistral.image.stored", "id": EVERYTHING, "key": EVERYTHING})
    assert [is_harmless(text) for text in shown] == [True, True]
