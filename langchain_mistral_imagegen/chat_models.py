"""`ChatMistralConversations`: Mistral's agents and conversations as a LangChain chat model."""

from __future__ import annotations

import copy
import functools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import Any, Literal, Self, Unpack

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils import from_env, get_pydantic_field_names, secret_from_env
from langchain_core.utils.utils import _build_model_kwargs
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from langchain_mistral_imagegen import _structured_output as structured_output
from langchain_mistral_imagegen import _tool_schemas as tool_schemas
from langchain_mistral_imagegen._agents import AgentSettings, ensure_agent
from langchain_mistral_imagegen._answers import AnswerStream, Asked
from langchain_mistral_imagegen._client import AsyncClient, Client, Settings
from langchain_mistral_imagegen._continuation import Claims
from langchain_mistral_imagegen._downloads import DownloadOptions, Downloads
from langchain_mistral_imagegen._references import images_of
from langchain_mistral_imagegen._retry import RetryPolicy
from langchain_mistral_imagegen._signed_urls import SignedUrls
from langchain_mistral_imagegen._transports import Completing, Conversing
from langchain_mistral_imagegen._turns import Continuation, Turn
from langchain_mistral_imagegen._version import __version__
from langchain_mistral_imagegen.errors import InvalidInputError, MissingAPIKeyError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef
from langchain_mistral_imagegen.stores import ImageStore

DEFAULT_BASE_URL = "https://api.mistral.ai"
DEFAULT_MODEL = "mistral-medium-latest"

# Fields that go into `completion_args`.
_COMPLETION_ARGS = (
    "temperature",
    "top_p",
    "max_tokens",
    "random_seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "stop",
)
# What a call or `bind` may set besides completion arguments.
_CALL_SETTINGS = {"model", "agent_id", "agent_version", "tools", "tool_choice"}


class ChatMistralConversations(BaseChatModel):
    """Mistral's agents and conversations, with image generation built in.

    A conversation is asked either through a `model` (with `tools` and `instructions` of your own) or through an agent
    (`agent_id`, which brings its own). Generated pictures arrive as references; `images` downloads them.

    Setup:
        `pip install langchain-mistral-imagegen` and set `MISTRAL_API_KEY`. Without a key, use the bundled sandbox:
        `with Sandbox() as s: ChatMistralConversations(base_url=s.url, api_key="sandbox")`.

    Key init args (completion):
        `model` or `agent_id`, `temperature`, `top_p`, `max_tokens`, `random_seed`, `stop`, `reasoning_effort`, `tools`,
        `instructions`.

    Key init args (client):
        `api_key`, `base_url`, `timeout` (seconds), `max_retries`, `store`, `continuation`.

    Instantiate:
        ```python
        from langchain_mistral_imagegen import ChatMistralConversations

        model = ChatMistralConversations(model="mistral-medium-latest", temperature=0.3)
        ```

    Invoke:
        ```python
        answer = model.invoke("Generate an orange cat in an office.")
        print(answer.text)
        ```

    Images:
        ```python
        for image in model.images(answer):
            image.save("cat")
        ```

    Stream:
        ```python
        for chunk in model.stream("Generate a red house."):
            print(chunk.text, end="")
        ```

    Async:
        ```python
        answer = await model.ainvoke("Generate a blue boat.")
        (image,) = await model.aimages(answer)
        ```

    Several turns:
        The local history is the truth: the remote conversation is made equal to it, by appending, restarting from an
        earlier answer, or replaying, whatever was edited, removed or forked in between.

        ```python
        history = [("user", "Generate a red house."), model.invoke("Generate a red house."), ("user", "Make it blue.")]
        answer = model.invoke(history)
        ```

    Tool calling:
        ```python
        def weather(city: str) -> str:
            '''Tell the weather of a city.'''
            return "sunny"

        answer = model.bind_tools([weather]).invoke("What is the weather in Paris?")
        print(answer.tool_calls)
        ```

    Structured output:
        ```python
        from pydantic import BaseModel

        class Caption(BaseModel):
            title: str
            mood: str

        caption = model.with_structured_output(Caption).invoke("Give a picture of a boat a title and a mood.")
        ```

    Image input:
        ```python
        question = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, image.content_block()]}
        answer = model.invoke([question])
        ```

    Agents:
        ```python
        painter = model.ensure_agent("Painter")
        answer = painter.invoke("Generate a green hill.")
        ```

    Token usage:
        Connector tokens count as input tokens.

        ```python
        print(answer.usage_metadata)
        ```

    Response metadata:
        `conversation_id`, `entry_ids`, `head` (the last entry's id), `fingerprint`, `model_name`, `agent_id`,
        `connectors` (how often each built-in tool was called, which is what Mistral bills) and `finish_reason`: `stop`,
        `tool_calls`, `confirmation` (calls wait; see `pending_calls`) or `handoff` (the client is to go on).

        ```python
        print(answer.response_metadata["connectors"])
        ```

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
    presence_penalty: float | None = None
    """-2 to 2."""
    frequency_penalty: float | None = None
    """-2 to 2."""
    reasoning_effort: str | None = None
    """`none`, `high`, or what else the model takes."""
    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Strings that end the text."""
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further completion arguments, such as `prediction`; settings of unknown names end up here, with a warning."""
    guardrails: list[dict[str, Any]] | None = None
    """Moderation of a started conversation. Not sent with `agent_id`."""
    store: bool = True
    """Whether Mistral keeps the conversation, which continuing it needs. (Where pictures go is `image_store`.)"""
    continuation: Continuation = "auto"
    """How a history with answers of this model goes on: `auto` makes the remote conversation equal to the local history
    (append, restart or replay, after a look at the server); `replay` sends the whole history each time and stores
    nothing; `append` appends without looking, for those who know that nobody else does."""
    handoff_execution: Literal["client", "server"] | None = None
    """Who runs handoffs between agents; the server by default. Only with `agent_id`."""
    conversation_metadata: dict[str, Any] | None = None
    """Kept by Mistral with a started conversation, to find it again."""
    transport: Literal["conversations", "completions"] = "conversations"
    """`completions` asks `/v1/chat/completions` instead: nothing is stored at Mistral, the whole history is sent each
    time, and pictures come as signed URLs that live an hour. Only with `model`, and without web search or code."""
    mistral_api_key: SecretStr | str | None = Field(
        default_factory=secret_from_env("MISTRAL_API_KEY", default=None), alias="api_key"
    )
    """API key; from `MISTRAL_API_KEY` by default. It is kept as a `SecretStr`."""
    base_url: str = Field(default_factory=from_env("MISTRAL_BASE_URL", default=DEFAULT_BASE_URL))
    """Server; from `MISTRAL_BASE_URL`, or `https://api.mistral.ai`. There are `https://api.eu.mistral.ai` and
    `https://api.us.mistral.ai`; a `/v1` at the end does no harm."""
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

    # --- Mistral's API, and the agent that holds the settings ---

    @property
    def client(self) -> Client:
        """Carries out the operations of `langchain_mistral_imagegen.api`: `model.client.run(api.list_agents())`."""
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """Carries out the operations asynchronously: `await model.async_client.run(api.list_agents())`."""
        return self._async_client

    def ensure_agent(self, name: str, *, description: str | None = None, handoffs: Sequence[str] | None = None) -> Self:
        """Put the model's settings into an agent at Mistral, so that they are declared once, and converse with it.

        The agent is made if there is none. If the settings have changed, it gets a new version, without what was
        removed (Mistral keeps the old versions: https://docs.mistral.ai/api, beta.agents). Otherwise nothing is
        written. Agents of the same name that were made otherwise are left alone: ours carry the metadata
        `langchain_mistral_imagegen`. Programs that start at the same time end up with the same agent.

        Args:
            name: Name of the agent.
            description: What it is for; other agents read it when they hand over.
            handoffs: Ids of the agents that it may hand over to.

        Returns:
            A copy with `agent_id`, and without the settings that are the agent's now.

        Raises:
            InvalidInputError: If the model has an `agent_id` already.
            OutcomeUnknownError: If the server did not say whether the agent was written; call again to find out.
        """
        settings = self._agent_settings(name, description, handoffs)
        return self._with_agent(self._client.run(ensure_agent(settings, self._retry)).id)

    async def aensure_agent(
        self, name: str, *, description: str | None = None, handoffs: Sequence[str] | None = None
    ) -> Self:
        """Put the model's settings into an agent at Mistral; see `ensure_agent`."""
        settings = self._agent_settings(name, description, handoffs)
        return self._with_agent((await self._async_client.run(ensure_agent(settings, self._retry))).id)

    def _agent_settings(self, name: str, description: str | None, handoffs: Sequence[str] | None) -> AgentSettings:
        if self.agent_id:
            raise InvalidInputError(
                f"This model has agent_id={self.agent_id!r} already: an agent's settings are declared on a model "
                "without agent_id; to change that agent, use api.update_agent"
            )
        own = self._of_model({})
        return AgentSettings(
            name=name,
            description=description,
            handoffs=handoffs,
            instructions=self.instructions,
            completion_args=own["options"].get("completion_args", {}),
            **own["whom"],
        )

    def _with_agent(self, agent_id: str) -> Self:
        moved = {"model", "tools", "instructions", "model_kwargs", *_COMPLETION_ARGS}
        unset = {name: type(self).model_fields[name].get_default(call_default_factory=True) for name in moved}
        return self.model_copy(update={**unset, "agent_id": agent_id})

    # --- LangChain's hooks ---

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        with self._turn(messages, stop, kwargs) as turn:
            return _result(turn.message(self._client.run(turn.ask())))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        with self._turn(messages, stop, kwargs) as turn:
            return _result(turn.message(await self._async_client.run(turn.ask())))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._turn(messages, stop, kwargs, stream=True) as turn:
            answer = AnswerStream(turn.asked)
            with answer.complete(), closing(self._client.stream(turn.ask(), turn.events)) as events:
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
        with self._turn(messages, stop, kwargs, stream=True) as turn:
            answer = AnswerStream(turn.asked)
            async with aclosing(self._async_client.stream(turn.ask(), turn.events)) as events:
                with answer.complete():
                    async for event in events:
                        for chunk in answer.feed(event):
                            generation = ChatGenerationChunk(message=chunk)
                            if run_manager:
                                await run_manager.on_llm_new_token(chunk.text, chunk=generation)
                            yield generation

    def bind_tools(
        self,
        tools: Sequence[tool_schemas.ToolLike],
        *,
        tool_choice: tool_schemas.ToolChoice | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Give the model tools, besides those of `self.tools`.

        Args:
            tools: Functions, pydantic classes, LangChain tools, or Mistral's built-in tools as dicts
                (`image_generation`, `web_search`, `web_search_premium`, `code_interpreter`, `document_library`,
                `connector`).
            tool_choice: `"auto"`, `"none"`, a function's name, or `"any"`, `"required"` or `True`. Mistral cannot be
                forced to use a built-in tool, and not be forced at all while it has one: for a forced call those of
                `self.tools` are left out, and a named function is sent alone.
            strict: Whether arguments must fit a function's schema.
            **kwargs: Passed on to each call.

        With an `agent_id` nothing is sent, because an agent brings its own tools; it is looked up once whether it has
        functions of these names.

        Raises:
            InvalidInputError: If the tools or the choice cannot be had together, or not with an agent.
        """
        converted = [tool_schemas.to_mistral_tool(tool, strict=strict) for tool in tools]
        tool_schemas.check_forced(converted, tool_choice)
        if self.agent_id and (tool_choice is not None or any(map(tool_schemas.is_built_in, converted))):
            raise InvalidInputError(
                f"Agent {self.agent_id!r} brings its own tools and completion arguments: give it built-in tools and "
                "a tool_choice with `ensure_agent`, or use `model=` instead of `agent_id=`"
            )
        tool_schemas.resolve([*self.tools, *converted], tool_choice)
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=converted, **choice, **kwargs)

    def with_structured_output(
        self,
        schema: structured_output.Schema | None = None,
        *,
        include_raw: bool = False,
        method: structured_output.Method = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Make the model answer with an object of a schema.

        Args:
            schema: A pydantic class, `TypedDict` or JSON schema; `None` only with `"json_mode"`.
            include_raw: Return `{"raw": message, "parsed": ..., "parsing_error": ...}` instead of the object.
            method: `"json_schema"` has the server enforce the schema; `"function_calling"` has it call a function of
                that shape (built-in tools are left out then); `"json_mode"` has it write any JSON, so the prompt must
                name the keys.
            strict: Whether the answer must fit the schema; yes by default.
            **kwargs: Passed on to each call.

        Returns:
            A runnable that yields partial objects when it is streamed.

        Warning:
            JSON modes suppress the text in which Mistral puts file chunks. A picture that is drawn all the same is
            found in the tool's result: take `raw` and pass it to `images`, soon, for without a file it lives an hour.

        Raises:
            InvalidInputError: If the model is an agent, whose completion arguments are its own.
        """
        if self.agent_id:
            raise InvalidInputError(
                f"Agent {self.agent_id!r} has completion arguments of its own: give it a response_format when it is "
                "created, or use `model=` instead of `agent_id=`"
            )
        traced: dict[str, Any] = {
            "ls_structured_output_format": {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        }
        if method == "function_calling":
            function = structured_output.function(schema, strict=strict)
            asking = self.bind_tools([function], tool_choice=function["function"]["name"], **traced, **kwargs)
        else:
            wanted = structured_output.response_format(schema, method, strict=strict)
            asking = self.bind(response_format=wanted, **traced, **kwargs)
        reading = structured_output.parser(schema, method)
        return structured_output.with_raw(asking, reading) if include_raw else asking | reading

    # --- turns ---

    @contextmanager
    def _turn(
        self, messages: list[BaseMessage], stop: list[str] | None, overrides: dict[str, Any], *, stream: bool = False
    ) -> Iterator[Conversing | Completing]:
        """Make a turn; nobody else continues the conversation in the same place meanwhile."""
        if stop:
            overrides = {**overrides, "stop": stop}
        agent_id = overrides.get("agent_id", self.agent_id)
        settings = self._of_agent(agent_id, overrides) if agent_id else self._of_model(overrides)
        stored = self.store and self.continuation != "replay" and self.transport == "conversations"
        settings["options"]["store"] = stored
        continuation = self.continuation if self.transport == "conversations" else "replay"
        turn = Turn(messages=messages, continuation=continuation, stream=stream, **settings)
        asked = Asked(
            model=agent_id or turn.whom["model"],
            urls=SignedUrls(self._signed_urls),
            fingerprint=turn.fingerprint,
            stored=stored,
        )
        if self.transport == "completions":
            yield Completing(turn=turn, asked=asked, retry=self._retry)
            return
        functions = {tool["function"]["name"] for tool in overrides.get("tools", ())} if agent_id else set()
        known = self._agent_functions.setdefault(str(turn.whom), set()) if agent_id else set()
        with self._claims.claim(turn) as is_alone:
            yield Conversing(
                turn=turn, asked=asked, retry=self._retry, is_alone=is_alone, functions=functions, known=known
            )

    def _of_agent(self, agent_id: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
        # Completion arguments are the agent's: the server refuses them, with code 3001.
        version = overrides.get("agent_version", self.agent_version)
        return {
            "whom": _given(agent_id=agent_id, agent_version=version),
            "options": _given(handoff_execution=self.handoff_execution),
            "labels": _given(metadata=self.conversation_metadata),
        }

    def _of_model(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        tools = [*self.tools, *overrides.get("tools", ())]
        tools, choice = tool_schemas.resolve(tools, overrides.get("tool_choice"))
        args = {name: getattr(self, name) for name in _COMPLETION_ARGS} | self.model_kwargs
        args |= {name: value for name, value in overrides.items() if name not in _CALL_SETTINGS}
        return {
            "whom": {"model": overrides.get("model", self.model), "tools": tools},
            "instructions": self.instructions or "",
            "options": _given(completion_args=_given(**args, tool_choice=choice)),
            "labels": _given(metadata=self.conversation_metadata, guardrails=self.guardrails),
        }

    # --- connections, made when first used ---

    @functools.cached_property
    def _claims(self) -> Claims:
        return Claims()

    @functools.cached_property
    def _agent_functions(self) -> dict[str, set[str]]:
        return {}

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
        return self.mistral_api_key.get_secret_value() if isinstance(self.mistral_api_key, SecretStr) else ""

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

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_settings(cls, values: dict[str, Any]) -> Any:
        return _build_model_kwargs(dict(values), get_pydantic_field_names(cls))

    @field_validator("mistral_api_key", mode="before")
    @classmethod
    def _hide_key(cls, key: Any) -> Any:
        return SecretStr(key) if isinstance(key, str) else key

    @field_validator("tools", mode="before")
    @classmethod
    def _convert_tools(cls, tools: Any) -> Any:
        return [tool_schemas.to_mistral_tool(tool) for tool in tools] if isinstance(tools, Sequence) else tools

    @model_validator(mode="after")
    def _check_mistral_settings(self) -> Self:
        if self.agent_id and self.model != DEFAULT_MODEL:  # the default is no wish, and is there in serialised settings
            raise ValueError(
                f"Give either model={self.model!r} or agent_id={self.agent_id!r}: an agent brings its own model"
            )
        if self.agent_id and self.transport == "completions":
            raise InvalidInputError(f"agent_id={self.agent_id!r} needs transport='conversations'")
        if self.continuation == "append" and self.cache:
            raise InvalidInputError(
                "continuation='append' cannot be combined with a cache, because two hits would continue in one place; "
                "use continuation='auto', which looks first"
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
        if agent_id := kwargs.get("agent_id", self.agent_id):
            params["ls_model_name"] = agent_id
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        return ModelProfile(
            text_inputs=True,
            image_inputs=True,
            image_url_inputs=True,
            pdf_inputs=True,
            text_outputs=True,
            image_outputs=True,
            tool_calling=not self.agent_id,
            tool_choice=not self.agent_id,
            structured_output=not self.agent_id,
        )

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return `True`: settings are serialised, the key as a reference."""
        return True

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Name the environment variable behind the key."""
        return {"mistral_api_key": "MISTRAL_API_KEY"}


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])


def _given(**settings: Any) -> dict[str, Any]:
    """Leave out what is not set."""
    return {name: value for name, value in settings.items() if value not in (None, [], {})}
