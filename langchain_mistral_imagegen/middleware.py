"""`PortableMessagesMiddleware`: LangChain agents whose models come from several providers (extra `agent`)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ContextT, ResponseT
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableBinding

from langchain_mistral_imagegen._references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import APIConnectionError, APIError, ImageError
from langchain_mistral_imagegen.images import GeneratedImage
from langchain_mistral_imagegen.portable import PortableImages, to_portable_messages

_log = logging.getLogger("langchain_mistral_imagegen")


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
