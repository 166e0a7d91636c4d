"""`ToolFileNode`: the LangGraph node that downloads images and puts references to them into the graph's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.graph import END
from langgraph.types import Send

from langchain_mistral_imagegen._downloads import MAX_CONCURRENCY, DownloadOptions, attempted
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen.chat_models import ChatMistralConversations
from langchain_mistral_imagegen.chat_models._given import conversations_model
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.events import Emit, download_progress, emitter, outcome_event
from langchain_mistral_imagegen.images import ImageRef, with_url
from langchain_mistral_imagegen.langgraph._node import GraphNode, has_whole_state, is_first_step, messages_in, part_of
from langchain_mistral_imagegen.stores import ImageStore, image_store
from langchain_mistral_imagegen.stores._incoming import DEFAULT_MAX_BYTES


@dataclass(frozen=True, kw_only=True)
class ToolFileNode(GraphNode):
    """Downloads each image of the messages that is not stored yet, and puts all references into the state.

    It finds images in AI messages, in all their forms, and in the artifacts of tool messages, where most are stored
    already: their references are copied into the state. An image that fails is
    marked (`status="failed"`, `error`, `attempts`); the others are stored all the same, and the next run downloads only
    what is missing. Downloads cost nothing, so the node can be repeated freely.

    With `stream_mode="custom"` it emits `mistral.image.download`, `.stored` and `.failed` for each image.

    It is a Runnable for `StateGraph.add_node` (sync and async); `run` and `arun` are the same as methods.

    Attributes:
        image_store: A store, a path, or an fsspec URL; by default `generated_images`, or `$MISTRAL_IMAGEGEN_STORE`.
        model: Downloads the images; by default a `ChatMistralConversations` with the key and the server from the
            environment.
        messages_key: Channel of the messages.
        images_key: Channel of the references; it needs the reducer `merge_images`.
        on_error: `"mark"` an image that fails, or `"raise"` its error once the others are stored.
        max_concurrency: Maximum number of simultaneous downloads.
        max_bytes: Maximum size of one image, in bytes.
        inline: Whether a reference also contains the image itself, as `base64`. Only for small graphs whose programs
            share no storage: every later checkpoint then contains every image, a third larger than its file. Twenty
            turns with an image of 1.5 MB each make a database of about 1.6 GB instead of one of 1 MB.
        public_url: URL below which the program serves the store, as with `web.image_routes`; each stored reference then
            has a `url`, for front ends.

    Raises:
        InvalidInputError: If an argument is of the wrong type.

    Example:
        ```python
        builder = StateGraph(ImageState)
        builder.add_node("download", ToolFileNode(image_store="file:///var/images"))
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
    public_url: str | None = None

    name = "ToolFileNode"  # of the run in traces; not a field

    def __post_init__(self) -> None:
        """Check the arguments."""
        image_store(self.image_store)
        if self.model is not None:
            conversations_model(self.model, "ToolFileNode")
        if self.on_error not in ("mark", "raise"):
            raise InvalidInputError(f"on_error={self.on_error!r} is not known; use 'mark' or 'raise'")

    def run(self, state: Mapping[str, Any]) -> dict[str, dict[str, ImageRef]]:
        """Download what is missing and return the update of the state.

        Raises:
            InvalidInputError: If the graph's state has no channel `images_key`, or the node stands before anything that
                makes images.
        """
        found, emit = self._found(state), emitter()
        outcomes = self._downloader.store_images(_missing(found), self._store, **self._options(emit))
        return self._update(found, outcomes, emit)

    async def arun(self, state: Mapping[str, Any]) -> dict[str, dict[str, ImageRef]]:
        """Download what is missing and return the update of the state; see `run`."""
        found, emit = self._found(state), emitter()
        outcomes = await self._downloader.astore_images(_missing(found), self._store, **self._options(emit))
        return self._update(found, outcomes, emit)

    @property
    def channels(self) -> Sequence[str]:
        """See `GraphNode.channels`."""
        return [self.images_key]

    def _found(self, state: Any) -> list[ImageRef]:
        known = part_of(state, self.images_key)
        if (has_whole_state() and known is None) or not isinstance(known, Mapping | None):
            raise InvalidInputError(self.missing_channel_message(self.images_key))
        if is_first_step() and not known:
            self._check_order(messages_in(state, self.messages_key))
        return _new_images(state, self.messages_key, self.images_key)

    def _check_order(self, messages: Sequence[BaseMessage]) -> None:
        """Refuse to stand where no image can have been made, before the next node pays."""
        if messages and not any(isinstance(message, AIMessage | ToolMessage) for message in messages):
            raise InvalidInputError(
                f"ToolFileNode runs first in this graph, and {self.messages_key!r} holds no answer with images to "
                "download: add its edge after the node that generates images, such as ConversationNode"
            )

    def _update(
        self, found: Sequence[ImageRef], outcomes: Sequence[ImageRef | Exception], emit: Emit
    ) -> dict[str, dict[str, ImageRef]]:
        downloaded = [attempted(ref, outcome) for ref, outcome in zip(_missing(found), outcomes, strict=True)]
        for ref in downloaded:
            emit(outcome_event(ref))
        refs = [*(ref for ref in found if ref["status"] == "stored"), *downloaded]
        refs = [with_url(ref, self.public_url) for ref in refs]
        errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if errors and self.on_error == "raise":
            raise errors[0]
        return {self.images_key: {ref["id"]: ref for ref in refs}}

    def _options(self, emit: Emit) -> DownloadOptions:
        return {
            "max_concurrency": self.max_concurrency,
            "max_bytes": self.max_bytes,
            "inline": self.inline,
            "on_bytes": download_progress(emit),
        }

    @cached_property
    def _store(self) -> ImageStore:
        return image_store(self.image_store)

    @cached_property
    def _downloader(self) -> ChatMistralConversations:
        return conversations_model(self.model or ChatMistralConversations(), "ToolFileNode")


def route_images(
    node: str = "download", *, otherwise: str = END, messages_key: str = "messages", images_key: str = "images"
) -> Callable[[Any], list[Send] | str]:
    """Route each new image to a task of its own, so that it has its own retries, time-outs and errors.

    Args:
        node: Name of the `ToolFileNode`.
        otherwise: Name of the next node if there is nothing to download.
        messages_key: Channel of the messages.
        images_key: Channel of the references.

    Returns:
        A path for `StateGraph.add_conditional_edges`. It sends references, a few hundred bytes each.

    Example:
        ```python
        builder.add_node("download", ToolFileNode(image_store="file:///var/images"))
        builder.add_conditional_edges("draw", route_images("download"), ["download", END])
        ```
    """

    def path(state: Any) -> list[Send] | str:
        found = _new_images(state, messages_key, images_key)
        return [Send(node, {images_key: {ref["id"]: ref}}) for ref in found] or otherwise

    return path


def _new_images(state: Any, messages_key: str, images_key: str) -> list[ImageRef]:
    """Return the images that are not stored yet, or that are stored but not in the state's channel."""
    messages, known = part_of(state, messages_key), part_of(state, images_key) or {}
    found = images_of({"messages": messages_in(state, messages_key), "images": known})
    if messages is None:  # from `route_images`: only the state of the sender is known
        return found
    return [ref for ref in found if ref["status"] != "stored" or known.get(ref["id"], {}).get("status") != "stored"]


def _missing(found: Sequence[ImageRef]) -> list[ImageRef]:
    return [ref for ref in found if ref["status"] != "stored"]
