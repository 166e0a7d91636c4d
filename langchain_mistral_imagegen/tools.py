"""`MistralImageGenerationTool`: image generation for any LangChain agent, whatever its model."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, Self

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ContextThreadPoolExecutor, merge_configs
from langchain_core.runnables.utils import gather_with_concurrency
from langchain_core.tools import ArgsSchema, BaseTool, ToolException
from pydantic import ConfigDict, Field, field_validator, model_validator

from langchain_mistral_imagegen._conversations.pay_once import PayOnce, current_work, paying_once
from langchain_mistral_imagegen._image_tool import edits
from langchain_mistral_imagegen._image_tool.arguments import GenerateImageInput, arguments, check_names
from langchain_mistral_imagegen._image_tool.artifact import (
    Generated,
    ImageGenerationArtifact,
    combined,
    text_of,
    with_an_image,
)
from langchain_mistral_imagegen._image_tool.edits import Editable
from langchain_mistral_imagegen._image_tool.failures import OnError, is_for_model, text_for_model
from langchain_mistral_imagegen._image_tool.order import MAX_REQUESTS, Order, called, checked_number
from langchain_mistral_imagegen._ledger.keys import Task
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._prompt_words import INSTRUCTIONS, Shape
from langchain_mistral_imagegen._telemetry import tool_span
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model
from langchain_mistral_imagegen.errors import InvalidInputError, MistralImagegenError
from langchain_mistral_imagegen.stores import ImageStore, LedgerStore, image_store

__all__ = ["GenerateImageInput", "ImageGenerationArtifact", "MistralImageGenerationTool"]

_log = package_logger()
# Streams and traces of the agent do not show the image model's tokens as if the agent spoke.
_QUIET: RunnableConfig = {"tags": ["nostream", "langsmith:hidden"]}


class MistralImageGenerationTool(BaseTool):
    """Generates images from a prompt; the calling model reads a short text, the program reads the artifact.

    The images are stored before the tool returns. `ToolMessage.artifact` is an `ImageGenerationArtifact`.

    Errors: the calling model reads why there is no image, and can react (see `on_error`). Errors of the key, the
    network and the server keep their types and propagate, for `ToolRetryMiddleware` and LangGraph's policies. An image
    that was generated but cannot be stored is no error in an agent, because a retry would be paid for: the artifact
    lists it as `failed`, and `ToolFileNode` downloads it.

    With `stream_mode="custom"` it emits `mistral.image.generating`, `.generated`, `.stored` and `.failed`.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain_mistral_imagegen import MistralImageGenerationTool

        agent = create_agent("mistralai:mistral-medium-latest", tools=[MistralImageGenerationTool()])
        ```
    """

    # Errors of construction do not show values, which may hold secrets.
    model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)

    name: str = "generate_image"
    description: str = (
        "Generate an image from a description, or change one that was generated before (edit). "
        "Returns what was generated, its size, and its id."
    )
    args_schema: ArgsSchema | None = GenerateImageInput
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True

    model: ChatMistralConversations = Field(default_factory=lambda: ChatMistralConversations(instructions=INSTRUCTIONS))
    """Generates the images, with its own settings (model or agent, key, server); or the name of a model."""
    image_store: ImageStore | str | os.PathLike[str] | None = None
    """A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`."""
    style: str | None = None
    """Text added to each prompt, such as "flat vector illustration, pastel colours"."""

    max_count: int = Field(default=1, ge=1, le=MAX_REQUESTS)
    """How many images the calling model may ask for in one call (`count`); each is a request of its own."""
    public_url: str | None = None
    """URL below which the program serves the store; the calling model then reads each image's URL, and `url` is in the
    references."""
    on_error: OnError = None
    """`"tell_model"` or `"raise"` for all errors, or for some kinds, such as `{"quota": "raise"}`. By default the
    calling model reads a `refusal` (an answer without an image), a `guardrail` (403), a `quota` (429) and wrong
    `input`, while errors of the `key` and all `other` errors are raised. `ToolRetryMiddleware` retries only what is
    raised."""

    @field_validator("model", mode="before")
    @classmethod
    def _check_model(cls, model: Any) -> ChatMistralConversations:
        if isinstance(model, str):
            return ChatMistralConversations(model=model, instructions=INSTRUCTIONS)
        return conversations_model(model, "MistralImageGenerationTool")

    @field_validator("image_store", mode="before")
    @classmethod
    def _check_image_store(cls, store: Any) -> Any:
        image_store(store)
        return os.fspath(store) if isinstance(store, os.PathLike) else store

    @model_validator(mode="after")
    def _choose_schema(self) -> Self:
        if self.args_schema is GenerateImageInput:
            self.args_schema = arguments(self.max_count)
        if self.on_error == "raise" and self.handle_tool_error is True:
            self.handle_tool_error = False
        return self

    @cached_property
    def store(self) -> ImageStore:
        """The image store in use."""
        return image_store(self.image_store)

    def generate(  # noqa: PLR0913  # all but the prompt by name
        self,
        prompt: str,
        config: RunnableConfig | None = None,
        *,
        edit: Editable | None = None,
        shape: Shape | None = None,
        n: int = 1,
        key: str | None = None,
    ) -> ImageGenerationArtifact:
        """Generate and store images, without an agent.

        Args:
            prompt: The image in words, or what to change.
            config: Callbacks, tags and metadata for tracing.
            edit: An image to change: a reference from an artifact, whose conversation is continued, or an image from
                elsewhere (`GeneratedImage`, path or bytes), which is shown to the image model. Whether Mistral's tool
                then really edits that one is not known.
            shape: `square`, `landscape` or `portrait`, asked for in words.
            n: Number of requests at once, at most 16; each is paid for. If some bring no image, `errors` has the
                reasons.
            key: Names the image, such as `sku-4711`: it is paid for once in this image store, however often and from
                however many processes it is asked for. Without a key, each call generates a new image.

        Raises:
            NoImageError: If the answer has no image.
            ImageStoreError: If no image could be stored.
            InvalidInputError: If an argument cannot be used, another prompt was given with this key before, or the
                store cannot hold a ledger; nothing was sent.
            ModelError: For quota, network and server errors.
        """
        with paying_once(self._named_work(key)):
            return with_an_image(*self._generate(Order(prompt=prompt, edit=edit, shape=shape), config, n))

    async def agenerate(  # noqa: PLR0913  # all but the prompt by name
        self,
        prompt: str,
        config: RunnableConfig | None = None,
        *,
        edit: Editable | None = None,
        shape: Shape | None = None,
        n: int = 1,
        key: str | None = None,
    ) -> ImageGenerationArtifact:
        """Generate and store images, without an agent; see `generate`."""
        with paying_once(self._named_work(key)):
            return with_an_image(*await self._agenerate(Order(prompt=prompt, edit=edit, shape=shape), config, n))

    def _named_work(self, key: str | None) -> PayOnce | None:
        if key is None:
            return None
        if not key.strip():
            raise InvalidInputError(f"key={key!r} names nothing; give a text, or no key")
        return PayOnce(store=self.store, name=key)

    # In a LangGraph program with a checkpointer, a call of the tool is paid for once: `run` gets its id and its task.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool; in a LangGraph program with a thread, a call that is run again is not paid for again."""
        with paying_once(self._call(**kwargs)):
            return super().run(*args, **kwargs)

    async def arun(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool; see `run`."""
        with paying_once(self._call(**kwargs)):
            return await super().arun(*args, **kwargs)

    def _call(self, config: RunnableConfig | None = None, tool_call_id: str | None = None, **_: Any) -> PayOnce | None:
        task = Task.of(config, tool_call_id or "")
        if task is None:
            return None
        if not isinstance(self.store, LedgerStore):
            _warn_once(type(self.store).__name__)
            return None
        return PayOnce(store=self.store, task=task)

    # In an agent nothing is raised once images are paid for: a retry of the tool would pay again.

    def _run(self, prompt: str, config: RunnableConfig, **options: Any) -> tuple[str, ImageGenerationArtifact]:
        with self._reactions():
            artifact, _ = self._generate(*called(prompt, config, **options))
            return text_of(artifact), artifact

    async def _arun(self, prompt: str, config: RunnableConfig, **options: Any) -> tuple[str, ImageGenerationArtifact]:
        with self._reactions():
            artifact, _ = await self._agenerate(*called(prompt, config, **options))
            return text_of(artifact), artifact

    def _to_args_and_kwargs(self, tool_input: Any, tool_call_id: str | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        check_names(tool_input, self.args_schema)
        # A schema that asked LangChain to inject the id would refuse calls without one.
        args, kwargs = super()._to_args_and_kwargs(tool_input, tool_call_id)
        return args, {**kwargs, "tool_call_id": tool_call_id or ""}

    @contextmanager
    def _reactions(self) -> Iterator[None]:
        """Turn the errors that the calling model should read into the exception whose text LangChain gives to it."""
        try:
            yield
        except MistralImagegenError as error:
            if not is_for_model(error, self.on_error):
                raise
            raise ToolException(text_for_model(error)) from error

    def _generate(self, order: Order, config: RunnableConfig | None, n: int) -> Generated:
        if checked_number(n) == 1:
            return self._generate_one(order, config)
        with ContextThreadPoolExecutor(max_workers=n) as pool:
            attempts = [pool.submit(self._attempt, order, config, number) for number in range(n)]
        return combined([attempt.result() for attempt in attempts])

    async def _agenerate(self, order: Order, config: RunnableConfig | None, n: int) -> Generated:
        if checked_number(n) == 1:
            return await self._agenerate_one(order, config)
        attempts = [self._aattempt(order, config, number) for number in range(n)]
        return combined(await gather_with_concurrency(n, *attempts))

    def _attempt(self, order: Order, config: RunnableConfig | None, number: int) -> Generated | Exception:
        with paying_once(_part_of_work(number)):
            try:
                return self._generate_one(order, config)
            except Exception as error:  # noqa: BLE001  # the others may bring images
                return error

    async def _aattempt(self, order: Order, config: RunnableConfig | None, number: int) -> Generated | Exception:
        with paying_once(_part_of_work(number)):
            try:
                return await self._agenerate_one(order, config)
            except Exception as error:  # noqa: BLE001  # the others may bring images
                return error

    def _generate_one(self, order: Order, config: RunnableConfig | None) -> Generated:
        with tool_span(self.name):
            conversation_id = edits.conversation_of(order.edit)
            earlier = self.model.messages(conversation_id) if conversation_id else []
            emit = order.announce()
            answer = self.model.invoke(order.request(self.style, earlier), merge_configs(config, _QUIET))
            references = order.references(answer, emit)
            outcomes = self.model.store_images(references, self.store)
            return order.result(answer, references, outcomes, self.public_url, emit)

    async def _agenerate_one(self, order: Order, config: RunnableConfig | None) -> Generated:
        with tool_span(self.name):
            conversation_id = edits.conversation_of(order.edit)
            earlier = await self.model.amessages(conversation_id) if conversation_id else []
            emit = order.announce()
            answer = await self.model.ainvoke(order.request(self.style, earlier), merge_configs(config, _QUIET))
            references = order.references(answer, emit)
            outcomes = await self.model.astore_images(references, self.store)
            return order.result(answer, references, outcomes, self.public_url, emit)


def _part_of_work(number: int) -> PayOnce | None:
    """Return the work of one of several requests that are made at once, which is paid for on its own."""
    work = current_work()
    return work.part(number) if work else None


@functools.cache
def _warn_once(store: str) -> None:
    _log.warning("A %s cannot hold a ledger: a call of the tool that is run again after a crash may pay again", store)
