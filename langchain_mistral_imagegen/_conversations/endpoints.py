"""The two endpoints that answer a turn, with one interface: the request, its events and its whole answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, cast

from langchain_core.messages import AIMessage, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks

from langchain_mistral_imagegen._conversations.agents import after_check
from langchain_mistral_imagegen._conversations.completion_events import CompletionEvents
from langchain_mistral_imagegen._conversations.completions import completion_request
from langchain_mistral_imagegen._conversations.continuation import ask
from langchain_mistral_imagegen._conversations.turn import Turn
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._messages.tool_schemas import function_names
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import Event, read_event
from langchain_mistral_imagegen._protocol.failures import quotas
from langchain_mistral_imagegen._protocol.flows import Flow, send, unreadable_response
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen.errors import InvalidResponseError


class Endpoint(ABC):
    """Answers a turn.

    Attributes:
        turn: The turn.
        context: For its answer.
        is_recorded: Whether requests and answers are recorded, so that nothing is paid for twice.
    """

    turn: Turn
    context: AnswerContext
    is_recorded: ClassVar[bool] = False

    @abstractmethod
    def ask(self) -> Flow[Response]:
        """Send the turn."""

    @abstractmethod
    def events(self, data: bytes) -> Iterable[Event]:
        """Read the data of one server-sent event."""

    @abstractmethod
    def message(self, response: Response) -> AIMessage:
        """Read a whole answer."""

    def answer(self) -> Flow[AIMessage]:
        """Send the turn, and read its whole answer."""
        return self.message((yield from self.ask()))

    # Without a ledger there is nothing to adopt, and nothing to record.

    def adopt(self) -> Flow[AIMessage | None]:
        """Return an answer that exists already, so that the turn need not be sent."""
        yield from ()
        return None

    def keep(self, message: AIMessage) -> Flow[None]:  # noqa: ARG002
        """Record the answer."""
        yield from ()

    def fail(self, error: Exception) -> Flow[None]:  # noqa: ARG002
        """Record how the request failed."""
        yield from ()


@dataclass(frozen=True, kw_only=True)
class ConversationsEndpoint(Endpoint):
    """Answers a turn by the conversations endpoint.

    Attributes:
        turn: The turn.
        context: For its answer.
        is_alone: Whether no other turn is being added to the same conversation.
        functions: Names of the functions that an agent must have.
        known: Names of the functions that it is known to have.
    """

    turn: Turn
    context: AnswerContext
    is_alone: bool = True
    functions: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def ask(self) -> Flow[Response]:
        """Send the turn."""
        asking = ask(self.turn, self.context.notes, is_alone=self.is_alone)
        return after_check(asking, self.turn.target, self.functions, self.known)

    def events(self, data: bytes) -> Iterable[Event]:
        """Read the data of one server-sent event."""
        return () if data == b"[DONE]" else (read_event(data),)

    def message(self, response: Response) -> AIMessage:
        """Read a whole answer."""
        try:
            message = to_message(read_response(ConversationResponse, response.content), self.context)
        except InvalidResponseError as error:
            raise unreadable_response(str(error)) from error
        return _with_quotas(message, response)


@dataclass(frozen=True, kw_only=True)
class CompletionsEndpoint(Endpoint):
    """Answers a turn by chat completions: sends the whole history each time, and nothing is stored."""

    turn: Turn
    context: AnswerContext

    @cached_property
    def _events(self) -> CompletionEvents:
        return CompletionEvents(function_names(self.turn.target["tools"]))

    def ask(self) -> Flow[Response]:
        """Send the turn."""
        return send(completion_request(self.turn))

    def events(self, data: bytes) -> Iterable[Event]:
        """Read the data of one server-sent event."""
        return self._events.chunk(data)

    def message(self, response: Response) -> AIMessage:
        """Read a whole answer; it goes through the parser of streams, so that there is only one."""
        answer = AnswerStream(self.context)
        with answer.complete():
            chunks = [chunk for event in self._events.completion(response.content) for chunk in answer.feed(event)]
        message = cast("AIMessage", message_chunk_to_message(add_ai_message_chunks(*chunks)))
        return _with_quotas(message, response)


def _with_quotas(message: AIMessage, response: Response) -> AIMessage:
    # Streaming responses have not been observed to include them.
    if left := quotas(response.headers):
        message.response_metadata["quotas"] = left
    return message
