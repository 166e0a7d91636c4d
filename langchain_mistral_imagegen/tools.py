"""`MistralImageGenerationTool`: image generation for any LangChain agent, whatever its model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ArgsSchema, BaseTool
from pydantic import BaseModel, ConfigDict, Field

from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._telemetry import tool_span
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import NoImageError
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.stores import ImageStore, image_store

_INSTRUCTIONS = (
    "Draw the picture that is asked for with the image generation tool, then say in one sentence what it shows."
)


class ImageGenerationArtifact(TypedDict):
    """What a program reads of a generation: plain JSON, no bytes."""

    schema_version: Literal[1]
    images: list[ImageRef]
    """In their order; one that could not be stored is `failed`, and `ToolFileNode` fetches it later."""
    prompt: str
    """As the calling model wrote it."""
    text: str
    """What the image agent said."""
    conversation_id: str
    entry_ids: list[str]
    model: str
    usage: UsageMetadata | None
    connectors: NotRequired[dict[str, int]]
    """Calls of each built-in tool, which is what Mistral bills."""


_Generated: TypeAlias = tuple[ImageGenerationArtifact, Sequence[Exception]]


class GenerateImageInput(BaseModel):
    """What the calling model fills in."""

    prompt: str = Field(
        min_length=1,
        description="The picture in words: subject, setting, composition, style, light. "
        "There are no parameters for size or number; ask for a format in words.",
    )


class MistralImageGenerationTool(BaseTool):
    """Generates pictures from a prompt; the calling model reads a short text, the program reads the artifact.

    The pictures are stored before the tool returns. `ToolMessage.artifact` is an `ImageGenerationArtifact`.

    Errors: an answer without a picture is a `NoImageError`, which the calling model gets to read (`handle_tool_error`
    is on). Quota, network and server errors keep their types and propagate, for `ToolRetryMiddleware` and
    LangGraph's policies. A picture that is drawn, but cannot be stored, is no error in an agent, because a repetition
    would be paid for: the artifact lists it as `failed`, and `ToolFileNode` fetches it.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain_mistral_imagegen import MistralImageGenerationTool

        agent = create_agent("mistralai:mistral-medium-latest", tools=[MistralImageGenerationTool()])
        ```
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "generate_image"
    description: str = (
        "Generate a picture from a description and store it. "
        "Returns what was drawn, its size and the id to refer to it."
    )
    args_schema: ArgsSchema | None = GenerateImageInput
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: Any = True

    chat_model: ChatMistralConversations = Field(
        default_factory=lambda: ChatMistralConversations(instructions=_INSTRUCTIONS)
    )
    """Whom to ask for the picture; its settings decide on model or agent, key and server."""
    image_store: ImageStore | str | None = None
    """A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`."""
    style: str | None = None
    """Text added to each prompt, such as "flat vector illustration, pastel colours"."""

    @cached_property
    def store(self) -> ImageStore:
        """The image store in use."""
        return image_store(self.image_store)

    def generate(self, prompt: str, config: RunnableConfig | None = None) -> ImageGenerationArtifact:
        """Generate and store pictures, without an agent.

        Args:
            prompt: The picture in words.
            config: Callbacks, tags and metadata for tracing.

        Raises:
            NoImageError: If the answer has no picture.
            ImageStoreError: If no picture could be stored.
            ModelError: Quota, network and server errors.
        """
        return _with_a_picture(*self._generate(prompt, config))

    async def agenerate(self, prompt: str, config: RunnableConfig | None = None) -> ImageGenerationArtifact:
        """Generate and store pictures, without an agent; see `generate`."""
        return _with_a_picture(*await self._agenerate(prompt, config))

    # In an agent nothing is raised once pictures are paid for: whoever repeats a tool that fails would pay again.

    def _run(self, prompt: str, config: RunnableConfig) -> tuple[str, ImageGenerationArtifact]:
        artifact, _ = self._generate(prompt, config)
        return self._describe(artifact), artifact

    async def _arun(self, prompt: str, config: RunnableConfig) -> tuple[str, ImageGenerationArtifact]:
        artifact, _ = await self._agenerate(prompt, config)
        return self._describe(artifact), artifact

    def _generate(self, prompt: str, config: RunnableConfig | None) -> _Generated:
        with tool_span(self.name):
            answer = self.chat_model.invoke(self._request(prompt), config)
            references = self._references(answer)
            return self._artifact(prompt, answer, references, self.chat_model.store_images(references, self.store))

    async def _agenerate(self, prompt: str, config: RunnableConfig | None) -> _Generated:
        with tool_span(self.name):
            answer = await self.chat_model.ainvoke(self._request(prompt), config)
            references = self._references(answer)
            outcomes = await self.chat_model.astore_images(references, self.store)
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
                lines.append(f"- id {ref['id']}: drawn, but not stored ({ref['error']}); do not generate it again")
                continue
            pixels = f"{ref['width']}x{ref['height']} pixels, " if "width" in ref else ""
            where = self.store.location(ref["key"])
            lines.append(f"- id {ref['id']}: {ref['mime_type']}, {pixels}stored at {where}")
        return "\n".join(lines)


def _with_a_picture(artifact: ImageGenerationArtifact, errors: Sequence[Exception]) -> ImageGenerationArtifact:
    if len(errors) == len(artifact["images"]):
        raise errors[0]
    return artifact


def _why_no_image(answer: AIMessage) -> str:
    """Tell the calling model what went wrong, in the server's words."""
    blocks = [block for block in answer.content if isinstance(block, dict)]
    reasons = [str(block["info"].get("result")) for block in blocks if block.get("status") == "error"]
    why = f" The image tool reported: {'; '.join(reasons)}" if reasons else ""
    return f"No image was generated.{why} The image agent answered: {answer.text or '(nothing)'}"
