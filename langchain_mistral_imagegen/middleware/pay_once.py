"""`PayOnceMiddleware`: an agent whose own model generates images pays once for each answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ContextT, ResponseT
from langgraph.config import get_config

from langchain_mistral_imagegen import stores
from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen._ledger.keys import Task
from langchain_mistral_imagegen.errors import StreamInterruptedError
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._ledger_files import ledger_files


class PayOnceMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Pays once for each answer of a `ChatMistralConversations`, also after a crash or if the answer is lost.

    The agent needs a checkpointer and a `thread_id`. When it is resumed with `agent.invoke(None, config)`, an answer
    that exists is adopted; while an earlier request may still be answered, it is waited for (see `answer_within` of the
    model). Models of other providers are called as usual.

    List it last. `ModelFallbackMiddleware` before it then sees an error only if no answer exists, nor can come any
    more, so that a fallback is not paid for besides an answer.

    Example:
        ```python
        from langchain.agents import create_agent
        from langgraph.checkpoint.memory import InMemorySaver
        from langchain_mistral_imagegen import ChatMistralConversations
        from langchain_mistral_imagegen.middleware import PayOnceMiddleware

        agent = create_agent(
            ChatMistralConversations(),
            middleware=[PayOnceMiddleware(image_store="memory://images")],
            checkpointer=InMemorySaver(),
        )
        agent.invoke({"messages": [("user", "Draw a boat.")]}, {"configurable": {"thread_id": "1"}})
        ```
    """

    def __init__(self, *, image_store: ImageStore | str | None = None) -> None:
        """Choose where requests and answers are recorded.

        Args:
            image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
                All processes that run the agent must share it.

        Raises:
            InvalidInputError: If `image_store` is no place for images, or cannot hold a ledger.
        """
        super().__init__()
        self.image_store = stores.image_store(image_store)
        ledger_files(self.image_store)

    def wrap_model_call(
        self, request: ModelRequest[ContextT], handler: Callable[[ModelRequest[ContextT]], ModelResponse[ResponseT]]
    ) -> ModelResponse[ResponseT]:
        """Call the model, and pay once."""
        with paying_once(self._work()):
            try:
                return handler(request)
            except StreamInterruptedError:  # its answer is found, or known not to come, by a second call
                return handler(request)

    async def awrap_model_call(
        self,
        request: ModelRequest[ContextT],
        handler: Callable[[ModelRequest[ContextT]], Awaitable[ModelResponse[ResponseT]]],
    ) -> ModelResponse[ResponseT]:
        """Call the model, and pay once."""
        with paying_once(self._work()):
            try:
                return await handler(request)
            except StreamInterruptedError:
                return await handler(request)

    def _work(self) -> PayOnce | None:
        task = Task.of(get_config())
        return PayOnce(store=self.image_store, task=task) if task else None
