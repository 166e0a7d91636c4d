"""`PortableMessagesMiddleware`: models of several providers in one agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, get_args

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ContextT, ResponseT
from langchain_core.messages import AIMessage, BaseMessage

from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._messages.message_like import as_messages
from langchain_mistral_imagegen._messages.portable import to_portable_messages
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model, unbound
from langchain_mistral_imagegen.errors import APIConnectionError, APIError, ImageError, InvalidInputError
from langchain_mistral_imagegen.images import GeneratedImage

PortableImages = Literal["describe", "inline", "drop"]
_log = package_logger()


class PortableMessagesMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Sends the history to other providers' models in a form that they accept; see `to_portable_messages`.

    Only the request is rewritten: the agent's state keeps Mistral's answers and their references, and a
    `ChatMistralConversations` receives them unchanged. Put middleware that changes the model before this one in the
    list.

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

    def __init__(self, *, images: PortableImages = "describe", model: ChatMistralConversations | None = None) -> None:
        """Choose what the other models see of images.

        Args:
            images: `"describe"` or `"drop"`, as in `to_portable_messages`. With `"inline"`, the history's images are
                downloaded before each call of another model and added to the messages; an image that cannot be
                downloaded is described.
            model: Downloads the images; by default a `ChatMistralConversations` with the key and the server from the
                environment.

        Raises:
            InvalidInputError: If `model` is no `ChatMistralConversations`, or `images` none of these words.
        """
        super().__init__()
        if images not in get_args(PortableImages):
            raise InvalidInputError(f"images={images!r} is not known; use 'describe', 'inline' or 'drop'")
        self.images = images
        self.model = None if model is None else conversations_model(model, "PortableMessagesMiddleware")

    def wrap_model_call(
        self, request: ModelRequest[ContextT], handler: Callable[[ModelRequest[ContextT]], ModelResponse[ResponseT]]
    ) -> ModelResponse[ResponseT]:
        """Call the model, with a portable history if it is another provider's."""
        if isinstance(unbound(request.model), ChatMistralConversations):
            return handler(request)
        images: list[GeneratedImage] = []
        for message in self._with_images(as_messages(request.messages)):
            with _described_if_missing():
                images += self._downloader.images(message)
        return handler(self._portable(request, images))

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT]:
        """Call the model, with a portable history if it is another provider's."""
        if isinstance(unbound(request.model), ChatMistralConversations):
            return await handler(request)
        images: list[GeneratedImage] = []
        for message in self._with_images(as_messages(request.messages)):
            with _described_if_missing():
                images += await self._downloader.aimages(message)
        return await handler(self._portable(request, images))

    def _portable(self, request: ModelRequest[ContextT], images: Iterable[GeneratedImage]) -> ModelRequest[ContextT]:
        shown = images if self.images == "inline" else self.images
        messages: list[Any] = list(to_portable_messages(request.messages, shown))
        return request.override(messages=messages)

    def _with_images(self, messages: Sequence[BaseMessage]) -> Iterator[AIMessage]:
        if self.images == "inline":
            yield from (answer for answer in map(_as_answer, messages) if images_of(answer))

    @cached_property
    def _downloader(self) -> ChatMistralConversations:
        return self.model or ChatMistralConversations()


def _as_answer(message: BaseMessage) -> AIMessage:
    """Return an `AIMessage` in which images are found; files that a user sent are downloaded like generated ones."""
    if isinstance(message, AIMessage):
        return message
    return AIMessage(message.content if isinstance(message.content, list) else "")


@contextmanager
def _described_if_missing() -> Iterator[None]:
    """Continue without an image that cannot be downloaded: Mistral may be down, and this model the fallback."""
    try:
        yield
    except (ImageError, APIError, APIConnectionError) as error:
        _log.warning("An image is described to the model instead of shown: %s", error)
