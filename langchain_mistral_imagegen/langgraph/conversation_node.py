"""`ConversationNode`: the LangGraph node that pays, once for each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal, cast

from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig

from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen._conversations.payment import ADOPTED
from langchain_mistral_imagegen._downloads import attempted
from langchain_mistral_imagegen._ledger.keys import Task
from langchain_mistral_imagegen._messages.references import images_of
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
    """Answers the messages, and pays for the answer once, also after a crash or if it is lost on the way.

    Before each request, it writes a record into the image store, under a key made of thread, task and history. A retry
    or a resumed graph finds the record, looks for the answer at Mistral and adopts it (without `usage_metadata`, if it
    was not recorded). While an earlier request may still be answered, the node waits, for at most `answer_within`
    seconds of the model (`timeout`, if the process that sent it died) and some ten more. A fork or a replay is another
    task, and sends a new request. (If a parent node calls one subgraph twice with exactly the same messages, that is
    the same task, with the same image.) Without a `thread_id` there is no key, and the request is sent at once.

    Before the first request it waits until the checkpoint that holds its task can be read, so that it does not depend
    on LangGraph's `durability`. Resume with `graph.invoke(None, config)`, without a `checkpoint_id`: that is a fork.

    With `stream_mode="custom"` it emits `mistral.image.generating`, `.waiting` for an earlier request, and for
    each image `.generated` or `.adopted`.

    Attributes:
        model: The chat model, also with tools bound; it must store its conversations (`store=True`).
        image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`. It
            contains the records, below `_ledger/`, so all workers on a thread must share it. Images that exist only as
            a signed URL, which expires after about an hour, are stored here at once; `ToolFileNode` stores the others.
        messages_key: Channel of the messages.
        images_key: Channel of the references to images, if the state has one.
        reconcile: `"on_resume"` looks for an answer if there is a record, `"always"` also if there is none (useful if
            records may be lost; but a fork with the same messages then gets its sibling's answer), `"off"` never, and
            writes no records.

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
        emitter()({"type": "mistral.image.generating"})
        with paying_once(self._work(config)):
            answer = self.model.invoke(messages_in(state, self.messages_key), config)
        refs = images_of(answer)
        return self._update(answer, refs, self._chat_model.store_images(_without_file(refs), self._store))

    async def arun(self, state: Mapping[str, Any], config: RunnableConfig) -> Update:
        """Answer the messages and return the update of the state."""
        emitter()({"type": "mistral.image.generating"})
        with paying_once(self._work(config)):
            answer = await self.model.ainvoke(messages_in(state, self.messages_key), config)
        refs = images_of(answer)
        return self._update(answer, refs, await self._chat_model.astore_images(_without_file(refs), self._store))

    def _work(self, config: RunnableConfig) -> PayOnce | None:
        task = Task.of(config)
        if self.reconcile == "off" or task is None:
            return None
        return PayOnce(store=self._store, task=task, look_first=self.reconcile == "always")

    def _update(self, answer: AIMessage, refs: Sequence[ImageRef], outcomes: Sequence[ImageRef | Exception]) -> Update:
        emit, is_adopted = emitter(), ADOPTED in answer.response_metadata
        for ref in refs:
            kind = "mistral.image.adopted" if is_adopted else "mistral.image.generated"
            ids = {"id": ref["id"], "conversation_id": ref.get("conversation_id", "")}
            emit(cast("ImageEvent", {"type": kind, **ids}))
        stored = list(map(attempted, _without_file(refs), outcomes))
        for ref in stored:
            emit(outcome_event(ref))
        images = {self.images_key: {ref["id"]: ref for ref in stored}} if stored else {}
        return {self.messages_key: [answer], **images}

    @property
    def _chat_model(self) -> ChatMistralConversations:
        return conversations_model(unbound(self.model), "ConversationNode")

    @cached_property
    def _store(self) -> ImageStore:
        return image_store(self.image_store)


def _without_file(refs: Sequence[ImageRef]) -> list[ImageRef]:
    """Return the images that have no file: they can no longer be fetched when their signed URL expires."""
    return [ref for ref in refs if "file_id" not in ref]
