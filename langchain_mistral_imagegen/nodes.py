"""LangGraph nodes: `ToolFileNode` brings the pictures of the messages into the graph's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from langgraph.graph import MessagesState

from langchain_mistral_imagegen._downloads import MAX_CONCURRENCY, DownloadOptions
from langchain_mistral_imagegen._graph_node import GraphNode
from langchain_mistral_imagegen._progress import Tell, downloading, outcome_event, teller
from langchain_mistral_imagegen._references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.images import ImageRef, merge_images
from langchain_mistral_imagegen.stores import DEFAULT_MAX_BYTES, ImageStore, image_store


class ImageState(MessagesState):
    """Messages, and the pictures in them: references by id, merged by `merge_images`."""

    images: Annotated[dict[str, ImageRef], merge_images]


@dataclass(frozen=True)
class ToolFileNode(GraphNode):
    """Downloads each picture of the messages that is not stored yet, and puts its reference into the state.

    Pictures are found in AI messages in every shape they arrive in, and in the artifacts of tool messages. One that
    fails is marked (`status="failed"`, `error`, `attempts`); the others are stored all the same, and the next run
    fetches only what is missing. Downloads cost nothing, so the node can be repeated freely.

    With `stream_mode="custom"` it tells how each picture gets on: `mistral.image.download`, `.stored`, `.failed`.

    It is a Runnable for `StateGraph.add_node` (sync and async); `run` and `arun` are the same as methods.

    Attributes:
        image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
        model: Whose server and key to use; by default a `ChatMistralConversations` from the environment.
        messages_key: Where the state has its messages.
        images_key: Where the state has its references; the channel needs the reducer `merge_images`.
        on_error: `"mark"` a picture that fails, or `"raise"` its error once its siblings are stored.
        max_concurrency: Downloads at once.
        max_bytes: Bytes one picture may have.

    Example:
        ```python
        builder = StateGraph(ImageState)
        builder.add_node("download", ToolFileNode(image_store="file:///var/pictures"))
        ```
    """

    image_store: ImageStore | str | None = None
    model: ChatMistralConversations | None = None
    messages_key: str = "messages"
    images_key: str = "images"
    on_error: Literal["mark", "raise"] = "mark"
    max_concurrency: int = MAX_CONCURRENCY
    max_bytes: int = DEFAULT_MAX_BYTES

    name = "ToolFileNode"  # of the run in traces; not a field

    def run(self, state: Mapping[str, Any]) -> dict[str, dict[str, ImageRef]]:
        """Download what is missing and return the update of the state."""
        missing, tell = self._missing(state), teller()
        outcomes = self._chat_model.store_images(missing, self._store, **self._options(tell))
        return self._update(missing, outcomes, tell)

    async def arun(self, state: Mapping[str, Any]) -> dict[str, dict[str, ImageRef]]:
        """Download what is missing and return the update of the state."""
        missing, tell = self._missing(state), teller()
        outcomes = await self._chat_model.astore_images(missing, self._store, **self._options(tell))
        return self._update(missing, outcomes, tell)

    def _missing(self, state: Any) -> list[ImageRef]:
        known = _part(state, self.images_key) or {}
        found = images_of({"messages": _part(state, self.messages_key), "images": known})
        return [ref for ref in found if ref["status"] != "stored"]

    def _update(
        self, asked: Sequence[ImageRef], outcomes: Sequence[ImageRef | Exception], tell: Tell
    ) -> dict[str, dict[str, ImageRef]]:
        refs = [_marked(ref, outcome) for ref, outcome in zip(asked, outcomes, strict=True)]
        for ref in refs:
            tell(outcome_event(ref))
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if errors and self.on_error == "raise":
            raise errors[0]
        return {self.images_key: {ref["id"]: ref for ref in refs}}

    def _options(self, tell: Tell) -> DownloadOptions:
        return {
            "max_concurrency": self.max_concurrency,
            "max_bytes": self.max_bytes,
            "on_bytes": downloading(tell),
        }

    @cached_property
    def _store(self) -> ImageStore:
        return image_store(self.image_store)

    @cached_property
    def _chat_model(self) -> ChatMistralConversations:
        return self.model or ChatMistralConversations()


def _part(state: Any, key: str) -> Any:
    return state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)


def _marked(ref: ImageRef, outcome: ImageRef | Exception) -> ImageRef:
    """Count the attempt, and keep the error of one that failed."""
    attempts = ref.get("attempts", 0) + 1
    if isinstance(outcome, Exception):
        failed: ImageRef = {**ref, "status": "failed", "error": f"{type(outcome).__name__}: {outcome}"}
        return {**failed, "attempts": attempts}
    return {**outcome, "attempts": attempts}
