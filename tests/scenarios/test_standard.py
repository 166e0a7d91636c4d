"""LangChain's own test suites, over real HTTP against the sandbox; with a key, against Mistral.

The sandbox proves plumbing (what is sent, accepted, streamed and read back), not a model's quality. To run the same
classes against the real API, which costs a few cents: `MISTRAL_API_KEY=... pytest tests/scenarios/test_standard.py --live`.
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, ToolsUnitTests

from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool
from langchain_mistral_imagegen.sandbox import Sandbox

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
NOT_LOADABLE = (
    "load() only takes classes that langchain-core lists, so no other package's; test_chat_models.py names it"
)


class TestUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatMistralConversations

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "mistral-medium-latest", "api_key": "test"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {"MISTRAL_API_KEY": "key", "MISTRAL_BASE_URL": "https://api.eu.mistral.ai"}
        return environment, {}, {"mistral_api_key": "key", "base_url": "https://api.eu.mistral.ai"}

    @pytest.mark.xfail(reason=NOT_LOADABLE)
    def test_serdes(self, model: BaseChatModel, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)


class Server:
    """Where the suites run: the sandbox, or Mistral."""

    url = ""
    agent = os.environ.get("MISTRAL_AGENT_ID", "")
    key = os.environ.get("MISTRAL_API_KEY", "")


@pytest.fixture(scope="module", autouse=True)
def server(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.config.getoption("--live"):
        Server.url = "https://api.mistral.ai"
        yield
        return
    with Sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
        Server.url, Server.key = sandbox.url, "sandbox-key"
        Server.agent = sandbox.agents.create({"model": "mistral-medium-latest", "name": "Standard"})["id"]
        # The images and documents that some tests fetch from public servers.
        patch.setattr(
            httpx, "get", lambda url, **_: httpx.Response(200, content=b"%PDF-1.4" if "pdf" in url else PIXEL)
        )
        yield


@pytest.fixture(autouse=True)
async def closed(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Close what the suites open, on the event loop that it belongs to."""
    made = [request.getfixturevalue(name) for name in ("model", "tool") if name in request.fixturenames]
    yield
    for model in (one.model if isinstance(one, MistralImageGenerationTool) else one for one in made):
        model.close()
        await model.aclose()


class TestModel(ChatModelIntegrationTests):
    """With a model and its tools, as most people use it."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatMistralConversations

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "mistral-medium-latest", "base_url": Server.url, "api_key": Server.key}

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    model_override_value = "mistral-small-latest"


class TestCompletions(TestModel):
    """The same over chat completions."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "transport": "completions"}


class TestAgent(ChatModelIntegrationTests):
    """With an agent, which brings its own model, tools and completion arguments."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatMistralConversations

    @property
    def chat_model_params(self) -> dict[str, Any]:
        if not Server.agent:
            pytest.skip("needs MISTRAL_AGENT_ID")
        return {"agent_id": Server.agent, "base_url": Server.url, "api_key": Server.key}

    has_tool_calling = False
    has_tool_choice = False
    has_structured_output = False
    supports_model_override = False
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True


class ToolParameters:
    tool_constructor = MistralImageGenerationTool
    tool_invoke_params_example: ClassVar = {"prompt": "an orange cat in an office"}

    @property
    def tool_constructor_params(self) -> dict[str, Any]:
        model = ChatMistralConversations(base_url=Server.url, api_key=Server.key)
        return {"model": model, "image_store": "memory://standard"}


class TestToolUnit(ToolParameters, ToolsUnitTests):
    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return {"MISTRAL_API_KEY": "key"}, {}, {"name": "generate_image"}


class TestTool(ToolParameters, ToolsIntegrationTests):
    """Draws images: four of them, when it runs against Mistral."""


def test_the_classes_override_nothing_but_what_no_other_package_can_pass() -> None:
    overridden = [
        name
        for kind in (TestUnit, TestModel, TestAgent, TestToolUnit, TestTool)
        for name in vars(kind)
        if name.startswith("test_")
    ]
    assert overridden == ["test_serdes"]
