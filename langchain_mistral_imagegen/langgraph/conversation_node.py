"""`ConversationNode`: the LangGraph node that pays, once for each answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal, cast

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig

from langchain_mistral_imagegen._conversations.ledger import Intents, Patience, answer_of, withdraw
from langchain_mistral_imagegen._conversations.turn import KEY, Turn
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model, unbound
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    InvalidInputError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from langchain_mistral_imagegen.events import ImageEvent, emitter, outcome_event
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.langgraph._node import GraphNode, Update, messages_in
from langchain_mistral_imagegen.stores import ImageStore, image_store


@dataclass(frozen=True)
class ConversationNode(GraphNode):
    """Gets an answer to the messages, and does not pay again for an answer that was lost in a crash or on the network.

    Before the request, it writes an intent into the image store, under a key made of thread, task and history. A retry
    or a resumed graph finds the intent, looks for the answer at Mistral and adopts it (without `usage_metadata`, which
    Mistral does not store). While an intent is younger than the model's `timeout`, the node waits for the answer,
    because Mistral may still be generating it. A fork or a replay is another task, and sends a new request. (If a
    parent node calls one subgraph twice with exactly the same messages, that is the same task, with the same image.)
    Without a `thread_id` there is no key, and the request is sent at once.

    With `stream_mode="custom"` it emits `mistral.image.generating`, and for each image `.generated` or `.adopted`.

    Attributes:
        model: The chat model, also with tools bound; it must store its conversations (`store=True`).
        image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`. It
            contains the intents, below `_intents/`, so all workers on a thread must share it. Images that exist only as
            a signed URL, which expires after about an hour, are stored here at once; `ToolFileNode` stores the others.
        messages_key: Channel of the messages.
        images_key: Channel of the references to images, if the state has one.
        reconcile: `"on_resume"` looks for an answer if there is an intent, `"always"` also if there is none (useful if
            intents may be lost; but a fork with the same messages then gets its sibling's answer), `"off"` never, and
            writes no intents.

    Example:
        ```python
        policy = RetryPolicy(retry_on=ConversationNode.retry_on)
        builder.add_node("draw", ConversationNode(model), retry_policy=policy)
        ```
    """

    model: Runnable[Any, AIMessage]
    _: KW_ONLY
    image_store: ImageStore | str | None = None
    messages_key: str = "messages"
    images_key: str = "images"
    reconcile: Literal["on_resume", "always", "off"] = "on_resume"

    name = "ConversationNode"  # of the run in traces; not a field

    def __post_init__(self) -> None:
        """Check the arguments.

        Raises:
            InvalidInputError: If `model` is no `ChatMistralConversations` or stores no conversations in which an answer
                could be found, or if another argument cannot be used.
        """
        chat = self._chat_model
        image_store(self.image_store)
        if self.reconcile not in ("on_resume", "always", "off"):
            raise InvalidInputError(f"reconcile={self.reconcile!r} is not known; use 'on_resume', 'always' or 'off'")
        if self.reconcile != "off" and (not chat.store or chat.transport != "conversations"):
            raise InvalidInputError(
                "ConversationNode looks for a lost answer in the conversation, so the model needs store=True and "
                "transport='conversations'; or pass reconcile='off'"
            )

    @staticmethod
    def retry_on(error: Exception) -> bool:
        """Return whether a `RetryPolicy` should retry an error: if it is temporary, and no used-up daily quota."""
        temporary = (OutcomeUnknownError, RateLimitError, ServerError, APIConnectionError)
        return isinstance(error, temporary) and not isinstance(error, QuotaExceededError)

    @property
    def channels(self) -> Sequence[str]:
        """See `GraphNode.channels`."""
        return [self.messages_key]

    def run(self, state: Mapping[str, Any], config: RunnableConfig) -> Update:
        """Answer the messages and return the update of the state."""
        turn, context, key = self._prepared(state, config)
        adopted = self._chat_model.client.run(self._adopted(turn, context, key)) if key else None
        try:
            answer = adopted or self._announced_model(key).invoke(turn.messages, config)
        except Exception as error:
            if key:
                self._chat_model.client.run(withdraw(key, self._intents, error))
            raise
        outcomes = self._chat_model.store_images(_without_file(answer), self._store)
        return self._update(answer, outcomes, is_adopted=adopted is not None)

    async def arun(self, state: Mapping[str, Any], config: RunnableConfig) -> Update:
        """Answer the messages and return the update of the state."""
        turn, context, key = self._prepared(state, config)
        adopted = await self._chat_model.async_client.run(self._adopted(turn, context, key)) if key else None
        try:
            answer = adopted or await self._announced_model(key).ainvoke(turn.messages, config)
        except Exception as error:
            if key:
                await self._chat_model.async_client.run(withdraw(key, self._intents, error))
            raise
        outcomes = await self._chat_model.astore_images(_without_file(answer), self._store)
        return self._update(answer, outcomes, is_adopted=adopted is not None)

    def _prepared(self, state: Mapping[str, Any], config: RunnableConfig) -> tuple[Turn, AnswerContext, str | None]:
        """Return the turn, and its key, which is made of thread, root task, node path and history.

        In a subgraph that its parent retries, only the root task is stable: the inner tasks are new ones, and a number
        in the path counts the attempts.
        """
        turn, context = self._chat_model._prepare(  # noqa: SLF001  # a node is part of this package
            messages_in(state, self.messages_key), self._bound
        )
        place = config.get("configurable", {})
        if self.reconcile == "off" or not place.get("thread_id") or not place.get("checkpoint_ns"):
            return turn, context, None
        root, *inner = place["checkpoint_ns"].split("|")
        path = [segment.partition(":")[0] for segment in inner if not segment.isdigit()]
        named = "|".join([str(place["thread_id"]), root, *path, turn.fingerprint])
        return turn, context, hashlib.sha256(named.encode()).hexdigest()[:32]

    def _adopted(self, turn: Turn, context: AnswerContext, key: str) -> Flow[AIMessage | None]:
        patience = Patience(timeout=self._chat_model.timeout, always=self.reconcile == "always")
        found = yield from answer_of(turn, key, self._intents, patience)
        return to_message(found, context) if found else None

    def _announced_model(self, key: str | None) -> Runnable[Any, AIMessage]:
        emitter()({"type": "mistral.image.generating"})
        if key is None:
            return self.model
        return self.model.bind(conversation_metadata={**(self._bound.get("conversation_metadata") or {}), KEY: key})

    def _update(self, answer: AIMessage, outcomes: Sequence[ImageRef | Exception], *, is_adopted: bool) -> Update:
        emit = emitter()
        for ref in images_of(answer):
            kind = "mistral.image.adopted" if is_adopted else "mistral.image.generated"
            ids = {"id": ref["id"], "conversation_id": ref.get("conversation_id", "")}
            emit(cast("ImageEvent", {"type": kind, **ids}))
        stored = list(map(attempted, _without_file(answer), outcomes))
        for ref in stored:
            emit(outcome_event(ref))
        images = {self.images_key: {ref["id"]: ref for ref in stored}} if stored else {}
        return {self.messages_key: [answer], **images}

    @property
    def _chat_model(self) -> ChatMistralConversations:
        return conversations_model(unbound(self.model), "ConversationNode")

    @property
    def _bound(self) -> dict[str, Any]:
        return dict(self.model.kwargs) if isinstance(self.model, RunnableBinding) else {}

    @property
    def _intents(self) -> Intents:
        return Intents(self._store)

    @cached_property
    def _store(self) -> ImageStore:
        return image_store(self.image_store)


def _without_file(answer: AIMessage) -> list[ImageRef]:
    """Return the images that have no file: they can no longer be fetched when their signed URL expires."""
    return [ref for ref in images_of(answer) if "file_id" not in ref]
