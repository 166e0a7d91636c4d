"""The common base of the LangGraph nodes, and how they read the state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.channels import LastValue
from langgraph.config import get_config

from langchain_mistral_imagegen._messages.message_like import as_messages
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.images import ImageRef

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

Update = dict[str, Any]


class GraphNode(Runnable[Any, Update]):
    """A node with `run` and `arun`, and the Runnable that LangGraph calls.

    Subclasses are frozen dataclasses; a pickle contains their fields.
    """

    def __new__(cls, *args: Any, **_: Any) -> Self:
        """Refuse arguments by position, which would end up in the wrong field; a required `model` may stand first."""
        own: Any = cls  # a dataclass, as soon as there are instances
        names = [field.name for field in fields(own)]
        by_position = [field.name for field in fields(own) if not field.kw_only]
        if len(args) > len(by_position):
            given = ", ".join(type(arg).__name__ for arg in args)
            raise TypeError(
                f"{cls.__name__} was given ({given}) by position; pass {names[0]}=..., {names[1]}=... by name"
            )
        return super().__new__(cls)

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> Update:
        """Return the update of the state; LangGraph passes `config` if the method has such a parameter."""

    @abstractmethod
    async def arun(self, *args: Any, **kwargs: Any) -> Update:
        """Do the same as `run`, asynchronously."""

    @property
    @abstractmethod
    def channels(self) -> Sequence[str]:
        """The channels that the node writes, which need a reducer."""

    def add_to(self, builder: StateGraph[Any], name: str, **options: Any) -> None:
        """Add the node to a graph, as `builder.add_node(name, node, **options)` does, after a check of the state.

        LangGraph silently drops what a node returns for a channel that the state does not have.

        Args:
            builder: The graph.
            name: Name of the node in the graph.
            options: Passed to `add_node`.

        Raises:
            InvalidInputError: If a channel that the node writes is missing, or has no reducer.
        """
        for key in self.channels:
            if isinstance(builder.channels.get(key), LastValue | None):
                raise InvalidInputError(self.missing_channel_message(key))
        images_key = getattr(self, "images_key", None)
        if images_key in builder.channels and not _takes_images(builder.channels[images_key]):
            raise InvalidInputError(
                f"The graph's state has a channel {images_key!r} that does not take references to images by id; "
                "annotate it as `ImageState` does, or name another channel with images_key=..."
            )
        builder.add_node(name, self, **options)

    def missing_channel_message(self, key: str) -> str:
        """Return the message of the error for a channel that the state lacks."""
        return (
            f"The graph's state has no channel {key!r} with a reducer, so updates of {type(self).__name__} would be "
            "lost; let the state's class extend `ImageState`, or name another channel"
        )

    def invoke(
        self,
        input: Any,  # noqa: A002  # LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> Update:
        """Run as a Runnable."""
        return self._call_with_config(self.run, input, config)

    async def ainvoke(
        self,
        input: Any,  # noqa: A002  # LangChain's name
        config: RunnableConfig | None = None,
        **_: Any,
    ) -> Update:
        """Run as a Runnable, asynchronously."""
        return await self._acall_with_config(self.arun, input, config)

    def __getstate__(self) -> dict[str, Any]:
        # Cached stores and models are made again where the node is unpickled, from the environment there.
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]


def _takes_images(channel: Any) -> bool:
    """Return whether a channel merges references by id, after a try with an empty copy of it."""
    probe: ImageRef = {"id": "probe", "status": "remote"}
    try:
        empty = channel.from_checkpoint(channel.checkpoint())
        empty.update([{"probe": probe}])
        return dict(empty.get()) == {"probe": probe}
    except Exception:  # noqa: BLE001  # the user's reducer may raise anything for a value it does not expect
        return False


def has_whole_state() -> bool:
    """Return whether the running node received a graph's state, and not what a `Send` or a program passed."""
    return tuple(_metadata().get("langgraph_path", ())[:1]) == ("__pregel_pull",)


def is_first_step() -> bool:
    """Return whether the running node received a new thread's input itself: no other node has run."""
    return has_whole_state() and _metadata().get("langgraph_step") == 1


def _metadata() -> Mapping[str, Any]:
    try:
        return get_config().get("metadata", {})
    except RuntimeError:  # outside of a graph
        return {}


def part_of(state: Any, key: str) -> Any:
    """Return a channel of a state, which may be a mapping or an object."""
    return state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)


def messages_in(state: Any, key: str) -> list[BaseMessage]:
    """Return the messages of a state; a node that Temporal runs receives them as JSON."""
    return as_messages(part_of(state, key) or [])
