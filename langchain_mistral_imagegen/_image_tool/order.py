"""`Order`: what one call of the tool asks for, and how it becomes a request to the image model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig

from langchain_mistral_imagegen._image_tool import edits
from langchain_mistral_imagegen._image_tool.arguments import BLANK
from langchain_mistral_imagegen._image_tool.artifact import Generated, artifact_of
from langchain_mistral_imagegen._image_tool.edits import Editable
from langchain_mistral_imagegen._image_tool.failures import why_no_image
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._prompt_words import SHAPES, Shape, with_shape
from langchain_mistral_imagegen.errors import InvalidInputError, NoImageError
from langchain_mistral_imagegen.events import Emit, ImageEvent, emitter, outcome_event
from langchain_mistral_imagegen.images import ImageRef

MAX_REQUESTS = 16
"""At once, of one call."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one call asks for.

    Attributes:
        prompt: As written by the caller.
        shape: Format, in words.
        edit: The image to change; `None` for a new one.
        tool_call_id: The call; empty outside of an agent.
    """

    prompt: str
    shape: Shape | None = None
    edit: Editable | None = None
    tool_call_id: str = ""

    def __post_init__(self) -> None:
        """Check the arguments.

        Raises:
            InvalidInputError: If one cannot be used.
        """
        if not self.prompt.strip():
            raise InvalidInputError(BLANK)
        if self.shape not in (None, *SHAPES):
            raise InvalidInputError(f"shape={self.shape!r} is not known; use {', '.join(map(repr, SHAPES))}")

    def announce(self) -> Emit:
        """Emit that the image is being generated, and return what emits the further events."""
        emit = emitter()
        self.emit(emit, {"type": "mistral.image.generating"})
        return emit

    def emit(self, emit: Emit, event: ImageEvent) -> None:
        """Emit an event of this call."""
        call: Any = {"tool_call_id": self.tool_call_id} if self.tool_call_id else {}
        emit({**event, **call, "prompt": self.prompt})

    def request(self, style: str | None, earlier: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return the messages to the image model.

        Args:
            style: Text added to the prompt.
            earlier: The conversation of the image to change.
        """
        added = f"\n\nStyle: {style}" if style else ""
        verb = "Generate this image" if self.edit is None else "Change this image"
        text = with_shape(f"{verb}: {self.prompt}{added}", self.shape)
        before = edits.until_image(earlier, self.edit) if isinstance(self.edit, Mapping) else []
        return [*before, edits.question(text, self.edit)]

    def references(self, answer: AIMessage, emit: Emit) -> list[ImageRef]:
        """Return the images of the answer.

        Raises:
            NoImageError: If it has none.
        """
        references = images_of(answer)
        if not references:
            raise NoImageError(why_no_image(answer))
        for ref in references:
            self.emit(emit, {"type": "mistral.image.generated", "id": ref["id"]})
        return references

    def result(  # what a request brought
        self,
        answer: AIMessage,
        references: Sequence[ImageRef],
        outcomes: Sequence[ImageRef | Exception],
        public_url: str | None,
        emit: Emit,
    ) -> Generated:
        """Return the result for programs, with the errors of images that could not be stored."""
        artifact, errors = artifact_of(self.prompt, answer, references, outcomes, public_url)
        for ref in artifact["images"]:
            self.emit(emit, outcome_event(ref))
        return artifact, errors


def called(  # noqa: PLR0913  # the arguments that a calling model writes
    prompt: str,
    config: RunnableConfig,
    *,
    shape: Shape | None = None,
    edit: str | None = None,
    count: int = 1,
    tool_call_id: str = "",
) -> tuple[Order, RunnableConfig, int]:
    """Return the order of a calling model."""
    image = edits.earlier_image(edit, config) if edit else None
    return Order(prompt=prompt, shape=shape, edit=image, tool_call_id=tool_call_id), config, count


def checked_number(n: int) -> int:
    """Return a number of requests.

    Raises:
        InvalidInputError: If it is not possible.
    """
    if not 1 <= n <= MAX_REQUESTS:
        raise InvalidInputError(f"n={n!r} is not possible; ask for 1 to {MAX_REQUESTS} images at once")
    return n
