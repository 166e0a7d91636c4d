"""`MistralImageGenerationTool`: image generation for any LangChain agent, whatever its model."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NotRequired, TypeAlias

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ArgsSchema, BaseTool
from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._ledger.keys import Task
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._prompt_words import INSTRUCTIONS
from langchain_mistral_imagegen._telemetry import tool_span
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model
from langchain_mistral_imagegen.errors import InvalidInputError, NoImageError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ImageStore, image_store

_log = logging.getLogger("langchain_mistral_imagegen")


class ImageGenerationArtifact(TypedDict):
    """The result of a generation, for programs: plain JSON, no bytes."""

    schema_version: Literal[1]
    images: list[ImageRef]
    """In the answer's order; one that could not be stored is `failed`, and `ToolFileNode` downloads it later."""
    prompt: str
    """As written by the calling model."""
    text: str
    """The text of the image model's answer."""
    conversation_id: str
    entry_ids: list[str]
    model: str
    usage: UsageMetadata | None
    connectors: NotRequired[dict[str, int]]
    """Number of calls of each built-in tool; Mistral bills these."""


_Generated: TypeAlias = tuple[ImageGenerationArtifact, Sequence[Exception]]


class GenerateImageInput(BaseModel):
    """The arguments that the calling model writes."""

    prompt: str = Field(
        min_length=1,
        description="The image in words: subject, setting, composition, style, light. "
        "There are no parameters for size or number; ask for a format in words.",
    )


class MistralImageGenerationTool(BaseTool):
    """Generates images from a prompt; the calling model reads a short text, the program reads the artifact.

    The images are stored before the tool returns. `ToolMessage.artifact` is an `ImageGenerationArtifact`.

    Errors: an answer without an image is a `NoImageError`, whose message the calling model reads (`handle_tool_error`
    is on). Quota, network and server errors keep their types and propagate, for `ToolRetryMiddleware` and LangGraph's
    policies. An image that was generated but cannot be stored is no error in an agent, because a retry would be paid
    for: the artifact lists it as `failed`, and `ToolFileNode` downloads it.

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
        "Generate an image from a description and store it. "
        "Returns what was generated, its size, and the id to refer to it."
    )
    args_schema: ArgsSchema | None = GenerateImageInput
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True

    model: ChatMistralConversations = Field(default_factory=lambda: ChatMistralConversations(instructions=INSTRUCTIONS))
    """Generates the images, with its own settings (model or agent, key, server); or the name of a model."""
    image_store: ImageStore | str | None = None
    """A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`."""
    style: str | None = None
    """Text added to each prompt, such as "flat vector illustration, pastel colours"."""

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
        return store

    @cached_property
    def store(self) -> ImageStore:
        """The image store in use."""
        return image_store(self.image_store)

    def generate(
        self, prompt: str, config: RunnableConfig | None = None, *, key: str | None = None
    ) -> ImageGenerationArtifact:
        """Generate and store images, without an agent.

        Args:
            prompt: The image in words.
            config: Callbacks, tags and metadata for tracing.
            key: Names the image, such as `sku-4711`: it is paid for once in this image store, however often and from
                however many processes it is asked for. Without a key, each call generates a new image.

        Raises:
            NoImageError: If the answer has no image.
            ImageStoreError: If no image could be stored.
            InvalidInputError: If another prompt was given with this key before, or the store cannot hold a ledger.
            ModelError: For quota, network and server errors.
        """
        with paying_once(self._named_work(key)):
            return _with_an_image(*self._generate(prompt, config))

    async def agenerate(
        self, prompt: str, config: RunnableConfig | None = None, *, key: str | None = None
    ) -> ImageGenerationArtifact:
        """Generate and store images, without an agent; see `generate`."""
        with paying_once(self._named_work(key)):
            return _with_an_image(*await self._agenerate(prompt, config))

    def _named_work(self, key: str | None) -> PayOnce | None:
        if key is None:
            return None
        if not key.strip():
            raise InvalidInputError(f"key={key!r} names nothing; give a text, or no key")
        return PayOnce(store=self.store, name=key)

    # In a LangGraph program with a checkpointer, a call of the tool is paid for once: `run` gets its id and its task.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the tool; in a LangGraph program with a thread, a call that is run again pays for nothing again."""
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
        if not hasattr(self.store, "ledger_files"):
            _warn_once(type(self.store).__name__)
            return None
        return PayOnce(store=self.store, task=task)

    # In an agent nothing is raised once images are paid for: a retry of the tool would pay again.

    def _run(self, prompt: str, config: RunnableConfig) -> tuple[str, ImageGenerationArtifact]:
        artifact, _ = self._generate(prompt, config)
        return self._describe(artifact), artifact

    async def _arun(self, prompt: str, config: RunnableConfig) -> tuple[str, ImageGenerationArtifact]:
        artifact, _ = await self._agenerate(prompt, config)
        return self._describe(artifact), artifact

    def _generate(self, prompt: str, config: RunnableConfig | None) -> _Generated:
        with tool_span(self.name):
            answer = self.model.invoke(self._request(prompt), config)
            references = self._references(answer)
            return self._artifact(prompt, answer, references, self.model.store_images(references, self.store))

    async def _agenerate(self, prompt: str, config: RunnableConfig | None) -> _Generated:
        with tool_span(self.name):
            answer = await self.model.ainvoke(self._request(prompt), config)
            references = self._references(answer)
            outcomes = await self.model.astore_images(references, self.store)
            return self._artifact(prompt, answer, references, outcomes)

    def _request(self, prompt: str) -> str:
        style = f"\n\nStyle: {self.style}" if self.style else ""
        return f"Generate this image: {prompt}{style}"

    def _references(self, answer: AIMessage) -> list[ImageRef]:
        references = images_of(answer)
        if not references:
            raise NoImageError(_why_no_image(answer))
        return references

    def _artifact(
        self,
        prompt: str,
        answer: AIMessage,
        references: Sequence[ImageRef],
        outcomes: Sequence[ImageRef | Exception],
    ) -> _Generated:
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        metadata = answer.response_metadata
        artifact = ImageGenerationArtifact(
            schema_version=1,
            images=[
                attempted(ref, outcome) if isinstance(outcome, Exception) else outcome
                for ref, outcome in zip(references, outcomes, strict=True)
            ],
            prompt=prompt,
            text=answer.text,
            conversation_id=metadata["conversation_id"],
            entry_ids=metadata["entry_ids"],
            model=metadata["model_name"],
            usage=answer.usage_metadata,
        )
        if "connectors" in metadata:
            artifact["connectors"] = metadata["connectors"]
        return artifact, errors

    def _describe(self, artifact: ImageGenerationArtifact) -> str:
        lines = [f"Generated {len(artifact['images'])} image(s) for: {artifact['prompt']}"]
        for ref in artifact["images"]:
            if ref["status"] == "failed":
                lines.append(f"- id {ref['id']}: generated, but not stored ({ref['error']}); do not generate it again")
                continue
            pixels = f"{ref['width']}x{ref['height']} pixels, " if "width" in ref else ""
            where = self.store.location(ref["key"])
            lines.append(f"- id {ref['id']}: {ref['mime_type']}, {pixels}stored at {where}")
        return "\n".join(lines)


@functools.cache
def _warn_once(store: str) -> None:
    _log.warning("A %s cannot hold a ledger: a call of the tool that is run again after a crash may pay again", store)


def _with_an_image(artifact: ImageGenerationArtifact, errors: Sequence[Exception]) -> ImageGenerationArtifact:
    if len(errors) == len(artifact["images"]):
        raise errors[0]
    return artifact


def _why_no_image(answer: AIMessage) -> str:
    """Return the error message for the calling model, with the reason that the server gave."""
    blocks = [block for block in answer.content if isinstance(block, dict)]
    reasons = [str(block["info"].get("result")) for block in blocks if block.get("status") == "error"]
    why = f" The image tool reported: {'; '.join(reasons)}" if reasons else ""
    return f"No image was generated.{why} The image model answered: {answer.text or '(nothing)'}"
