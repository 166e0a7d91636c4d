"""The sandbox, a model that talks to it, and one face for the synchronous and asynchronous sides of everything."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import fsspec
import psycopg
import pytest
from cli_process import variables
from debian_postgres import find_programs, running_postgres
from faces import Face
from hypothesis import settings
from mistral_rules import check_request

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore
from langchain_mistral_imagegen._cli.main import main
from langchain_mistral_imagegen.sandbox import Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record",
        choices=["sandbox", "live"],
        help="record the cassettes anew: from the sandbox, or from the real API (needs MISTRAL_API_KEY, costs money)",
    )
    parser.addoption(
        "--live",
        action="store_true",
        help="run the tests marked `live`, and LangChain's standard suites, against the real API "
        "(needs MISTRAL_API_KEY; costs money, but with -m live less than 0.01 USD)",
    )
    parser.addoption("--pay", action="store_true", help="with --live: draw two images, too (about 0.20 USD)")
    parser.addoption(
        "--nightly", action="store_true", help="try far more examples in the property tests, and bigger loads"
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's `&`; the programs of tests would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "live: asks the real API; runs with --live only, or to record from it")
    config.addinivalue_line("markers", "engines: needs a real server; runs with -m engines only")
    config.addinivalue_line("markers", "nightly: takes long; runs with --nightly only")
    config.addinivalue_line("markers", 'slow: half a second, or a table of hundreds; left out by -m "not slow"')
    settings.register_profile("default", max_examples=60, deadline=None, derandomize=True, database=None)
    settings.register_profile("nightly", max_examples=2_500, deadline=None, print_blob=True)
    settings.load_profile("nightly" if config.getoption("--nightly") else "default")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--record") == "live":
        for item in items:
            if item.path.name == "test_cassettes.py":
                item.add_marker("live")
    if config.getoption("--nightly"):
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


def pytest_runtest_setup(item: pytest.Item) -> None:
    may_ask = item.config.getoption("--live") or item.config.getoption("--record") == "live"
    if item.get_closest_marker("live") and not may_ask:
        pytest.skip("runs with --live only")
    if item.get_closest_marker("engines") and "engines" not in item.config.option.markexpr:
        pytest.skip("runs with -m engines only")
    if item.get_closest_marker("nightly") and not item.config.getoption("--nightly"):
        pytest.skip("runs with --nightly only")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No key, no server, no database and no folder of whoever runs the tests."""
    for name in ("MISTRAL_API_KEY", "MISTRAL_BASE_URL", "MISTRAL_IMAGEGEN_STORE", "LANGSMITH_TRACING", "POSTGRES_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh sandbox; Mistral's own validators check what was sent to it and accepted."""
    with Sandbox() as running:
        yield running
        for request in running.requests:
            if request.method == "POST" and isinstance(request.json, dict):
                check_request(request.path, request.json)


@pytest.fixture
def sandbox_process() -> Iterator[str]:
    """The URL of a sandbox in a process of its own, for tests that watch or measure this one."""
    command = [sys.executable, "-m", "langchain_mistral_imagegen.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield re.search(r"http://\S+\d", process.stdout.readline()).group()
        process.terminate()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in this process."""

    def run(*args: str, server: Sandbox | None = None, stdin: str = "", **env: str) -> Any:
        with monkeypatch.context() as patch:
            for name, value in variables(server, **env).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            try:
                code = main(args)
            except SystemExit as end:
                code = int(end.code or 0)
        output = capsys.readouterr()
        return subprocess.CompletedProcess(args, code, output.out, output.err)

    return run


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Face:
    return Face(request.param)


@pytest.fixture
async def make_model(sandbox: Sandbox) -> AsyncIterator[Callable[..., ChatMistralConversations]]:
    """Makes models that talk to the sandbox, and closes their connections in the end."""
    made: list[ChatMistralConversations] = []

    def make(like: ChatMistralConversations | None = None, **settings: Any) -> ChatMistralConversations:
        new = like or ChatMistralConversations(**{"base_url": sandbox.url, "api_key": "sandbox-key", **settings})
        made.append(new)
        return new

    yield make
    for model in made:
        model.close()
        await model.aclose()


@pytest.fixture
async def model(make_model: Callable[..., ChatMistralConversations]) -> ChatMistralConversations:
    return make_model(max_retries=0)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, Any]]:
    """A server that speaks S3 (moto's), as options of an fsspec filesystem."""
    from moto.server import ThreadedMotoServer  # heavy

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    app, turn = server._server.app, threading.Lock()

    def one_at_a_time(*request: Any) -> Any:
        with turn:  # moto looks and then writes: of two conditional puts at once, both might succeed
            return app(*request)

    server._server.app = one_at_a_time
    host, port = server.get_host_and_port()
    yield {"endpoint_url": f"http://{host}:{port}", "key": "k", "secret": "s"}
    server.stop()


@pytest.fixture
def s3_store(s3_server: dict[str, Any]) -> FsspecImageStore:
    """A store in a new bucket."""
    bucket = f"bucket-{secrets.token_hex(8)}"
    fsspec.filesystem("s3", **s3_server).mkdir(bucket)
    return FsspecImageStore(f"s3://{bucket}/images", s3_server)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL server, for the length of the tests: of the package `pgserver`, else the system's own."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())  # else its package warns when it is imported
    if importlib.util.find_spec("pgserver") is None:
        programs = find_programs() or pytest.skip("no PostgreSQL: pgserver has wheels for Python 3.11 and 3.12 only")
        with running_postgres(programs) as (uri, _):
            yield uri
        return
    import pgserver

    with pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete") as server:
        yield server.get_uri()


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The URI of a new database."""
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server.replace("/postgres?", f"/{name}?")
