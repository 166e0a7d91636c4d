"""What a sandbox keeps: its stores, the queue of behaviors and the log of requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_mistral_imagegen.sandbox.behavior import Behavior, Operation
from langchain_mistral_imagegen.sandbox.records.agents import Agents
from langchain_mistral_imagegen.sandbox.records.conversations import Conversations
from langchain_mistral_imagegen.sandbox.records.files import Files
from langchain_mistral_imagegen.sandbox.records.quota import Quota


@dataclass(frozen=True)
class RecordedRequest:
    """A request to the sandbox."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case; the value of `authorization` is `***`."""
    json: Any
    status: int
    """HTTP status of the answer, or 0 while there is none."""


@dataclass
class RequestLog:
    """Requests that were answered, and requests that are still waiting."""

    answered: list[RecordedRequest] = field(default_factory=list)
    waiting: list[RecordedRequest] = field(default_factory=list)

    @contextmanager
    def receive(self, request: RecordedRequest) -> Iterator[Callable[[int], None]]:
        """Record a request: in `waiting`, and in `answered` once the yielded function is called with its status."""
        self.waiting.append(request)
        try:
            yield lambda status: self.answered.append(replace(request, status=status))
        finally:
            self.waiting.remove(request)


class BehaviorQueue:
    """Behaviors for the next requests of a kind; safe to use from several threads."""

    def __init__(self) -> None:
        self._queue: list[tuple[Behavior, int | None]] = []
        self._lock = threading.Lock()

    def add(self, behavior: Behavior, times: int | None) -> None:
        """Queue a behavior for a number of requests, or for all if that is `None`."""
        with self._lock:
            self._queue.append((behavior, times))

    def take(self, operations: set[Operation]) -> Behavior | None:
        """Take the next behavior for a request that all these operations describe."""
        with self._lock:
            for place, (behavior, times) in enumerate(self._queue):
                if behavior.on not in operations:
                    continue
                if times is not None:
                    self._queue[place : place + 1] = [(behavior, times - 1)] if times > 1 else []
                return behavior
        return None


@dataclass(kw_only=True)
class State:
    """All that requests read and change.

    Attributes:
        quota: Of the image tool.
        clock: Seconds since the epoch, for the expiry of URLs.
        api_key: The only key that is accepted; any by default.
        behavior: For requests without a behavior of their own.
        paid: Images generated so far.
    """

    quota: Quota
    clock: Callable[[], float] = time.time
    api_key: str | None = None
    behavior: Behavior = field(default_factory=Behavior)
    agents: Agents = field(default_factory=Agents)
    conversations: Conversations = field(default_factory=Conversations)
    files: Files = field(init=False)
    queue: BehaviorQueue = field(default_factory=BehaviorQueue)
    log: RequestLog = field(default_factory=RequestLog)
    paid: int = 0

    def __post_init__(self) -> None:
        self.files = Files("", self.clock)
