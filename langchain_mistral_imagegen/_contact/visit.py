"""`Visit`: one run of the check; it marks all that it makes at Mistral, and deletes it in the end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from langchain_core.messages import AIMessage

from langchain_mistral_imagegen import api
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._messages.references import images_of
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, Wire, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.flows import Flow, Pause, send
from langchain_mistral_imagegen._protocol.requests import Request, Response
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder
from langchain_mistral_imagegen.errors import InvalidResponseError, MistralImagegenError, NotFoundError

MARK = "mistral-imagegen-check"
"""Key in the metadata of what the check makes."""
_POLL = 1.0  # seconds
_LISTED = 300  # conversations to search; more only if the server ignores the filter


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, streamed or not.

    Attributes:
        conversation_id: Its conversation.
        items: Its entries or events.
        message: As the package reads it.
        headers: Of the response.
    """

    conversation_id: str
    items: Sequence[Wire]
    message: AIMessage
    headers: Mapping[str, str]

    @property
    def head(self) -> str:
        """The id of its last entry."""
        return str(getattr(self.items[-1], "id", "")) if self.items else ""

    def tokens(self, kind: str) -> int:
        """Return the number of tokens: `input` or `output`; 0 if the server does not report it."""
        usage = cast("Mapping[str, int]", self.message.usage_metadata or {})
        return usage.get(f"{kind}_tokens", 0)


@dataclass(kw_only=True)
class Visit:
    """One run of the check.

    Attributes:
        model: The model that answers.
        host: The server, without its port.
        mark: Marks what this run makes.
        urls: Signed URLs by image id.
        answers: Answers that several questions look at, by name.
        failures: Why there are none of these answers, by name.
        notes: What one question found out for another.
        conversations: Ids of those that were made.
        agents: Ids of those that were made.
        files: Ids of those that were made.
        under_way: Requests that may still make something.
        continued: Ids of conversations whose answer has not arrived.
        late: Ids of conversations that were found at the end.
        late_agents: Ids of agents that were found at the end.
    """

    model: str
    host: str
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    urls: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, MistralImagegenError] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    conversations: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    under_way: int = 0
    continued: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    late_agents: set[str] = field(default_factory=set)

    @property
    def agent_name(self) -> str:
        """The name of this run's agent."""
        return f"{MARK}-{self.mark}"

    @property
    def is_waiting(self) -> bool:
        """Whether a request may still make something."""
        return bool(self.under_way or self.continued)

    @property
    def has_traces(self) -> bool:
        """Whether it has made anything, or may have."""
        return bool(self.is_waiting or self.conversations or self.agents or self.files)

    def metadata(self, **more: str) -> dict[str, str]:
        """Return the metadata of what this run makes."""
        return {MARK: self.mark, **more}

    def once(self, name: str, make: Callable[[], Flow[Answer]]) -> Flow[Answer]:
        """Return an answer that several questions look at; it is requested once."""
        if name in self.failures:
            raise self.failures[name]  # to try again for the next question might pay again
        if name not in self.answers:
            try:
                self.answers[name] = yield from make()
            except MistralImagegenError as error:
                self.failures[name] = error
                raise
        return self.answers[name]

    def start(self, inputs: Any, *, stream: bool = False, metadata: Any = None, **body: Any) -> Flow[Answer]:
        """Start a conversation with the model."""
        body = {"model": self.model, "inputs": inputs, "metadata": metadata or self.metadata(), **body}
        return self.converse(requests.start_conversation(body, stream=stream))

    def append(self, conversation_id: str, body: Mapping[str, Any], *, stream: bool = False) -> Flow[Answer]:
        """Continue a conversation; what it makes is in its history."""
        self.continued.add(conversation_id)
        request = requests.append_to_conversation(conversation_id, body, stream=stream)
        try:
            answer = self._answer(request, (yield from send(replace(request, stream=False))))
        except MistralImagegenError as error:
            if is_unpaid(error):
                self.continued.discard(conversation_id)
            raise
        self.continued.discard(conversation_id)
        return answer

    def converse(self, request: Request) -> Flow[Answer]:
        """Send a request that makes a conversation."""
        # A stream is read whole, as any other body: a flow waits for responses, not for events.
        return self._answer(request, (yield from self.make(replace(request, stream=False))))

    def make(self, request: Request) -> Flow[Response]:
        """Send a request that makes something; unless it is refused or answered, it stays under way."""
        self.under_way += 1
        try:
            response = yield from send(request)
        except MistralImagegenError as error:
            self.under_way -= is_unpaid(error)
            raise
        self.under_way -= 1
        return response

    def _answer(self, request: Request, response: Response) -> Answer:
        answer = self._of_events(response) if request.stream else self._of_response(response)
        self.conversations.add(answer.conversation_id)
        self.files |= {ref["file_id"] for ref in images_of(answer.message) if "file_id" in ref}
        return answer

    def _of_response(self, response: Response) -> Answer:
        body = read_response(ConversationResponse, response.content)
        message = to_message(body, self._context())
        return Answer(
            conversation_id=body.conversation_id, items=body.outputs, message=message, headers=response.headers
        )

    def _of_events(self, response: Response) -> Answer:
        decoder, stream = EventStreamDecoder(), AnswerStream(self._context())
        events = [read_event(data) for data in [*decoder.feed(response.content), *decoder.flush()]]
        with stream.complete():
            for event in events:
                list(stream.feed(event))
        message = stream.partial
        if message is None or stream.conversation_id is None:
            raise InvalidResponseError("The server's stream has no answer")
        return Answer(conversation_id=stream.conversation_id, items=events, message=message, headers=response.headers)

    def _context(self) -> AnswerContext:
        return AnswerContext(model=self.model, urls=SignedUrls(self.urls))


# --- deleting ---


def tidy(visit: Visit, wait: float) -> Flow[list[str]]:
    """Delete all that a visit has made.

    Args:
        visit: The visit.
        wait: Seconds to wait for what was still under way.

    Returns:
        What could not be deleted, with the reason.
    """
    left = yield from _find(visit, wait)
    visit.conversations |= visit.late
    visit.agents |= visit.late_agents
    for conversation_id in visit.conversations:
        visit.files |= yield from _files_of(conversation_id)
    for flow, what in _deletions(visit):
        try:
            yield from flow
        except NotFoundError:
            continue
        except MistralImagegenError as error:
            left.append(f"{what}: {error}")
    return left


def _deletions(visit: Visit) -> Iterator[tuple[Flow[Any], str]]:
    for file_id in sorted(visit.files):
        yield api.delete_file(file_id), f"file {file_id}"
    for conversation_id in sorted(visit.conversations):
        yield api.delete_conversation(conversation_id), f"conversation {conversation_id}"
    for agent_id in sorted(visit.agents):
        yield api.delete_agent(agent_id), f"agent {agent_id}"


def _find(visit: Visit, wait: float) -> Flow[list[str]]:
    """Look for what was made without our knowledge: its response was lost, or nobody waited for it."""
    waited = 0.0
    while True:
        try:
            arrived = yield from _find_marked(visit)
            waiting = max(0, visit.under_way - arrived) + (yield from _unanswered(visit))
        except MistralImagegenError as error:
            return [f"what has the metadata {visit.metadata()}, if there is any: {error}"]
        if not waiting:
            return []
        if waited >= wait:
            return [f"what {waiting} unanswered requests may still make, with metadata {visit.metadata()}"]
        yield Pause(_POLL)
        waited += _POLL


def _find_marked(visit: Visit) -> Flow[int]:
    """Note what has this run's mark, and return how much of it was not known and is complete."""
    listed = yield from api.list_conversations(metadata=visit.metadata(), limit=_LISTED)
    # The filter is one of the questions, and what is not ours must not be deleted.
    visit.late |= {one.id for one in listed if (one.metadata or {}).get(MARK) == visit.mark} - visit.conversations
    agents = yield from api.list_agents(name=visit.agent_name, limit=_LISTED)
    new_agents = {agent.id for agent in agents if agent.name == visit.agent_name} - visit.agents
    answered = 0
    for conversation_id in visit.late:
        # An answer that is still being written may yet make a file.
        answered += yield from _ends_with(conversation_id, "message.output", "function.call")
    visit.late_agents |= new_agents
    return answered + len(visit.late_agents)


def _unanswered(visit: Visit) -> Flow[int]:
    """Count the conversations that were continued and wait for their answer."""
    count = 0
    for conversation_id in visit.continued:
        # The only call that is confirmed ends with a message; before, it is the call that comes last.
        count += not (yield from _ends_with(conversation_id, "message.output"))
    return count


def _ends_with(conversation_id: str, *types: str) -> Flow[bool]:
    entries = (yield from api.conversation_history(conversation_id)).entries
    return bool(entries) and entries[-1].type in types


def _files_of(conversation_id: str) -> Flow[set[str]]:
    try:
        history = yield from api.conversation_history(conversation_id)
    except MistralImagegenError:  # deleting the conversation reports it
        return set()
    contents = [getattr(entry, "content", "") for entry in history.entries]
    chunks = [chunk for content in contents if isinstance(content, list) for chunk in content]
    return {str(chunk.file_id) for chunk in chunks if getattr(chunk, "file_id", None)}
