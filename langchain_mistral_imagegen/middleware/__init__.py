"""Middleware for LangChain's agents (extra `agent`): pictures kept out of the state, models of several providers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
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
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableBinding
from langchain_core.runnables.config import run_in_executor
from langgraph.types import Command

from langchain_mistral_imagegen._messages.portable import PortableImages, to_portable_messages
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import APIConnectionError, APIError, ImageError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef, merge_images
from langchain_mistral_imagegen.middleware._inline_images import describe_picture, picture_text, store_pictures
from langchain_mistral_imagegen.stores import ImageStore, image_store

_log = logging.getLogger("langchain_mistral_imagegen")


ToolResult = ToolMessage | Command[Any]


class ImagesAgentState(AgentState[ResponseT]):
    """An agent's state with the pictures that tools and the model made: references by id."""

    images: NotRequired[Annotated[dict[str, ImageRef], merge_images]]


class ImagesMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Keeps pictures out of an agent's state, and references to them in its `images`.

    A picture that a tool returns with its bytes (as base64 or a data URL, in LangChain's, OpenAI's, Anthropic's or
    MCP's form) goes into an image store; the model reads its id, type and size instead. One that cannot be stored stays
    where it is, with a logged warning, and so does what users send. What `MistralImageGenerationTool` stored and what
    the model itself drew comes into `images`, too.

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
        self, store: ImageStore | str | None = None, *, show: Literal["never", "latest", "all"] = "never"
    ) -> None:
        """Choose where pictures go, and which of them the model sees.

        Args:
            store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`. To
                show pictures that a tool has stored, it has to be that tool's store.
            show: Which stored pictures are put into the model's request, after the results of the tools that made
                them: those of the `"latest"` results that brought any, or `"all"`. They never enter the state. The
                model has to be one that sees. A conversation of Mistral's goes on with `"all"`, while with `"latest"`
                each new picture changes what it was shown before, so that its history is sent again.
        """
        super().__init__()
        self.store = image_store(store)
        self.show = show

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolResult]) -> ToolResult:
        """Run the tool, and store the pictures that it returns."""
        stored: ToolResult = self._stored(handler(request))
        return stored

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolResult]]
    ) -> ToolResult:
        """Run the tool, and store the pictures that it returns."""
        return await run_in_executor(None, self._stored, await handler(request))

    def wrap_model_call(
        self, request: ModelRequest[ContextT], handler: Callable[[ModelRequest[ContextT]], ModelResponse[ResponseT]]
    ) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
        """Call the model, with the pictures that it is to see."""
        return _with_references(handler(self._showing(request)))

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
        """Call the model, with the pictures that it is to see."""
        return _with_references(await handler(await run_in_executor(None, self._showing, request)))

    def _stored(self, result: Any) -> Any:
        match result:
            case list():  # of a tool that returns several commands
                return [self._stored(one) for one in result]
            case ToolMessage():
                message = store_pictures(result, self.store)
                return Command(update=_with_images({"messages": [message]})) if images_of(message) else message
            case Command(update=dict(update)) if isinstance(update.get("messages"), list):
                moved = [
                    store_pictures(one, self.store) if isinstance(one, ToolMessage) else one
                    for one in update["messages"]
                ]
                return replace(result, update=_with_images({**update, "messages": moved}))
        return result

    def _showing(self, request: ModelRequest[ContextT]) -> ModelRequest[ContextT]:
        if self.show == "never":
            return request
        rows = [list(row) for _, row in groupby(request.messages, lambda message: isinstance(message, ToolMessage))]
        bringing = [place for place, row in enumerate(rows) if _stored_by_tools(row)]
        wanted = bringing[-1:] if self.show == "latest" else bringing
        messages: list[Any] = []
        for place, row in enumerate(rows):
            # Providers refuse pictures in results, and anything between the results of one answer's calls.
            messages += [*row, self._seen(_stored_by_tools(row))] if place in wanted else row
        return request.override(messages=messages)

    def _seen(self, refs: Iterable[ImageRef]) -> HumanMessage:
        return HumanMessage([block for ref in refs for block in self._blocks(ref)])

    def _blocks(self, ref: ImageRef) -> Iterator[Any]:
        try:
            picture = GeneratedImage.from_bytes(self.store.get(ref["key"]), ref)
        except (OSError, ValueError, ImageError) as error:
            _log.warning("A picture is described to the model instead of shown: %s", error)
            yield {"type": "text", "text": f"{describe_picture(ref)} cannot be shown."}
        else:
            yield picture_text(ref)
            yield picture.content_block()


def _stored_by_tools(row: Sequence[BaseMessage]) -> list[ImageRef]:
    return [ref for ref in images_of(row) if "key" in ref]  # in answers there are none


def _with_images(update: dict[str, Any]) -> dict[str, Any]:
    """Add the references that are in the messages of an update; what it says of them itself goes first."""
    found = {ref["id"]: ref for ref in images_of(update["messages"])}
    return {**update, "images": {**found, **(update.get("images") or {})}} if found else update


def _with_references(
    response: ModelResponse[ResponseT],
) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
    drawn = {ref["id"]: ref for ref in images_of(response.result)}
    return ExtendedModelResponse(response, Command(update={"images": drawn})) if drawn else response


class PortableMessagesMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Hands a history to models of other providers in a form that they take; see `to_portable_messages`.

    Only the request is rewritten: the agent's state keeps Mistral's answers and their references, and a
    `ChatMistralConversations` gets them as they are. Middleware that changes the model has to stand before this one in
    the list.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain.agents.middleware import ModelFallbackMiddleware
        from langchain_mistral_imagegen import ChatMistralConversations
        from langchain_mistral_imagegen.middleware import PortableMessagesMiddleware
        from langchain_openai import ChatOpenAI

        model, fallback = ChatMistralConversations(), ModelFallbackMiddleware(ChatOpenAI(model="gpt-5-mini"))
        agent = create_agent(model, middleware=[fallback, PortableMessagesMiddleware()])
        state = agent.invoke({"messages": [("user", "Generate an orange cat in an office.")]})
        ```
    """

    def __init__(
        self, images: PortableImages = "describe", image_model: ChatMistralConversations | None = None
    ) -> None:
        """Choose what the other models see of pictures.

        Args:
            images: `"describe"`, `"inline"` or `"drop"`, as in `to_portable_messages`. For `"inline"`, the history's
                pictures are downloaded before each call of another model; one that cannot be is described.
            image_model: Whose server and key to download with; by default a `ChatMistralConversations` from the
                environment.
        """
        super().__init__()
        self.images = images
        self.image_model = image_model

    def wrap_model_call(
        self, request: ModelRequest[ContextT], handler: Callable[[ModelRequest[ContextT]], ModelResponse[ResponseT]]
    ) -> ModelResponse[ResponseT]:
        """Call the model, with a portable history if it is another provider's."""
        if _is_mistral_conversations(request.model):
            return handler(request)
        pictures: list[GeneratedImage] = []
        for message in self._with_pictures(request.messages):
            with _described_otherwise():
                pictures += self._downloader.images(message)
        return handler(self._portable(request, pictures))

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT]:
        """Call the model, with a portable history if it is another provider's."""
        if _is_mistral_conversations(request.model):
            return await handler(request)
        pictures: list[GeneratedImage] = []
        for message in self._with_pictures(request.messages):
            with _described_otherwise():
                pictures += await self._downloader.aimages(message)
        return await handler(self._portable(request, pictures))

    def _portable(self, request: ModelRequest[ContextT], pictures: Iterable[GeneratedImage]) -> ModelRequest[ContextT]:
        messages: list[Any] = list(to_portable_messages(request.messages, self.images, pictures))
        return request.override(messages=messages)

    def _with_pictures(self, messages: Sequence[BaseMessage]) -> Iterator[AIMessage]:
        if self.images == "inline":
            yield from (answer for answer in map(_as_answer, messages) if images_of(answer))

    @cached_property
    def _downloader(self) -> ChatMistralConversations:
        return self.image_model or ChatMistralConversations()


def _is_mistral_conversations(model: Any) -> bool:
    while isinstance(model, RunnableBinding):
        model = model.bound
    return isinstance(model, ChatMistralConversations)


def _as_answer(message: BaseMessage) -> AIMessage:
    """Make a message that `images` looks into; files that were sent are downloaded like those of answers."""
    if isinstance(message, AIMessage):
        return message
    return AIMessage(message.content if isinstance(message.content, list) else "")


@contextmanager
def _described_otherwise() -> Iterator[None]:
    """Let the call go on without a picture that cannot be downloaded: its server may be why another model is asked."""
    try:
        yield
    except (ImageError, APIError, APIConnectionError) as error:
        _log.warning("A picture is described to the model instead of shown: %s", error)
