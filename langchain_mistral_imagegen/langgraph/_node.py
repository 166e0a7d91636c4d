"""What the LangGraph nodes have in common: two methods with one job, and the Runnable that LangGraph calls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.channels import LastValue
from langgraph.config import get_config

from langchain_mistral_imagegen.errors import InvalidInputError

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

Update = dict[str, Any]


class GraphNode(Runnable[Any, Update]):
    """A node with `run` and `arun`; subclasses are dataclasses, and their fields are what is pickled."""

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> Update:
        """Take the state, and the configuration if wanted as `config`, and return the update of the state."""

    @abstractmethod
    async def arun(self, *args: Any, **kwargs: Any) -> Update:
        """Do the same asynchronously."""

    @property
    @abstractmethod
    def channels(self) -> Sequence[str]:
        """The channels that the node writes, which need a reducer."""

    def add_to(self, builder: StateGraph[Any], name: str, **options: Any) -> None:
        """Add the node to a graph, as `builder.add_node(name, node, **options)` does, if the graph's state fits.

        LangGraph drops what a node returns for a channel that the state does not have, without a word.

        Raises:
            InvalidInputError: If a channel that the node writes is missing, or has no reducer.
        """
        for key in self.channels:
            if isinstance(builder.channels.get(key), LastValue | None):
                raise InvalidInputError(self.without(key))
        builder.add_node(name, self, **options)

    def without(self, key: str) -> str:
        """Say that the state lacks a channel."""
        return (
            f"The graph's state has no channel {key!r} with a reducer, so what {type(self).__name__} writes would be "
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
        # What was made of the fields is made again where the node is unpickled, from the environment there.
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]


def has_whole_state() -> bool:
    """Tell whether the running node was given a graph's state, and not what a `Send` or a program gave it."""
    try:
        path = get_config().get("metadata", {}).get("langgraph_path", ())
    except RuntimeError:
        return False
    return tuple(path[:1]) == ("__pregel_pull",)


def part_of(state: Any, key: str) -> Any:
    """Return a part of a state, which may be a mapping or an object."""
    return state.get(key) if isinstance(state, Mapping) else getattr(state, key, None)


def messages_in(state: Any, key: str) -> list[BaseMessage]:
    """Return the messages of a state; to a node that Temporal runs they come as JSON."""
    return convert_to_messages(part_of(state, key) or [])
