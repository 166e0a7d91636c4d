"""`ChatMistralConversations`: Mistral's agents and conversations as a LangChain chat model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

from langchain_mistral_imagegen._conversations.endpoints import Endpoint
from langchain_mistral_imagegen._http.nested import Nested
from langchain_mistral_imagegen._messages import structured_output, tool_schemas
from langchain_mistral_imagegen._messages.answers import AnswerStream
from langchain_mistral_imagegen.chat_models._conversations_model import ConversationsModel
from langchain_mistral_imagegen.errors import InvalidInputError


class ChatMistralConversations(ConversationsModel):
    """Mistral's agents and conversations, with image generation built in.

    Use either a `model`, with `tools` and `instructions` of your own, or an agent (`agent_id`), which has its own.
    Generated images arrive as references; `images` downloads them.

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
            '''Return the weather of a city.'''
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
        `tool_calls`, `confirmation` (calls wait; see `pending_calls`) or `handoff` (the client must continue).

        ```python
        print(answer.response_metadata["connectors"])
        ```

    Docs: https://docs.mistral.ai/studio-api/agents/agent-tools/image_generation
    """

    # --- LangChain's hooks ---

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        key = self._client.run(self._key(messages))
        with self._turn(messages, stop, kwargs, key) as endpoint:
            return _result(self._client.run(endpoint.answer()))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        key = await self._async_client.run(self._key(messages))
        with self._turn(messages, stop, kwargs, key) as endpoint:
            return _result(await self._async_client.run(endpoint.answer()))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        key = self._client.run(self._key(messages))
        with self._turn(messages, stop, kwargs, key, stream=True) as endpoint:
            for chunk in self._chunks(endpoint):
                generation = ChatGenerationChunk(message=chunk)
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=generation)
                yield generation

    def _chunks(self, endpoint: Endpoint) -> Iterator[AIMessageChunk]:
        if adopted := self._client.run(endpoint.adopt()):
            yield _as_chunk(adopted)
            return
        answer, opening = AnswerStream(endpoint.context), endpoint.context.span.current()
        try:
            with (
                answer.complete(),
                closing(self._client.stream(endpoint.ask(), endpoint.events, opening)) as events,
            ):
                for event in events:
                    yield from answer.feed(event)
        except Exception as error:
            self._client.run(endpoint.fail(error))
            raise
        if endpoint.is_recorded:
            self._client.run(endpoint.keep(answer.message))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        key = await self._async_client.run(self._key(messages))
        with self._turn(messages, stop, kwargs, key, stream=True) as endpoint:
            async with aclosing(Nested(self._achunks(endpoint))) as chunks:
                async for chunk in chunks:
                    generation = ChatGenerationChunk(message=chunk)
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=generation)
                    yield generation

    async def _achunks(self, endpoint: Endpoint) -> AsyncGenerator[AIMessageChunk, None]:
        if adopted := await self._async_client.run(endpoint.adopt()):
            yield _as_chunk(adopted)
            return
        answer, opening = AnswerStream(endpoint.context), endpoint.context.span.current()
        try:
            stream = self._async_client.stream(endpoint.ask(), endpoint.events, opening)
            async with aclosing(Nested(stream)) as events:
                with answer.complete():
                    async for event in events:
                        for chunk in answer.feed(event):
                            yield chunk
        except Exception as error:
            await self._async_client.run(endpoint.fail(error))
            raise
        if endpoint.is_recorded:
            await self._async_client.run(endpoint.keep(answer.message))

    def bind_tools(
        self,
        tools: Sequence[tool_schemas.ToolLike],
        *,
        tool_choice: tool_schemas.ToolChoice | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools besides those of `self.tools`.

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
            InvalidInputError: If the tools and the choice do not fit together, or not with an agent.
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
        """Return a runnable that answers with an object of a schema.

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
            JSON modes suppress the text in which Mistral puts file chunks. An image that is generated anyway is in the
            tool's result: pass `raw` to `images` within an hour, when its signed URL expires.

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


def _as_chunk(message: AIMessage) -> AIMessageChunk:
    return AIMessageChunk(**message.model_dump(exclude={"type"}), chunk_position="last")


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])
