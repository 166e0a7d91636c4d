"""`ChatMistralConversations`: Mistral's agents and conversations as a LangChain chat model."""

from __future__ import annotations

import copy
import dataclasses
import functools
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import Any, Self, Unpack

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen._conversations.agents import AgentSettings, ensure_agent
from langchain_mistral_imagegen._conversations.continuation import Claims
from langchain_mistral_imagegen._conversations.endpoints import CompletionsEndpoint, ConversationsEndpoint
from langchain_mistral_imagegen._conversations.history import remembered
from langchain_mistral_imagegen._conversations.ledger import KEY, lost_answer
from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._downloads import DownloadOptions, Downloads
from langchain_mistral_imagegen._http.async_client import AsyncClient
from langchain_mistral_imagegen._http.secrecy import without_locals
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._http.sync_client import Client
from langchain_mistral_imagegen._messages import structured_output, tool_schemas
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._protocol.retry import RetryPolicy
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._telemetry import turn_span
from langchain_mistral_imagegen.chat_models._settings import COMPLETION_ARGS, ModelSettings, key_from_environment
from langchain_mistral_imagegen.errors import InvalidInputError, OutcomeUnknownError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef
from langchain_mistral_imagegen.stores import ImageStore


class ChatMistralConversations(ModelSettings):
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
        self, refs: Sequence[ImageRef], image_store: ImageStore | str, **options: Unpack[DownloadOptions]
    ) -> list[ImageRef | Exception]:
        """Download images straight into an image store, in order; memory does not grow with their size.

        Args:
            refs: References, such as `images_of` finds them.
            image_store: A store, a path, or an fsspec URL.
            options: `max_concurrency`, `max_bytes` (of one image), `name`, `on_bytes`, `inline`.

        Returns:
            For each image its reference, `stored`, or the error that kept it from being stored.
        """
        return self._client.run(self._downloads(**options).store(refs, stores.image_store(image_store)))

    async def astore_images(
        self, refs: Sequence[ImageRef], image_store: ImageStore | str, **options: Unpack[DownloadOptions]
    ) -> list[ImageRef | Exception]:
        """Download images straight into an image store; see `store_images`."""
        return await self._async_client.run(self._downloads(**options).store(refs, stores.image_store(image_store)))

    # --- conversations of old ---

    def messages(self, conversation_id: str) -> list[BaseMessage]:
        """Read a conversation that is kept at Mistral, in whichever process it was held.

        Args:
            conversation_id: Such as `answer.response_metadata["conversation_id"]`.

        Returns:
            Its messages, oldest first, after its instructions if they are not the model's own. `images` fetches their
            pictures (signed URLs only while they live, for an hour), and `invoke` goes on with them: in the same
            conversation, if model, instructions and tools are those of this model, or its agent; else in a new one.
            What an answer used (`usage_metadata`, `connectors`) is not kept.

        Raises:
            NotFoundError: If there is no such conversation for this key.
        """
        return self._client.run(self._remembered(conversation_id))

    async def amessages(self, conversation_id: str) -> list[BaseMessage]:
        """Read a conversation that is kept at Mistral; see `messages`."""
        return await self._async_client.run(self._remembered(conversation_id))

    def _remembered(self, conversation_id: str) -> Flow[list[BaseMessage]]:
        return remembered(
            conversation_id,
            lambda messages: self.prepared(messages, {}),
            instructions=self.instructions or "",
            context=AnswerContext(model=self.agent_id or self.model, urls=SignedUrls(self._signed_urls)),
        )

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
        return self._with_agent(self._client.run(ensure_agent(settings)).id)

    async def aensure_agent(
        self, name: str, *, description: str | None = None, handoffs: Sequence[str] | None = None
    ) -> Self:
        """Put the model's settings into an agent at Mistral; see `ensure_agent`."""
        settings = self._agent_settings(name, description, handoffs)
        return self._with_agent((await self._async_client.run(ensure_agent(settings))).id)

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
        moved = {"model", "tools", "instructions", "model_kwargs", *COMPLETION_ARGS}
        unset = {name: type(self).model_fields[name].get_default(call_default_factory=True) for name in moved}
        agent = self.model_copy(update={**unset, "agent_id": agent_id})
        agent.profile = agent._resolve_model_profile()  # noqa: SLF001  # of this very class
        return agent

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
            answer, opening = AnswerStream(turn.context), turn.context.span.current()
            with (
                answer.complete(),
                closing(self._client.stream(turn.ask(), turn.events, opening)) as events,
            ):
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
            answer, opening = AnswerStream(turn.context), turn.context.span.current()
            async with aclosing(self._async_client.stream(turn.ask(), turn.events, opening)) as events:
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
    ) -> Iterator[ConversationsEndpoint | CompletionsEndpoint]:
        """Make a turn; nobody else continues the conversation in the same place meanwhile."""
        if stop:
            overrides = {**overrides, "stop": stop}
        turn, context = self.prepared(messages, overrides, stream=stream)
        with without_locals(), turn_span(turn.whom, turn.options, self.base_url, stream=stream) as span:
            context = dataclasses.replace(context, span=span)
            if self.transport == "completions":
                yield CompletionsEndpoint(turn=turn, context=context)
            else:
                with self._conversing(turn, context, overrides) as conversing:
                    yield conversing

    @contextmanager
    def _conversing(
        self, turn: Turn, context: AnswerContext, overrides: Mapping[str, Any]
    ) -> Iterator[ConversationsEndpoint]:
        is_agent = "agent_id" in turn.whom
        functions = tool_schemas.function_names(overrides.get("tools", ())) if is_agent else set()
        known = self._agent_functions.setdefault(str(turn.whom), set()) if is_agent else set()
        with self._claims.claim(turn) as is_alone:
            try:
                yield ConversationsEndpoint(
                    turn=turn, context=context, is_alone=is_alone, functions=functions, known=known
                )
            except OutcomeUnknownError as error:
                if context.stored:
                    was_appended = bool(turn.continues and turn.continues.conversation_id == error.conversation_id)
                    lost = functools.partial(lost_answer, turn, context, by_words=was_appended)
                    error.may_be_found(
                        lambda wait: self._client.run(lost(wait)), lambda wait: self._async_client.run(lost(wait))
                    )
                raise

    def prepared(
        self, messages: Sequence[BaseMessage], overrides: Mapping[str, Any], *, stream: bool = False
    ) -> tuple[Turn, AnswerContext]:
        """Make a turn, and what its answer is told, without having it answered; the nodes need it to recognise one."""
        agent_id = overrides.get("agent_id", self.agent_id)
        settings = self._of_agent(agent_id, overrides) if agent_id else self._of_model(overrides)
        stored = self.store and self.continuation != "replay" and self.transport == "conversations"
        settings["options"]["store"] = stored
        if stored:
            settings["labels"]["metadata"] = {KEY: secrets.token_hex(16), **settings["labels"].get("metadata", {})}
        continuation = self.continuation if self.transport == "conversations" else "replay"
        turn = Turn(messages=messages, continuation=continuation, stream=stream, **settings)
        context = AnswerContext(
            model=agent_id or turn.whom["model"],
            urls=SignedUrls(self._signed_urls),
            fingerprint=turn.fingerprint,
            stored=stored,
        )
        return turn, context

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

    def _downloads(self, **options: Unpack[DownloadOptions]) -> Downloads:
        return Downloads(signed_urls=self._signed_urls, **options)

    @property
    def _settings(self) -> Settings:
        return Settings(
            base_url=self.base_url,
            api_key=self._api_key,
            headers=self.default_headers,
            timeout=self.timeout,
            retry=RetryPolicy(max_retries=self.max_retries),
        )

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
        """Close the connections of the running event loop; `asyncio.run` does it in the end, too."""
        await self._async_client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # Connections belong to the settings they were made with: a copy, changed or unpickled, makes its own.

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        kept = {name: state["__dict__"][name] for name in type(self).model_fields if name != "mistral_api_key"}
        return {**state, "__dict__": kept}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self.__dict__["mistral_api_key"] = key_from_environment()

    def __copy__(self) -> Self:
        copied = super().__copy__()
        for connection in ("_client", "_async_client"):
            copied.__dict__.pop(connection, None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return BaseChatModel.__deepcopy__(copy.copy(self), memo)


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])
