"""`ChatMistralConversations`: Mistral's agents and conversations as a LangChain chat model."""

from __future__ import annotations

import copy
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from typing import Any, Literal, Self, Unpack

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils import from_env, secret_from_env
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, SecretStr, model_validator

import langchain_mistral_imagegen._content_blocks  # noqa: F401  # registers the translator
from langchain_mistral_imagegen import _protocol
from langchain_mistral_imagegen._answers import AnswerStream, to_message
from langchain_mistral_imagegen._client import AsyncClient, Client, Settings
from langchain_mistral_imagegen._continuation import Append, plan
from langchain_mistral_imagegen._downloads import DownloadOptions, Downloads
from langchain_mistral_imagegen._flows import converse
from langchain_mistral_imagegen._inputs import to_inputs
from langchain_mistral_imagegen._references import images_of
from langchain_mistral_imagegen._retry import RetryPolicy
from langchain_mistral_imagegen._signed_urls import SignedUrls
from langchain_mistral_imagegen._version import __version__
from langchain_mistral_imagegen._wire import ConversationResponse
from langchain_mistral_imagegen.errors import MissingAPIKeyError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef
from langchain_mistral_imagegen.stores import ImageStore

DEFAULT_BASE_URL = "https://api.mistral.ai"
DEFAULT_MODEL = "mistral-medium-latest"

# What a call or `bind` may override, and what of it goes into `completion_args`.
_COMPLETION_ARGS = (
    "temperature",
    "top_p",
    "max_tokens",
    "random_seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "response_format",
    "tool_choice",
)


class ChatMistralConversations(BaseChatModel):
    """Mistral's agents and conversations, with image generation built in.

    A conversation is asked either through a `model` (with `tools` and `instructions` of your own) or through an agent
    (`agent_id`, which brings its own). Generated pictures arrive as references; `images` downloads them.

    Setup:
        `pip install langchain-mistral-imagegen` and set `MISTRAL_API_KEY`. Without a key, use the bundled sandbox:
        `with Sandbox() as s: ChatMistralConversations(base_url=s.url, api_key="sandbox")`.

    Instantiate:
        ```python
        from langchain_mistral_imagegen import ChatMistralConversations

        model = ChatMistralConversations(model="mistral-medium-latest", temperature=0.3)
        ```

    Invoke:
        ```python
        answer = model.invoke("Generate an orange cat in an office.")
        answer.text
        ```

    Images:
        ```python
        for image in model.images(answer):
            image.save("cat")
        ```

    Response metadata:
        `answer.response_metadata` has `conversation_id`, `entry_ids`, `head` (the last entry's id), `model_name`,
        `agent_id`, `connectors` (how often each built-in tool was called, which is what Mistral bills) and
        `finish_reason`. `answer.usage_metadata` counts connector tokens as input tokens.

    Docs: https://docs.mistral.ai/studio-api/agents/agent-tools/image_generation
    """

    model_config = ConfigDict(populate_by_name=True)

    model: str = Field(default=DEFAULT_MODEL, alias="model_name")
    """Model to converse with; left out when `agent_id` is given."""
    agent_id: str | None = None
    """Agent to converse with; it brings its own model, instructions, tools and completion arguments."""
    agent_version: int | str | None = None
    """Version or alias of the agent; its newest by default."""
    tools: list[dict[str, Any]] = Field(default_factory=lambda: [{"type": "image_generation"}])
    """Tools in Mistral's form. `bind_tools` adds functions to them. Not sent with `agent_id`."""
    instructions: str | None = None
    """System prompt that stands before the system messages. Not sent with `agent_id`."""
    temperature: float | None = None
    """0 to 1."""
    top_p: float | None = None
    """0 to 1."""
    max_tokens: int | None = None
    """Most tokens of one answer."""
    random_seed: int | None = None
    """For repeatable text; the picture tool has no seed."""
    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Strings that end the text."""
    store: bool = True
    """Whether Mistral keeps the conversation, which continuing it needs. (Where pictures go is `image_store`.)"""
    handoff_execution: Literal["client", "server"] | None = None
    """Who runs handoffs between agents; the server by default. Only with `agent_id`."""
    conversation_metadata: dict[str, Any] | None = None
    """Kept by Mistral with a started conversation, to find it again."""
    mistral_api_key: SecretStr | None = Field(
        default_factory=secret_from_env("MISTRAL_API_KEY", default=None), alias="api_key"
    )
    """API key; from `MISTRAL_API_KEY` by default."""
    base_url: str = Field(default_factory=from_env("MISTRAL_BASE_URL", default=DEFAULT_BASE_URL))
    """Server; from `MISTRAL_BASE_URL`, or `https://api.mistral.ai`."""
    timeout: float = 300.0
    """Seconds without any byte from the server; drawing one picture takes about ten."""
    max_retries: int = 2
    """Repetitions of what cannot cost twice: refused connections, 429, downloads."""
    default_headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Headers added to each request to Mistral."""
    streaming: bool = False
    """Whether `invoke` streams internally, so that callbacks see tokens."""
    http_client: httpx.Client | None = Field(default=None, exclude=True, repr=False)
    """HTTP client of your own; it is not closed."""
    http_async_client: httpx.AsyncClient | None = Field(default=None, exclude=True, repr=False)
    """Asynchronous HTTP client of your own; it is not closed and belongs to one event loop."""

    # --- images ---

    def images(self, message: BaseMessage) -> list[GeneratedImage]:
        """Download the pictures of a message, in order; `[]` if it has none.

        Raises:
            ImageError: If a picture can no longer be fetched, or is none.
            APIError: If the server refuses.
        """
        return self._client.run(self._downloads().fetch(images_of(message)))

    async def aimages(self, message: BaseMessage) -> list[GeneratedImage]:
        """Download the pictures of a message; see `images`."""
        return await self._async_client.run(self._downloads().fetch(images_of(message)))

    def store_images(
        self, refs: Sequence[ImageRef], store: ImageStore, **options: Unpack[DownloadOptions]
    ) -> list[ImageRef | Exception]:
        """Download pictures straight into an image store, in order; memory does not grow with their size.

        Returns:
            For each picture its reference, `stored`, or the error that kept it from being stored.
        """
        return self._client.run(self._downloads(**options).store(refs, store))

    async def astore_images(
        self, refs: Sequence[ImageRef], store: ImageStore, **options: Unpack[DownloadOptions]
    ) -> list[ImageRef | Exception]:
        """Download pictures straight into an image store; see `store_images`."""
        return await self._async_client.run(self._downloads(**options).store(refs, store))

    # --- LangChain's hooks ---

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(self._client.run(converse(self._request(messages, stop, kwargs), self._retry)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        return self._result(await self._async_client.run(converse(request, self._retry)))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs, stream=True)
        answer = AnswerStream(**self._answer_options)
        with answer.complete(), closing(self._client.stream(request, self._retry)) as events:
            for chunk in (chunk for event in events for chunk in answer.feed(event)):
                generation = ChatGenerationChunk(message=chunk)
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=generation)
                yield generation

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs, stream=True)
        answer = AnswerStream(**self._answer_options)
        async with aclosing(self._async_client.stream(request, self._retry)) as events:
            with answer.complete():
                async for event in events:
                    for chunk in answer.feed(event):
                        generation = ChatGenerationChunk(message=chunk)
                        if run_manager:
                            await run_manager.on_llm_new_token(chunk.text, chunk=generation)
                        yield generation

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Give the model tools, besides those of `self.tools`.

        Args:
            tools: Functions, pydantic classes, LangChain tools, or Mistral's built-in tools as dicts.
            tool_choice: `"auto"`, `"none"`, or `"any"`, `"required"` or `True` (which Mistral refuses together with a
                built-in tool).
            **kwargs: Passed on to each call.
        """
        if tool_choice is not None:
            required = tool_choice in {True, "any", "required"}
            kwargs["tool_choice"] = "required" if required else tool_choice or "none"
        return self.bind(tools=[_tool(tool) for tool in tools], **kwargs)

    # --- requests and answers ---

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        overrides: dict[str, Any],
        *,
        stream: bool = False,
    ) -> _protocol.Request:
        todo = plan(messages, store=self.store)
        inputs = to_inputs(todo.messages)
        body = {"store": self.store, **self._completion_args(stop, overrides)}
        if isinstance(todo, Append):
            body["inputs"] = inputs.as_entries()
            return _protocol.append_to_conversation(todo.conversation_id, body, stream=stream)
        if self.conversation_metadata:
            body["metadata"] = self.conversation_metadata
        if self.agent_id:
            body |= self._agent() | {"inputs": inputs.as_entries()}
        else:
            body |= self._model(inputs.instructions, overrides) | {"inputs": inputs.entries}
        return _protocol.start_conversation(body, stream=stream)

    def _agent(self) -> dict[str, Any]:
        options = {"agent_version": self.agent_version, "handoff_execution": self.handoff_execution}
        return {"agent_id": self.agent_id} | {name: value for name, value in options.items() if value is not None}

    def _model(self, system: str, overrides: dict[str, Any]) -> dict[str, Any]:
        instructions = "\n\n".join(text for text in (self.instructions, system) if text)
        body = {
            "model": overrides.get("model", self.model),
            "tools": [*self.tools, *overrides.get("tools", ())],
        }
        return body | ({"instructions": instructions} if instructions else {})

    def _completion_args(self, stop: list[str] | None, overrides: dict[str, Any]) -> dict[str, Any]:
        if self.agent_id:
            return {}  # the server refuses them, with code 3001: they are the agent's
        given = {name: overrides.get(name, getattr(self, name, None)) for name in _COMPLETION_ARGS}
        given["stop"] = stop or self.stop
        args = {name: value for name, value in given.items() if value not in (None, [])}
        return {"completion_args": args} if args else {}

    @property
    def _answer_options(self) -> dict[str, Any]:
        return {
            "model": self.agent_id or self.model,
            "urls": SignedUrls(self._signed_urls),
            "extra": {} if self.store else {"store": False},
        }

    def _result(self, response: ConversationResponse) -> ChatResult:
        message = to_message(response, **self._answer_options)
        return ChatResult(generations=[ChatGeneration(message=message)])

    # --- connections, made when first used ---

    @functools.cached_property
    def _signed_urls(self) -> dict[str, str]:
        return {}

    @property
    def _retry(self) -> RetryPolicy:
        return RetryPolicy(max_retries=self.max_retries)

    def _downloads(self, **options: Unpack[DownloadOptions]) -> Downloads:
        return Downloads(signed_urls=self._signed_urls, retry=self._retry, **options)

    @property
    def _settings(self) -> Settings:
        return Settings(
            base_url=self.base_url, api_key=self._api_key, headers=self.default_headers, timeout=self.timeout
        )

    def _api_key(self) -> str:
        return self.mistral_api_key.get_secret_value() if self.mistral_api_key else ""

    @functools.cached_property
    def _client(self) -> Client:
        return Client(self._settings, self.http_client)

    @functools.cached_property
    def _async_client(self) -> AsyncClient:
        return AsyncClient(self._settings, self.http_async_client)

    def close(self) -> None:
        """Close the connections; not needed in short scripts, and the model can still be used."""
        self._client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._async_client.aclose()

    # Connections belong to the settings they were made with: a copy, changed or unpickled, makes its own.

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        kept = {name: value for name, value in state["__dict__"].items() if name in type(self).model_fields}
        return {**state, "__dict__": kept}

    def __copy__(self) -> Self:
        copied = super().__copy__()
        for connection in ("_client", "_async_client"):
            copied.__dict__.pop(connection, None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return BaseChatModel.__deepcopy__(copy.copy(self), memo)

    # --- what LangChain wants to know ---

    @model_validator(mode="after")
    def _check_mistral_settings(self) -> Self:
        if self.agent_id and "model" in self.model_fields_set:
            raise ValueError(
                f"Give either model={self.model!r} or agent_id={self.agent_id!r}: an agent brings its own model"
            )
        if not self._api_key():
            raise MissingAPIKeyError(
                "No API key: set MISTRAL_API_KEY or pass api_key=...; to try without one, run "
                "`python -m langchain_mistral_imagegen.sandbox` and pass its base_url with api_key='sandbox'"
            )
        self._add_version("langchain-mistral-imagegen", __version__)
        return self

    @property
    def _llm_type(self) -> str:
        return "mistralai-conversations"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        asked = {"agent_id": self.agent_id} if self.agent_id else {"model": self.model}
        return {**asked, "base_url": self.base_url, "tools": self.tools}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "mistral"
        if self.agent_id:
            params["ls_model_name"] = self.agent_id
        return params

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return `True`: settings are serialised, the key as a reference."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Name the environment variable behind the key."""
        return {"mistral_api_key": "MISTRAL_API_KEY"}


def _tool(tool: dict[str, Any] | type | Callable[..., Any] | BaseTool) -> dict[str, Any]:
    is_builtin = isinstance(tool, dict) and tool.get("type") not in {None, "function"} and "properties" not in tool
    return tool if is_builtin else convert_to_openai_tool(tool)  # type: ignore[return-value]  # a dict, if built in
