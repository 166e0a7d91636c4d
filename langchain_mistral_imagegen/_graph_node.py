"""What the LangGraph nodes have in common: two methods with one job, and the Runnable that LangGraph calls."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

Update = dict[str, Any]


class GraphNode(Runnable[Any, Update]):
    """A node with `run` and `arun`; subclasses are dataclasses, and their fields are what is pickled."""

    @abstractmethod
    def run(self, *args: Any, **kwargs: Any) -> Update:
        """Take the state, and the configuration if wanted as `config`, and return the update of the state."""

    @abstractmethod
    async def arun(self, *args: Any, **kwargs: Any) -> Update:
        """Do the same asynchronously."""

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
