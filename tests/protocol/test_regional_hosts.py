"""What a regional host refuses is explained by the host: it has no built-in tools, agents and files."""

from __future__ import annotations

import httpx
import pytest

from langchain_mistral_imagegen._protocol.failures import raise_for_status
from langchain_mistral_imagegen._protocol.regional_hosts import is_regional
from langchain_mistral_imagegen._protocol.requests import Request, Response, resource, start_conversation
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import APIError, InvalidRequestError
from langchain_mistral_imagegen.sandbox import Behavior

IMAGES = start_conversation({"model": "m", "inputs": "Draw.", "tools": [{"type": "image_generation"}]})
FUNCTIONS = start_conversation({"model": "m", "inputs": "Draw.", "tools": [{"type": "function"}]})
REFUSAL = b'{"object": "Error", "message": "Not available in this region.", "code": %d}'


def refusal(request: Request | None, *, host: str = "api.eu.mistral.ai", status: int = 400, code: int = 1) -> str:
    with pytest.raises(APIError) as caught:
        raise_for_status(Response(status=status, headers={}, content=REFUSAL % code, host=host), request)
    return str(caught.value)


@pytest.mark.parametrize("host", ["api.eu.mistral.ai", "api.us.mistral.ai", "API.EU.mistral.ai"])
@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize(
    ("request_", "missing"),
    [
        (IMAGES, "built-in tools (image_generation)"),
        (start_conversation({"agent_id": "ag_1", "inputs": "Draw."}), "agents"),
        (resource("GET", "agents"), "agents"),
        (resource("GET", "files", "f"), "files"),
    ],
)
def test_the_host_and_the_remedy_are_named(host: str, status: int, request_: Request, missing: str) -> None:
    message = refusal(request_, host=host, status=status)
    assert message.startswith("Not available in this region. The likely cause")
    assert f"{host} is a regional host, which by Mistral's documentation has no {missing};" in message
    assert "base_url='https://api.mistral.ai'" in message


@pytest.mark.parametrize(
    ("request_", "more"),
    [
        (IMAGES, {"host": "api.mistral.ai"}), (IMAGES, {"host": "127.0.0.1"}), (IMAGES, {"host": ""}),
        (IMAGES, {"status": 401}), (IMAGES, {"status": 429}), (IMAGES, {"status": 500}), (IMAGES, {"code": 3051}),
        (FUNCTIONS, {}), (resource("GET", "conversations"), {}), (None, {}),
    ],
)  # fmt: skip
def test_other_refusals_have_other_causes(request_: Request | None, more: dict) -> None:
    assert "regional" not in refusal(request_, **more)


def test_on_a_regional_host_another_model_is_no_remedy() -> None:
    assert "mistral-medium-latest" in refusal(IMAGES, host="api.mistral.ai", code=3004)
    assert "regional host" in refusal(IMAGES, code=3004)
    assert "mistral-medium-latest" not in refusal(IMAGES, code=3004)


def test_the_setting_says_so() -> None:
    description = ChatMistralConversations.model_fields["base_url"].description
    assert "https://api.eu.mistral.ai" in description
    assert "images may be refused; the error then names the host" in description
    assert [is_regional(host) for host in ("api.eu.mistral.ai", "api.mistral.ai", "api.eu.mistral.ai.example")] == [
        True, False, False,
    ]  # fmt: skip


async def test_a_model_that_asks_a_regional_host(face, make_model, sandbox) -> None:
    """The sandbox answers in the place of the regional host."""

    def to_sandbox(request: httpx.Request) -> httpx.Request:
        where = httpx.URL(sandbox.url)
        url = request.url.copy_with(scheme="http", host=where.host, port=where.port)
        return httpx.Request(
            request.method, url, headers=request.headers, content=request.content, extensions=request.extensions
        )

    class Here(httpx.HTTPTransport):
        def handle_request(self, request):
            return super().handle_request(to_sandbox(request))

    class HereAsync(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request):
            return await super().handle_async_request(to_sandbox(request))

    sandbox.behave(Behavior(status=400, body={"object": "Error", "message": "No such tool.", "code": 3000}))
    with httpx.Client(transport=Here()) as client:
        async with httpx.AsyncClient(transport=HereAsync()) as async_client:
            model = make_model(base_url="https://api.eu.mistral.ai", http_client=client, http_async_client=async_client)
            with pytest.raises(InvalidRequestError, match=r"No such tool\. The likely cause: api\.eu\.mistral\.ai is"):
                await face.call(model, "invoke", "Draw.")
