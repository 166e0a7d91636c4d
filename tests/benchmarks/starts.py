"""What a process pays before its first request: imports, chat models, a TLS context."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from measure import Row, Times, interleaved, medians, ratio

_IMPORTS = {
    "python": "pass",
    "package": "import langchain_mistral_imagegen",
    "langchain-core + httpx": "from langchain_core.language_models import BaseChatModel; import httpx",
    "ours": "from langchain_mistral_imagegen import ChatMistralConversations",
    "mistralai SDK": "from mistralai.client import Mistral; Mistral(api_key='k').beta.conversations",
    "langchain-mistralai": "from langchain_mistralai import ChatMistralAI",
    "langchain-openai": "from langchain_openai import ChatOpenAI",
}


def imports(rounds: int) -> Iterator[Row]:
    clients = {name: lambda code=code: _python("-c", code) for name, code in _IMPORTS.items()}
    times: Times = interleaved(clients, rounds, _children_cpu)
    details = {"medians": medians(times, 1e3), "each": "ms of CPU for a process"}
    extra = [a - b for a, b in zip(times["package"], times["python"], strict=True)]
    yield Row(what="`import` of the package", target=50, measured=statistics.median(extra) * 1e3, unit="ms", **details)
    yield Row(
        what="chat model's import, to langchain-core + httpx",
        target=1.1,
        measured=ratio(times, "ours", "langchain-core + httpx"),
        **details,
    )


def first_requests(rounds: int) -> Iterator[Row]:
    script = str(Path(__file__).with_name("first_request.py"))
    results = [json.loads(_python(script)) for _ in range(rounds)]
    models = statistics.median(result["models_ms"] for result in results)
    second = statistics.median(result["second_ms"] for result in results)
    yield Row(what="100 chat models", target=20, measured=models, unit="ms")
    yield Row(what="TLS contexts before a request", target=0, measured=results[0]["contexts_before"], unit="in all")
    yield Row(
        what="TLS contexts after first requests of 4 clients",
        target=1,
        measured=results[0]["contexts_after"],
        unit="in all",
    )
    yield Row(what="second client, its first request", target=10, measured=second, unit="ms")


def _python(*args: str) -> bytes:
    # With bytecode, as installed packages have it: compiling a checkout anew each time is no cost of users'.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, *args], check=True, capture_output=True, env=env).stdout


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
