"""`ImagesMiddleware`: keeps the bytes of images out of an agent's state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, Literal, NotRequired

from langchain.agents.middleware import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    ToolCallRequest,
)
from langchain.agents.middleware.types import ContextT, OmitFromInput, ResponseT
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables.config import run_in_executor
from langgraph.types import Command
from typing_extensions import TypedDict

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._messages.message_like import as_messages, is_message
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model, unbound
from langchain_mistral_imagegen.errors import ImageError, InvalidInputError
from langchain_mistral_imagegen.images import GeneratedImage, ImageRef, merge_images, with_url
from langchain_mistral_imagegen.middleware._inline_images import describe_image, image_text, store_inline_images
from langchain_mistral_imagegen.stores import ImageStore

_log = package_logger()

ToolResult = ToolMessage | Command[Any]
_Images = Annotated[dict[str, ImageRef], OmitFromInput, merge_images]  # clients cannot write references


class ImagesAgentState(AgentState[ResponseT]):
    """An agent's state with references, by id, to the images that tools and the model made."""

    images: NotRequired[_Images]


class ImagesMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Moves the bytes of images out of an agent's state into an image store, and keeps references in its `images`.

    An image that a tool returns with its bytes (as base64 or a data URL, in LangChain's, OpenAI's, Anthropic's or MCP's
    form) goes into an image store; the model reads its id, type and size instead. An image that cannot be stored stays
    in its message, and a warning is logged. Images that users send also stay where they are.

    Images that the agent's own `ChatMistralConversations` generates are downloaded into the store at once, because
    their URLs expire; one that cannot be downloaded is `failed` in `images`, and the run goes on. Images that
    `MistralImageGenerationTool` stored are added to `images`, too.

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
        self,
        *,
        image_store: ImageStore | str | None = None,
        show: Literal["never", "latest", "all"] = "never",
        images_key: str = "images",
        model: ChatMistralConversations | None = None,
        public_url: str | None = None,
    ) -> None:
        """Choose where images are stored, and which of them the model sees.

        Args:
            image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
                To show images that a tool has stored, pass that tool's store.
            show: Which stored images are added to the model's request, after the messages that brought them: none,
                those of the `"latest"` answer or tool results with images, or `"all"`. They never enter the state. The
                model must be a vision model. With `"all"`, a Mistral conversation can be continued; with `"latest"`,
                each new image changes what was sent before, so the whole history is sent again.
            images_key: Channel of the references; another one if the agent's state has `images` of its own.
            model: Downloads what the agent's model generated; by default that model itself.
            public_url: URL below which the program serves the store; each stored reference then has a `url`.

        Raises:
            InvalidInputError: If `image_store` is no place for images, `show` none of these words, or `model` no
                `ChatMistralConversations`.
        """
        super().__init__()
        if show not in ("never", "latest", "all"):
            raise InvalidInputError(f"show={show!r} is not known; use 'never', 'latest' or 'all'")
        self.image_store = stores.image_store(image_store)
        self.show = show
        self.images_key = images_key
        self.model = None if model is None else conversations_model(model, "ImagesMiddleware")
        self.public_url = public_url
        if images_key != "images":
            self.state_schema = TypedDict("ImagesAgentState", {images_key: NotRequired[_Images]})  # type: ignore[misc]  # made when the program runs

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
        """Call the model, with the images it should see, and store the images that it generates."""
        response = handler(self._with_shown_images(request))
        drawn = images_of(response.result)
        downloader = self._downloader(request)
        outcomes = downloader.store_images(drawn, self.image_store) if drawn and downloader else drawn
        return self._with_references(response, drawn, outcomes)

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
        """Call the model, with the images it should see, and store the images that it generates."""
        response = await handler(await run_in_executor(None, self._with_shown_images, request))
        drawn = images_of(response.result)
        downloader = self._downloader(request)
        outcomes = await downloader.astore_images(drawn, self.image_store) if drawn and downloader else drawn
        return self._with_references(response, drawn, outcomes)

    def _downloader(self, request: ModelRequest[ContextT]) -> ChatMistralConversations | None:
        model = self.model or unbound(request.model)
        return model if isinstance(model, ChatMistralConversations) else None

    def _with_references(
        self,
        response: ModelResponse[ResponseT],
        drawn: Sequence[ImageRef],
        outcomes: Sequence[ImageRef | Exception],
    ) -> ModelResponse[ResponseT] | ExtendedModelResponse[ResponseT]:
        if not drawn:
            return response
        refs = [
            ref if ref is outcome else attempted(ref, outcome) for ref, outcome in zip(drawn, outcomes, strict=True)
        ]
        return ExtendedModelResponse(response, Command(update={self.images_key: self._by_id(refs)}))

    def _by_id(self, refs: Iterable[ImageRef]) -> dict[str, ImageRef]:
        return {ref["id"]: with_url(ref, self.public_url) for ref in refs}

    def _with_images(self, update: dict[str, Any]) -> dict[str, Any]:
        """Add the references in the messages of an update; references that the update has itself take precedence."""
        found = self._by_id(images_of(update["messages"]))
        return {**update, self.images_key: {**found, **(update.get(self.images_key) or {})}} if found else update

    def _store_images(self, result: Any) -> Any:
        match result:
            case list():  # from a tool that returns several commands
                return [self._store_images(one) for one in result]
            case ToolMessage():
                message = store_inline_images(result, self.image_store)
                return Command(update=self._with_images({"messages": [message]})) if images_of(message) else message
            case Command(update=dict(update)) if _has_messages(update):
                moved = [
                    store_inline_images(one, self.image_store) if isinstance(one, ToolMessage) else one
                    for one in as_messages(update["messages"])
                ]
                return replace(result, update=self._with_images({**update, "messages": moved}))
        return result

    def _with_shown_images(self, request: ModelRequest[ContextT]) -> ModelRequest[ContextT]:
        known: Any = request.state.get(self.images_key, {})
        if not isinstance(known, dict):
            raise InvalidInputError(
                f"The agent's state has a channel {self.images_key!r} that holds a {type(known).__name__} and no "
                "references to images by id; pass ImagesMiddleware(images_key=...) with another name"
            )
        if self.show == "never":
            return request
        rows = list(_rows(as_messages(request.messages)))
        images = [_stored(row, known) for row in rows]
        shown = [index for index, refs in enumerate(images) if refs][-1 if self.show == "latest" else 0 :]
        messages: list[Any] = []
        for index, row in enumerate(rows):
            messages += [*row, self._question(images[index])] if index in shown else row
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


def _has_messages(update: dict[str, Any]) -> bool:
    messages = update.get("messages")
    return isinstance(messages, list) or is_message(messages)  # else a command of LangGraph's, such as `Overwrite`


def _rows(messages: Sequence[BaseMessage]) -> Iterator[list[BaseMessage]]:
    """Cut the messages where an image can be shown: not between the results of an answer's calls."""
    row: list[BaseMessage] = []
    for message, following in pairwise([*messages, None]):
        row += [message] if message else []
        if not isinstance(following, ToolMessage):
            yield row
            row = []


def _stored(row: Sequence[BaseMessage], known: dict[str, ImageRef]) -> list[ImageRef]:
    """Return the stored images of an answer and its tools' results; those of an answer are in the state only."""
    refs = [*images_of([one for one in row if isinstance(one, ToolMessage)])]
    refs += [known.get(ref["id"], ref) for one in row if isinstance(one, AIMessage) for ref in images_of(one)]
    return [ref for ref in refs if "key" in ref]
