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
        notes: What one question found out for another.
        conversations: Ids of those that were made.
        agents: Ids of those that were made.
        files: Ids of those that were made.
        under_way: Requests that may still make something.
    """

    model: str
    host: str
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    urls: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    conversations: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    under_way: int = 0

    @property
    def agent_name(self) -> str:
        """The name of this run's agent."""
        return f"{MARK}-{self.mark}"

    @property
    def has_traces(self) -> bool:
        """Whether it has made anything, or may have."""
        return bool(self.under_way or self.conversations or self.agents or self.files)

    def metadata(self, **more: str) -> dict[str, str]:
        """Return the metadata of what this run makes."""
        return {MARK: self.mark, **more}

    def once(self, name: str, make: Callable[[], Flow[Answer]]) -> Flow[Answer]:
        """Return an answer that several questions look at; it is requested once."""
        if name not in self.answers:
            self.answers[name] = yield from make()
        return self.answers[name]

    def start(self, inputs: Any, *, stream: bool = False, metadata: Any = None, **body: Any) -> Flow[Answer]:
        """Start a conversation with the model."""
        body = {"model": self.model, "inputs": inputs, "metadata": metadata or self.metadata(), **body}
        return self.converse(requests.start_conversation(body, stream=stream))

    def converse(self, request: Request) -> Flow[Answer]:
        """Send a request for an answer, and note what it makes."""
        # A stream is read whole, as any other body: a flow waits for responses, not for events.
        response = yield from self.make(replace(request, stream=False))
        read = self._of_events if request.stream else self._of_response
        answer = read(response)
        self.conversations.add(answer.conversation_id)
        self.files |= {ref["file_id"] for ref in images_of(answer.message) if "file_id" in ref}
        return answer

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
            known = len(visit.conversations) + len(visit.agents)
            yield from _find_marked(visit)
            visit.under_way -= len(visit.conversations) + len(visit.agents) - known
        except MistralImagegenError as error:
            return [f"what has the metadata {visit.metadata()}, if there is any: {error}"]
        if visit.under_way <= 0:
            return []
        if waited >= wait:
            return [f"what {visit.under_way} unanswered requests may still make, with metadata {visit.metadata()}"]
        yield Pause(_POLL)
        waited += _POLL


def _find_marked(visit: Visit) -> Flow[None]:
    found = yield from api.list_conversations(metadata=visit.metadata(), limit=_LISTED)
    # The filter is one of the questions, and what is not ours must not be deleted.
    visit.conversations |= {one.id for one in found if (one.metadata or {}).get(MARK) == visit.mark}
    agents = yield from api.list_agents(name=visit.agent_name, limit=_LISTED)
    visit.agents |= {agent.id for agent in agents if agent.name == visit.agent_name}


def _files_of(conversation_id: str) -> Flow[set[str]]:
    try:
        history = yield from api.conversation_history(conversation_id)
    except MistralImagegenError:  # deleting the conversation reports it
        return set()
    contents = [getattr(entry, "content", "") for entry in history.entries]
    chunks = [chunk for content in contents if isinstance(content, list) for chunk in content]
    return {str(chunk.file_id) for chunk in chunks if getattr(chunk, "file_id", None)}
