"""Keys: which work in a LangGraph program is the same work, done again after a crash, and which is new.

A retried or resumed task has the same key; a fork, a replay and a new call have another. That needs the checkpoint that
holds the task, so it is waited for until that checkpoint can be read: with LangGraph's default `durability="async"` a
task may run before, and a process that is killed then would resume as another task. Under `durability="exit"` the
checkpoint never comes while the graph runs; there the work is known by its place after the last durable checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig

from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.records import See
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._protocol.flows import Awaiting, Flow, Pause, blocking

# Private names of LangGraph 1.2; tests/ledger/test_keys.py notices when they change.
CHECKPOINTER = "__pregel_checkpointer"
DURABILITY = "__pregel_durability"
_ROOT_SECONDS = 10.0
_INNER_SECONDS = 1.0
# Raised by checkpointers that cannot be read in this thread; the second is asyncio's, of LangGraph's own in their loop.
_OF_ANOTHER_KIND = frozenset({"NotImplementedError", "InvalidStateError"})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1
_log = package_logger()
_warned: set[str] = set()


def digest(*parts: Any) -> str:
    """Make a key of JSON values, in their order."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True, default=str).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of a LangGraph program that has a thread.

    Attributes:
        thread: The thread's id.
        segments: The namespace of the task, from the outermost graph's task to its own.
        step: Step and path of the task within its own graph.
        call: Id of the tool call; one task may run several.
        checkpoints: Ids of the checkpoints that hold the task, by the namespace of their graph.
        checkpointer: Keeps them.
        is_exit: Whether checkpoints are written only when the graph ends.
    """

    thread: str
    segments: tuple[str, ...]
    step: str = ""
    call: str = ""
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    checkpointer: Any = field(default=None, repr=False)
    is_exit: bool = False

    @classmethod
    def of(cls, config: RunnableConfig | None, call: str = "") -> Task | None:
        """Read the task of a configuration, or return `None` if it has no thread: then all work is new.

        Args:
            config: What LangGraph gives to nodes and tools.
            call: Id of the tool call, if there is one.
        """
        place = (config or {}).get("configurable") or {}
        thread, namespace = place.get("thread_id"), place.get("checkpoint_ns")
        if not thread or not namespace:
            return None
        metadata = (config or {}).get("metadata") or {}
        return cls(
            thread=str(thread),
            segments=tuple(str(namespace).split("|")),
            step=digest(metadata.get("langgraph_step"), metadata.get("langgraph_path")),
            call=call,
            checkpoints=place.get("checkpoint_map") or {},
            checkpointer=place.get(CHECKPOINTER) or None,
            is_exit=place.get(DURABILITY) == "exit",
        )

    def key(self, *about: str) -> str:
        """Name the work, also over retries and crashes.

        Args:
            *about: What is asked, of which server.
        """
        inner = [self.step, *self._inner()] if len(self.segments) > 1 else []
        return digest("task", self.thread, self.segments[0], inner, self.call, about)

    def exit_key(self, head: str, *about: str) -> str:
        """Name the work where no checkpoint holds the task: by its place after the last durable one.

        Args:
            head: Id of that checkpoint; empty if there is none.
            *about: What is asked, of which server.
        """
        names = [segment.partition(":")[0] for segment in self.segments if not segment.isdigit()]
        return digest("exit", self.thread, head, names, self.step, self.call, about)

    def _inner(self) -> list[str]:
        """Return what is stable of the namespace below the outermost task.

        The ids of a subgraph's tasks are made anew when its parent is retried, and numbers count such retries. A
        function that is called by an entrypoint has the entrypoint's checkpoint, and keeps its id.
        """
        found = []
        for place, segment in enumerate(self.segments[1:], start=1):
            parent = self.checkpoints.get("|".join(self.segments[:place]))
            is_function = parent is not None and parent == self.checkpoints.get("")
            if not segment.isdigit():
                found.append(segment if is_function else segment.partition(":")[0])
        return found

    def is_durable(self, namespace: str) -> Flow[bool]:
        """Return whether the checkpoint of a graph that holds the task can be read."""
        saved = yield from self._read(checkpoint_ns=namespace, checkpoint_id=self.checkpoints[namespace])
        return saved is not None

    def durable_head(self) -> Flow[str]:
        """Return the id of the last checkpoint of the outermost graph that can be read, or an empty text."""
        saved = yield from self._read(checkpoint_ns="")
        return str(saved.checkpoint["id"]) if saved else ""

    def _read(self, **place: str) -> Flow[Any]:
        config = {"configurable": {"thread_id": self.thread, **place}}
        try:
            return (yield from blocking(lambda: self.checkpointer.get_tuple(config)))
        except NotImplementedError:  # it has asynchronous methods only
            return (yield Awaiting(lambda: self.checkpointer.aget_tuple(config)))


def task_key(task: Task, ledger: Ledger, *about: str) -> Flow[str]:
    """Wait until a task is durable, and return its key.

    Args:
        task: The task.
        ledger: Where an alias is kept for a task under `durability="exit"`: if the graph fails, though not if it is
            killed, the task gets a checkpoint after all.
        *about: What is asked, of which server.
    """
    key = task.key(*about)
    record = (yield from blocking(lambda: ledger.head(key))).record
    if isinstance(record, See):
        return record.key
    if task.checkpointer is None or "" not in task.checkpoints:
        _warn_of_names(task)
        return key
    try:
        if task.is_exit:
            return (yield from _exit_key(task, ledger, key, about))
        yield from _wait_until_durable(task)
    except Exception as error:
        if type(error).__name__ not in _OF_ANOTHER_KIND:
            raise
        _warn_once(
            f"The checkpoint of a task cannot be read from here, so it is not waited for ({error}). Run the graph with "
            'durability="sync", or call the model asynchronously in an asynchronous graph; else a crash may pay twice'
        )
    return key


def _exit_key(task: Task, ledger: Ledger, key: str, about: tuple[str, ...]) -> Flow[str]:
    head = yield from task.durable_head()
    other = task.exit_key(head, *about)
    if (yield from blocking(lambda: ledger.create(key, 0, See(key=other)))):
        return other
    record = (yield from blocking(lambda: ledger.head(key))).record
    return record.key if isinstance(record, See) else key  # another process that resumes the task was faster


def _wait_until_durable(task: Task) -> Flow[None]:
    if not (yield from _durable(task, "", _ROOT_SECONDS)):
        _log.warning("The checkpoint before this task is not readable after %g s; a crash may pay twice", _ROOT_SECONDS)
    for namespace in task.checkpoints if task.call else ():
        if namespace:  # a tool call of a subgraph is the same only if the subgraph's own checkpoint has it
            yield from _durable(task, namespace, _INNER_SECONDS)


def _durable(task: Task, namespace: str, seconds: float) -> Flow[bool]:
    waited, pause = 0.0, _FIRST_PAUSE
    while not (yield from task.is_durable(namespace)):
        if waited >= seconds:
            return False
        yield Pause(pause)
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)
    return True


def _warn_of_names(task: Task) -> None:
    if task.checkpointer is None and "" in task.checkpoints:
        return  # a thread without a checkpointer: nothing of it is ever resumed
    _warn_once(
        "This version of LangGraph does not show the checkpoint of a task, so it is not waited for: run the graph with "
        'durability="sync", or a crash may pay twice'
    )


def _warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        _log.warning(text)
