"""`ImagesMiddleware`: keeps the bytes of images out of an agent's state."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Annotated, Any, Literal, NotRequired

from langchain.agents.middleware import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
)
from langchain.agents.middleware.types import ContextT, ResponseT
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables.config import run_in_executor
from langgraph.types import Command

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.errors import ImageError, InvalidInputError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef, merge_images
from langchain_mistral_imagegen.middleware._inline_images import describe_image, image_text, store_inline_images
from langchain_mistral_imagegen.stores import ImageStore

_log = logging.getLogger("langchain_mistral_imagegen")

ToolResult = ToolMessage | Command[Any]


class ImagesAgentState(AgentState[ResponseT]):
    """An agent's state with references, by id, to the images that tools and the model made."""

    images: NotRequired[Annotated[dict[str, ImageRef], merge_images]]


class ImagesMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Keeps the bytes of images out of an agent's state, and references to them in its `images`.

    An image that a tool returns with its bytes (as base64 or a data URL, in LangChain's, OpenAI's, Anthropic's or MCP's
    form) goes into an image store; the model reads its id, type and size instead. An image that cannot be stored stays
    in its message, and a warning is logged. Images that users send also stay where they are. Images that
    `MistralImageGenerationTool` stored and those that the model itself generated are added to `images`, too.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain_mistral_imagegen import ChatMistralConversations, MistralImageGenerationTool
        from langchain_mistral_imagegen.middleware import ImagesMiddleware

        model = ChatMistralConversations(tools=[])
        agent = create_agent(model, [MistralImageGenerationTool()], middleware=[ImagesMiddleware(show="latest")])
        state = agent.invoke({"messages": [("user", "Use generate_image for an orange cat.")]})
        state["images"]  # {id: {"status": "stored", "key": ..., "sha256": ..., "width": 1024, ...}}
        ```
    """

    state_schema = ImagesAgentState  # type: ignore[assignment]  # a class's attribute cannot be generic

    def __init__(
        self, *, image_store: ImageStore | str | None = None, show: Literal["never", "latest", "all"] = "never"
    ) -> None:
        """Choose where images are stored, and which of them the model sees.

        Args:
            image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
                To show images that a tool has stored, pass that tool's store.
            show: Which stored images are added to the model's request, after the results of the tools that made them:
                none, those of the `"latest"` tool results with images, or `"all"`. They never enter the state. The
                model must be a vision model. With `"all"`, a Mistral conversation can be continued; with `"latest"`,
                each new image changes what was sent before, so the whole history is sent again.

        Raises:
            InvalidInputError: If `image_store` is no place for images, or `show` none of these words.
        """
        super().__init__()
        if show not in ("never", "latest", "all"):
            raise InvalidInputError(f"show={show!r} is not known; use 'never', 'latest' or 'all'")
        self.image_store = stores.image_store(image_store)
        self.show = show

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolResult]) -> ToolResult:
        """Run the tool, and store the images that it returns."""
        result: ToolResult = self._store_images(handler(request))
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolResult]]
    ) -> ToolResult:
        """Run the tool, and store the images that it returns."""
        return await run_in_executor(None, self._store_images, await handler(request))

    def wrap_model_call(
        self, request: ModelRequest[ContextT], handler: Callable[[ModelRequest[ContextT]], ModelResponse[ResponseT]]
    ) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
        """Call the model, with the images it should see."""
        return _with_references(handler(self._with_shown_images(request)))

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
        """Call the model, with the images it should see."""
        return _with_references(await handler(await run_in_executor(None, self._with_shown_images, request)))

    def _store_images(self, result: Any) -> Any:
        match result:
            case list():  # from a tool that returns several commands
                return [self._store_images(one) for one in result]
            case ToolMessage():
                message = store_inline_images(result, self.image_store)
                return Command(update=_with_images({"messages": [message]})) if images_of(message) else message
            case Command(update=dict(update)) if isinstance(update.get("messages"), list):
                moved = [
                    store_inline_images(one, self.image_store) if isinstance(one, ToolMessage) else one
                    for one in update["messages"]
                ]
                return replace(result, update=_with_images({**update, "messages": moved}))
        return result

    def _with_shown_images(self, request: ModelRequest[ContextT]) -> ModelRequest[ContextT]:
        if self.show == "never":
            return request
        rows = [list(row) for _, row in groupby(request.messages, lambda message: isinstance(message, ToolMessage))]
        with_images = [index for index, row in enumerate(rows) if _stored_by_tools(row)]
        shown = with_images[-1:] if self.show == "latest" else with_images
        messages: list[Any] = []
        for index, row in enumerate(rows):
            # Providers refuse images in tool results, and messages between the results of one answer's calls.
            messages += [*row, self._question(_stored_by_tools(row))] if index in shown else row
        return request.override(messages=messages)

    def _question(self, refs: Iterable[ImageRef]) -> HumanMessage:
        return HumanMessage([block for ref in refs for block in self._blocks(ref)])

    def _blocks(self, ref: ImageRef) -> Iterator[Any]:
        try:
            image = GeneratedImage.from_bytes(self.image_store.get(ref["key"]), ref)
        except (OSError, ValueError, ImageError) as error:
            _log.warning("An image is described to the model instead of shown: %s", error)
            yield {"type": "text", "text": f"{describe_image(ref)} cannot be shown."}
        else:
            yield image_text(ref)
            yield image.content_block()


def _stored_by_tools(row: Sequence[BaseMessage]) -> list[ImageRef]:
    return [ref for ref in images_of(row) if "key" in ref]  # in answers there are none


def _with_images(update: dict[str, Any]) -> dict[str, Any]:
    """Add the references in the messages of an update; references that the update has itself take precedence."""
    found = {ref["id"]: ref for ref in images_of(update["messages"])}
    return {**update, "images": {**found, **(update.get("images") or {})}} if found else update


def _with_references(
    response: ModelResponse[ResponseT],
) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
    drawn = {ref["id"]: ref for ref in images_of(response.result)}
    return ExtendedModelResponse(response, Command(update={"images": drawn})) if drawn else response
