"""The code in public docstrings runs."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Any

import pytest

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    MistralImageGenerationTool,
    confirm,
    create_image_graph,
    to_portable_messages,
)
from langchain_mistral_imagegen.middleware import ImagesMiddleware, PortableMessagesMiddleware
from langchain_mistral_imagegen.web import image_routes

DOCUMENTED = [
    ChatMistralConversations,
    MistralImageGenerationTool,
    create_image_graph,
    to_portable_messages,
    ImagesMiddleware,
    PortableMessagesMiddleware,
    image_routes,
]
SECTIONS = """Setup, Key init args (completion), Key init args (client), Instantiate, Invoke, Images, Stream, Async,
Several turns, Tool calling, Structured output, Image input, Agents, Token usage, Response metadata"""


def code_of(documented) -> str:
    found = re.findall(r"^ *```python\n(.*?)^ *```", inspect.getdoc(documented), re.MULTILINE | re.DOTALL)
    return "\n".join(map(textwrap.dedent, found))


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda one: one.__name__)
async def test_it_runs(documented, sandbox, monkeypatch, make_model):
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("MISTRAL_BASE_URL", sandbox.url)
    names: dict[str, Any] = {}
    if "model = " not in code_of(documented):
        names |= {"model": make_model(), documented.__name__: documented}
        exec("from langchain_core.messages import HumanMessage", names)  # noqa: S102  # that is the test
    code = compile(code_of(documented), "docstring", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    ran = eval(code, names)  # noqa: S307  # that is the test
    if inspect.isawaitable(ran):
        await ran
    for made in [one for one in names.values() if isinstance(one, ChatMistralConversations)]:
        make_model(made)


def test_the_chat_model_has_the_sections_that_langchains_docs_expect():
    sections = re.findall(r"^([A-Z][\w ()]+):$", inspect.getdoc(ChatMistralConversations), re.MULTILINE)
    assert sections == [section.strip() for section in SECTIONS.split(",")]


def test_every_public_method_is_documented():
    for name, member in inspect.getmembers(ChatMistralConversations):
        if not name.startswith("_") and name in vars(ChatMistralConversations) and callable(member):
            assert inspect.getdoc(member), name
    assert "Example" in inspect.getdoc(confirm)
