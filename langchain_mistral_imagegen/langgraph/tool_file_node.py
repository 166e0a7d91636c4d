"""`ToolFileNode`: the LangGraph node that brings the pictures of the messages into the graph's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from langgraph.graph import END
from langgraph.types import Send

from langchain_mistral_imagegen._downloads import MAX_CONCURRENCY, DownloadOptions, attempted
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.events import Tell, downloading, outcome_event, teller
from langchain_mistral_imagegen.images import ImageRef
from langchain_mistral_imagegen.langgraph._node import GraphNode, has_whole_state, messages_in, part_of
from langchain_mistral_imagegen.stores import ImageStore, image_store
from langchain_mistral_imagegen.stores._incoming import DEFAULT_MAX_BYTES


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
        inline: Whether a reference also gets the picture itself, as `base64`. Only for small graphs whose programs
            share no storage: every later checkpoint then holds every picture, a third larger than its file; twenty
            turns with a picture of 1.5 MB each make a database of some 1.6 GB instead of one of 1 MB.

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
    inline: bool = False

    name = "ToolFileNode"  # of the run in traces; not a field

    def run(self, state: Mapping[str, Any]) -> dict[str, dict[str, ImageRef]]:
        """Download what is missing and return the update of the state.

        Raises:
            InvalidInputError: If the graph's state has no such channel for it.
        """
        missing, tell = self._missing(state), teller()
        outcomes = self._chat_model.store_images(missing, self._store, **self._options(tell))
        return self._update(missing, outcomes, tell)

    async def arun(self, state: Mapping[str, Any]) -> dict[str, dict[str, ImageRef]]:
        """Download what is missing and return the update of the state; see `run`."""
        missing, tell = self._missing(state), teller()
        outcomes = await self._chat_model.astore_images(missing, self._store, **self._options(tell))
        return self._update(missing, outcomes, tell)

    @property
    def channels(self) -> Sequence[str]:
        """See `GraphNode.channels`."""
        return [self.images_key]

    def _missing(self, state: Any) -> list[ImageRef]:
        if has_whole_state() and part_of(state, self.images_key) is None:
            raise InvalidInputError(self.without(self.images_key))
        return _not_stored(state, self.messages_key, self.images_key)

    def _update(
        self, asked: Sequence[ImageRef], outcomes: Sequence[ImageRef | Exception], tell: Tell
    ) -> dict[str, dict[str, ImageRef]]:
        refs = [attempted(ref, outcome) for ref, outcome in zip(asked, outcomes, strict=True)]
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
            "inline": self.inline,
            "on_bytes": downloading(tell),
        }

    @cached_property
    def _store(self) -> ImageStore:
        return image_store(self.image_store)

    @cached_property
    def _chat_model(self) -> ChatMistralConversations:
        return self.model or ChatMistralConversations()


def route_images(
    node: str = "download", *, otherwise: str = END, messages_key: str = "messages", images_key: str = "images"
) -> Callable[[Any], list[Send] | str]:
    """Route each picture to a task of its own, for graphs that want its retries, time-outs or errors apart.

    Args:
        node: Name of the `ToolFileNode`.
        otherwise: Where to go if there is nothing to download.
        messages_key: Where the state has its messages.
        images_key: Where the state has its references.

    Returns:
        A path for `StateGraph.add_conditional_edges`. What it sends is a reference, some hundred bytes.

    Example:
        ```python
        builder.add_node("download", ToolFileNode(image_store="file:///var/pictures"))
        builder.add_conditional_edges("draw", route_images("download"), ["download", END])
        ```
    """

    def path(state: Any) -> list[Send] | str:
        missing = _not_stored(state, messages_key, images_key)
        return [Send(node, {images_key: {ref["id"]: ref}}) for ref in missing] or otherwise

    return path


def _not_stored(state: Any, messages_key: str, images_key: str) -> list[ImageRef]:
    known = part_of(state, images_key) or {}
    found = images_of({"messages": messages_in(state, messages_key), "images": known})
    return [ref for ref in found if ref["status"] != "stored"]
