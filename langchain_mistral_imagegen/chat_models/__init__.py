"""`ChatMistralConversations`: Mistral's agents and conversations as a LangChain chat model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict

from langchain_mistral_imagegen._conversations.endpoints import Endpoint
from langchain_mistral_imagegen._http.nested import Nested
from langchain_mistral_imagegen._messages.answers import AnswerStream
from langchain_mistral_imagegen.chat_models._binding import BindingModel


class ChatMistralConversations(BindingModel):
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
        `created_at` (of the first entry), `connectors` (how often each built-in tool was called, which is what Mistral
        bills) and `finish_reason`: `stop`, `tool_calls`, `confirmation` (calls wait; see `pending_calls`) or `handoff`
        (the client must continue).

        ```python
        print(answer.response_metadata["connectors"])
        ```

    Docs: https://docs.mistral.ai/studio-api/agents/agent-tools/image_generation
    """

    model_config = ConfigDict(defer_build=False)  # other than its parts: see `ModelSettings`

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
                    run_manager.on_llm_new_token(generation.text, chunk=generation)
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
                        await run_manager.on_llm_new_token(generation.text, chunk=generation)
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


def _as_chunk(message: AIMessage) -> AIMessageChunk:
    return AIMessageChunk(**message.model_dump(exclude={"type"}), chunk_position="last")


def _result(message: AIMessage) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=message)])
