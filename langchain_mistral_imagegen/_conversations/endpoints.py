"""The two ways to have a turn answered, with one face: what to do, how to read events, how to read a whole answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from langchain_core.messages import AIMessage, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks

from langchain_mistral_imagegen._conversations.agents import after_check
from langchain_mistral_imagegen._conversations.completions import CompletionEvents, completion_request
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


@dataclass(frozen=True, kw_only=True)
class ConversationsEndpoint:
    """A turn of a conversation.

    Attributes:
        turn: What is said.
        context: What its answer is told.
        is_alone: Whether nobody else continues the conversation meanwhile.
        functions: Names of the functions that an agent must have.
        known: Names of those that it was seen to have.
    """

    turn: Turn
    context: AnswerContext
    is_alone: bool = True
    functions: set[str] = field(default_factory=set)
    known: set[str] = field(default_factory=set)

    def ask(self) -> Flow[Response]:
        """Have it answered."""
        asking = ask(self.turn, is_alone=self.is_alone)
        return after_check(asking, self.turn.whom, self.functions, self.known)

    def events(self, data: bytes) -> Iterator[Event]:
        """Read the data of one server-sent event."""
        if data != b"[DONE]":
            yield read_event(data)

    def message(self, response: Response) -> AIMessage:
        """Read a whole answer."""
        try:
            answer = read_response(ConversationResponse, response.content)
        except InvalidResponseError as error:
            raise unreadable_response(str(error)) from error
        return _with_quotas(to_message(answer, self.context), response)


@dataclass(frozen=True, kw_only=True)
class CompletionsEndpoint:
    """A turn over chat completions: the whole history each time, and nothing is kept."""

    turn: Turn
    context: AnswerContext

    @cached_property
    def _events(self) -> CompletionEvents:
        return CompletionEvents(function_names(self.turn.whom["tools"]))

    def ask(self) -> Flow[Response]:
        """Have it answered."""
        return send(completion_request(self.turn))

    def events(self, data: bytes) -> Iterator[Event]:
        """Read the data of one server-sent event."""
        return self._events.chunk(data)

    def message(self, response: Response) -> AIMessage:
        """Read a whole answer; by way of a stream, because there is one parser for both."""
        answer = AnswerStream(self.context)
        with answer.complete():
            chunks = [chunk for event in self._events.completion(response.content) for chunk in answer.feed(event)]
        message = cast("AIMessage", message_chunk_to_message(add_ai_message_chunks(*chunks)))
        return _with_quotas(message, response)


def _with_quotas(message: AIMessage, response: Response) -> AIMessage:
    # Streams were not seen to tell them.
    if left := quotas(response.headers):
        message.response_metadata["quotas"] = left
    return message
