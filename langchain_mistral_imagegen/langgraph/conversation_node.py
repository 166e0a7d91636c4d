"""`ConversationNode`: the LangGraph node that pays, once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig

from langchain_mistral_imagegen._conversations.ledger import KEY, Intents, Patience, answer_of, withdraw
from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._messages.answers import AnswerContext, to_message
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    InvalidInputError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from langchain_mistral_imagegen.events import ImageEvent, outcome_event, teller
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.langgraph._node import GraphNode, Update, messages_in
from langchain_mistral_imagegen.stores import ImageStore, image_store


@dataclass(frozen=True)
class ConversationNode(GraphNode):
    """Has the messages answered, and does not pay again for an answer that a crash or a lost connection swallowed.

    Before it asks, it writes an intent into the image store, under a key made of thread, task and history. A retry or
    a resumed graph finds it, looks for the answer at Mistral and adopts it (without `usage_metadata`, which the history
    does not have). While an intent is younger than the model's `timeout`, its answer is waited for, because it may
    still be drawn. A fork or a replay is another task, and asks anew. (A parent node that calls one subgraph twice with
    the very same messages is the same task, and gets the same picture.) Without a `thread_id` there is no key, and it
    just asks.

    With `stream_mode="custom"` it tells `mistral.image.generating`, and for each picture `.generated` or `.adopted`.

    Attributes:
        model: The chat model, also with tools bound; it must keep its conversations (`store=True`).
        image_store: Where intents are kept, below `_intents/`; all workers on a thread must share it. So are pictures
            that exist only as a signed URL, which expires after an hour or so; files are left to `ToolFileNode`. By
            default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
        messages_key: Where the state has its messages.
        images_key: Where the state has its references, if it has.
        reconcile: `"on_resume"` looks for an answer if there is an intent, `"always"` also if there is none (intents
            may be lost; but a fork in the same words gets its sibling's answer then), `"off"` never, and writes none.

    Example:
        ```python
        policy = RetryPolicy(retry_on=ConversationNode.retry_on)
        builder.add_node("draw", ConversationNode(model), retry_policy=policy)
        ```
    """

    model: Runnable[Any, AIMessage]
    image_store: ImageStore | str | None = None
    messages_key: str = "messages"
    images_key: str = "images"
    reconcile: Literal["on_resume", "always", "off"] = "on_resume"

    name = "ConversationNode"  # of the run in traces; not a field

    def __post_init__(self) -> None:
        """Check the model.

        Raises:
            InvalidInputError: If it keeps no conversations in which an answer could be found.
        """
        chat = self._chat
        if self.reconcile != "off" and (not chat.store or chat.transport != "conversations"):
            raise InvalidInputError(
                "ConversationNode finds a lost answer in its conversation, so the model needs store=True and "
                "transport='conversations'; reconcile='off' does without"
            )

    @staticmethod
    def retry_on(error: Exception) -> bool:
        """Tell a `RetryPolicy` what to repeat: what may pass, now that nothing is paid twice. Not a day's quota."""
        passing = (OutcomeUnknownError, RateLimitError, ServerError, APIConnectionError)
        return isinstance(error, passing) and not isinstance(error, QuotaExceededError)

    @property
    def channels(self) -> Sequence[str]:
        """See `GraphNode.channels`."""
        return [self.messages_key]

    def run(self, state: Mapping[str, Any], config: RunnableConfig) -> Update:
        """Answer the messages and return the update of the state."""
        turn, context, key = self._prepared(state, config)
        adopted = self._chat.client.run(self._adopted(turn, context, key)) if key else None
        try:
            answer = adopted or self._asking(key).invoke(turn.messages, config)
        except Exception as error:
            if key:
                self._chat.client.run(withdraw(key, self._intents, error))
            raise
        outcomes = self._chat.store_images(_brief(answer), self._store)
        return self._update(answer, outcomes, is_adopted=adopted is not None)

    async def arun(self, state: Mapping[str, Any], config: RunnableConfig) -> Update:
        """Answer the messages and return the update of the state."""
        turn, context, key = self._prepared(state, config)
        adopted = await self._chat.async_client.run(self._adopted(turn, context, key)) if key else None
        try:
            answer = adopted or await self._asking(key).ainvoke(turn.messages, config)
        except Exception as error:
            if key:
                await self._chat.async_client.run(withdraw(key, self._intents, error))
            raise
        outcomes = await self._chat.astore_images(_brief(answer), self._store)
        return self._update(answer, outcomes, is_adopted=adopted is not None)

    def _prepared(self, state: Mapping[str, Any], config: RunnableConfig) -> tuple[Turn, AnswerContext, str | None]:
        """Make the turn, and the key of thread, root task, node path and history.

        Within a subgraph that its parent retries, only the root task is stable; the inner tasks are new ones, and a
        number in the path counts the attempts.
        """
        turn, context = self._chat.prepared(messages_in(state, self.messages_key), self._bound)
        place = config.get("configurable", {})
        if self.reconcile == "off" or not place.get("thread_id") or not place.get("checkpoint_ns"):
            return turn, context, None
        root, *inner = place["checkpoint_ns"].split("|")
        path = [segment.partition(":")[0] for segment in inner if not segment.isdigit()]
        named = "|".join([str(place["thread_id"]), root, *path, turn.fingerprint])
        return turn, context, hashlib.sha256(named.encode()).hexdigest()[:32]

    def _adopted(self, turn: Turn, context: AnswerContext, key: str) -> Flow[AIMessage | None]:
        patience = Patience(timeout=self._chat.timeout, always=self.reconcile == "always")
        found = yield from answer_of(turn, key, self._intents, patience)
        return to_message(found, context) if found else None

    def _asking(self, key: str | None) -> Runnable[Any, AIMessage]:
        teller()({"type": "mistral.image.generating"})
        return self.model.bind(conversation_metadata={KEY: key}) if key else self.model

    def _update(self, answer: AIMessage, outcomes: Sequence[ImageRef | Exception], *, is_adopted: bool) -> Update:
        tell = teller()
        for ref in images_of(answer):
            where = {"id": ref["id"], "conversation_id": ref.get("conversation_id", "")}
            kind = "mistral.image.adopted" if is_adopted else "mistral.image.generated"
            tell(cast("ImageEvent", {"type": kind, **where}))
        kept = list(map(attempted, _brief(answer), outcomes))
        for ref in kept:
            tell(outcome_event(ref))
        images = {self.images_key: {ref["id"]: ref for ref in kept}} if kept else {}
        return {self.messages_key: [answer], **images}

    @property
    def _chat(self) -> ChatMistralConversations:
        model = self.model
        while isinstance(model, RunnableBinding):
            model = model.bound
        if not isinstance(model, ChatMistralConversations):
            raise InvalidInputError(f"ConversationNode needs a ChatMistralConversations; it was given {type(model)}")
        return model

    @property
    def _bound(self) -> dict[str, Any]:
        return dict(self.model.kwargs) if isinstance(self.model, RunnableBinding) else {}

    @property
    def _intents(self) -> Intents:
        return Intents(self._store)

    @cached_property
    def _store(self) -> ImageStore:
        return image_store(self.image_store)


def _brief(answer: AIMessage) -> list[ImageRef]:
    """Return the pictures that have no file, and are gone when their signed URL expires."""
    return [ref for ref in images_of(answer) if "file_id" not in ref]
