"""What does not get out: local variables of errors, signed URLs in the HTTP library's logs."""

from __future__ import annotations

import importlib
import json
import logging
import subprocess
import sys
import traceback

import httpx
import pytest
from written_urls import AROUND, WRITTEN

from langchain_mistral_imagegen._http import secrecy
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.sync_client import Client
from langchain_mistral_imagegen._protocol.entries import Unknown
from langchain_mistral_imagegen._protocol.failures import raise_for_status, stream_error
from langchain_mistral_imagegen._protocol.flows import send
from langchain_mistral_imagegen._protocol.requests import Request, Response
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen.errors import APIConnectionError, APIError

LIST = Request(method="GET", path="/v1/conversations")
HTTP_LIBRARY = [logging.getLogger(name) for name in ("httpx", "httpcore.http11", "httpcore.http2")]


@pytest.fixture
def client():
    made = Client(Settings(base_url="http://127.0.0.1:9", api_key=lambda: "canary", retry=RetryPolicy(max_retries=0)))
    yield made
    made.close()


def names_of_locals(error: BaseException) -> set[str]:
    """Return the names of the local variables in the package's frames."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame.f_globals["__name__"].startswith("langchain_mistral_imagegen")]
    assert ours
    return {name for frame in ours for name in frame.f_locals}


@pytest.mark.parametrize(("value", "kept"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_the_locals_of_an_error_are_kept_for_debugging_only(client, monkeypatch, value, kept):
    if value is None:
        monkeypatch.delenv("MISTRAL_IMAGEGEN_KEEP_LOCALS", raising=False)
    else:
        monkeypatch.setenv("MISTRAL_IMAGEGEN_KEEP_LOCALS", value)
    with pytest.raises(APIConnectionError) as caught:
        client.run(send(LIST))
    assert ("request" in names_of_locals(caught.value)) is kept


@pytest.mark.slow
def test_importing_the_package_changes_no_logger_of_another_library():
    code = (
        "import logging; from langchain_mistral_imagegen import ChatMistralConversations; "
        "print([logging.getLogger(name).filters for name in ('httpx', 'httpcore.http11', 'httpcore.http2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[], [], []]"


def test_a_reload_adds_no_second_filter(client):
    importlib.reload(secrecy)
    secrecy.redact_http_logs()
    names = [[type(one).__name__ for one in logger.filters] for logger in HTTP_LIBRARY]
    assert names == [["_RedactSignedUrls"]] * 3


@pytest.mark.parametrize("written", WRITTEN)
def test_no_log_of_the_http_library_shows_a_signature(client, caplog, written):
    caplog.set_level(logging.DEBUG)
    for logger in HTTP_LIBRARY:
        for around in AROUND.values():
            logger.debug(around.format(WRITTEN[written]).replace("%", "%%"))
        logger.debug("%s %s", "GET", httpx.URL(WRITTEN[written].replace("\\", "")))
    assert len(caplog.messages) == len(HTTP_LIBRARY) * (len(AROUND) + 1)
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("written", WRITTEN)
def test_no_error_shows_a_signature(written):
    for around in AROUND.values():
        text = around.format(WRITTEN[written])
        bodies = [text, json.dumps({"message": text}), json.dumps({"detail": [{"loc": [text], "msg": text}]})]
        for body in bodies:
            with pytest.raises(APIError) as caught:
                raise_for_status(Response(status=500, headers={}, content=body.encode()))
            assert "SECRET" not in repr(caught.value) + str(caught.value)
        assert "SECRET" not in str(stream_error(text, 500))
        assert "SECRET" not in repr(Unknown.of({"a": [text]}))
