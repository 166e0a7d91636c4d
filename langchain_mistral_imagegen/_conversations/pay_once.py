"""Paying once: which work is being done, for whatever model is called while it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.keys import Task, digest, task_key
from langchain_mistral_imagegen._protocol.flows import Flow, blocking
from langchain_mistral_imagegen.stores import ImageStore
from langchain_mistral_imagegen.stores._ledger_files import ledger_files


@dataclass(frozen=True, kw_only=True)
class PayOnce:
    """Work that is paid for once.

    Attributes:
        store: The image store in which its records are kept.
        task: The task of a LangGraph program that does it.
        name: A key of the caller's own, instead of a task.
        look_first: Whether to look for an answer also where no request was recorded.
        checks_prompt: Whether another prompt with the same name is an error.
    """

    store: ImageStore
    task: Task | None = None
    name: str = ""
    look_first: bool = False
    checks_prompt: bool = True

    def key(self, server: str, messages: Sequence[BaseMessage]) -> Flow[str]:
        """Wait until the work is durable, and return its key.

        Args:
            server: The server that is asked; a sandbox's answers are no answers of Mistral's.
            messages: What is asked.
        """
        ledger = yield from self.ledger()
        if self.task:
            return (yield from task_key(self.task, ledger, server, digest(*map(_content, messages))))
        return digest("name", server, self.name)

    def part(self, number: int) -> PayOnce:
        """Return the work of one of several equal requests."""
        if self.task:
            return replace(self, task=replace(self.task, call=f"{self.task.call}#{number}"))
        return replace(self, name=f"{self.name}#{number}")

    def ledger(self) -> Flow[Ledger]:
        """Open the ledger, whose store is probed when it is first used.

        Raises:
            InvalidInputError: If the store cannot hold one.
            ImageStoreError: If the store cannot be written.
        """
        return Ledger((yield from blocking(lambda: ledger_files(self.store))))

    def subject(self, messages: Sequence[BaseMessage]) -> str:
        """Return a digest of what is asked under a key of the caller's own; tasks have it in their key."""
        return digest(*map(_content, messages)) if self.name and self.checks_prompt else ""


def _content(message: BaseMessage) -> list[Any]:
    """Return the content of a message; its id may be made anew when a graph is run again."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    answered = message.tool_call_id if isinstance(message, ToolMessage) else ""
    return [message.type, message.content, [[call["name"], call["args"], call["id"]] for call in calls], answered]


_current: ContextVar[PayOnce | None] = ContextVar("pay_once", default=None)


@contextmanager
def paying_once(work: PayOnce | None) -> Iterator[None]:
    """Have whatever `ChatMistralConversations` is called meanwhile pay once for this work.

    It is no argument of the model's: middleware does not know which of several models is called, and what a model is
    called with is traced.
    """
    token = _current.set(work)
    try:
        yield
    finally:
        _current.reset(token)


def current_work() -> PayOnce | None:
    """Return the work that is being done, or `None` if it need not be paid for once."""
    return _current.get()
