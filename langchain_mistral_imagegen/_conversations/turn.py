"""One turn of a conversation: its requests, the point that it continues, and fingerprints to recognise both."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage

from langchain_mistral_imagegen._messages.answers import AnswerContext, fingerprint
from langchain_mistral_imagegen._messages.inputs import (
    Inputs,
    canonical,
    check_results,
    join,
    with_missing_results,
)
from langchain_mistral_imagegen._messages.known_inputs import KnownInputs
from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER
from langchain_mistral_imagegen._messages.tool_names import ToolNames
from langchain_mistral_imagegen._messages.tool_results import arranged
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import InvalidInputError

Continuation = Literal["auto", "replay", "append"]
KEY = "langchain_mistral_imagegen_key"
"""Metadata name of the key by which the conversation of a lost answer is found."""


@dataclass(frozen=True)
class ContinuationPoint:
    """An earlier answer, after which its conversation can be continued.

    Attributes:
        place: The answer's place in the history.
        conversation_id: The answer's conversation.
        head: Id of the answer's last entry.
    """

    place: int
    conversation_id: str
    head: str


@dataclass(frozen=True, kw_only=True)
class TurnSettings:
    """The settings of a model or agent for one turn.

    Attributes:
        target: `model` and `tools`, or `agent_id` (and `agent_version`): fixed when a conversation starts.
        instructions: System prompt before the system messages; not for agents.
        options: Fields of every request: `store`, `completion_args`, `handoff_execution`.
        labels: Fields of a new conversation: `metadata`, `guardrails`.
        names: Names of the functions among the tools.
        continuation: `auto`, `replay` (never continue) or `append` (continue without looking at the server first).
        known: What the messages of earlier turns became.
    """

    target: Mapping[str, Any]
    instructions: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    names: ToolNames = field(default_factory=ToolNames)
    continuation: Continuation = "auto"
    known: KnownInputs = field(default_factory=KnownInputs, repr=False, compare=False)

    @property
    def is_stored(self) -> bool:
        """Whether Mistral keeps the conversation."""
        return self.options.get("store") is not False

    @property
    def name(self) -> str:
        """The agent's id, or else the model's name."""
        return str(self.target.get("agent_id") or self.target["model"])

    def read(self, messages: Sequence[BaseMessage]) -> list[Inputs]:
        """Convert messages one by one.

        Raises:
            InvalidInputError: If one holds a block that the API does not take.
        """
        as_user = "agent_id" in self.target
        parts = [self.known.read(message, system_as_user=as_user) for message in messages]
        return with_missing_results(messages, parts)

    def whole(self, parts: Sequence[Inputs]) -> Inputs:
        """Join the inputs of a history, with all instructions."""
        return join(parts, self.instructions)

    def digests(self, parts: Iterable[Inputs], instructions: str) -> Iterator[hashlib.blake2b]:
        """Yield a hash of what stands before each message of a history, and then of the whole history.

        Few of them are ever asked for their digest, which takes longer than all else.

        Args:
            parts: The messages.
            instructions: All of the history.
        """
        running = hashlib.blake2b(canonical([self.target, instructions]), digest_size=32)
        yield running.copy()
        for part in parts:
            running.update(part.digest)
            yield running.copy()


@dataclass(frozen=True, kw_only=True)
class Turn(TurnSettings):
    """A history to be answered, and the settings to answer it with.

    Attributes:
        messages: The local history, oldest first; it is the truth, and the remote conversation is made equal to it.
        stream: Whether the answer is streamed.
    """

    messages: Sequence[BaseMessage]
    stream: bool = False

    def __post_init__(self) -> None:
        """Check the history.

        Raises:
            InvalidInputError: If there is nothing to send.
        """
        if not any(part.entries or part.confirmations or part.instructions for part in self._parts):
            raise InvalidInputError("There is no message to send: pass a prompt, or a list with at least one message")

    # --- requests ---

    def start(self) -> requests.Request:
        """Send the whole history to a new conversation."""
        body = {**self.options, **self.labels, **self.target, "inputs": self.inputs.entries}
        if self.inputs.instructions:
            body["instructions"] = self.inputs.instructions
        if not body["inputs"]:
            # A prompt of system messages alone: the server requires an input.
            body["inputs"] = body.pop("instructions")
        return requests.start_conversation(body, stream=self.stream)

    def append(self, point: ContinuationPoint) -> requests.Request:
        """Send the messages after a point to its conversation."""
        inputs = self.since(point)
        body = {**self.options, "inputs": inputs.entries}
        if inputs.confirmations:
            body |= {"tool_confirmations": inputs.confirmations}
        return requests.append_to_conversation(point.conversation_id, body, stream=self.stream)

    def restart(self, point: ContinuationPoint) -> requests.Request:
        """Send the messages after a point to a copy of its conversation that ends there."""
        version = {name: self.target[name] for name in ("agent_version",) if name in self.target}
        body = {**self.options, **self.labels, **version, "inputs": self.since(point).entries}
        return requests.restart_conversation(point.conversation_id, point.head, body, stream=self.stream)

    @property
    def confirms(self) -> bool:
        """Whether the newest message allows or denies calls, which only an append to their conversation can do."""
        return bool(self._parts[-1].confirmations)

    @cached_property
    def _parts(self) -> list[Inputs]:
        return self.read(self.messages)

    @cached_property
    def inputs(self) -> Inputs:
        """The inputs of the whole history, with all instructions."""
        return self.whole(self._parts)

    def since(self, point: ContinuationPoint) -> Inputs:
        """Return the inputs after a point."""
        return join(self._parts[point.place + 1 :])

    def between(self, before: ContinuationPoint, point: ContinuationPoint) -> Inputs:
        """Return the inputs between two points."""
        return join(self._parts[before.place + 1 : point.place])

    # --- recognising ---

    @property
    def fingerprint(self) -> str:
        """Digest of everything that is answered."""
        return self._digests[-1].hexdigest()

    @cached_property
    def _digests(self) -> list[hashlib.blake2b]:
        return list(self.digests(self._parts, self.inputs.instructions))

    @cached_property
    def continues(self) -> ContinuationPoint | None:
        """The newest answer up to which the history is unchanged since this model (or agent) gave it."""
        if self.continuation == "replay":
            return None
        return self._newest_point(len(self.messages) - 1)

    def point_before(self, point: ContinuationPoint) -> ContinuationPoint | None:
        """Return the newest point before another, if its conversation is the same."""
        before = self._newest_point(point.place)
        return before if before and before.conversation_id == point.conversation_id else None

    def _newest_point(self, end: int) -> ContinuationPoint | None:
        points = (self._point(place) for place in range(end - 1, -1, -1))
        return next((point for point in points if point), None)

    def _point(self, place: int) -> ContinuationPoint | None:
        message = self.messages[place]
        if not isinstance(message, AIMessage):
            return None
        facts = message.response_metadata
        is_kept = (
            facts.get("model_provider") == MODEL_PROVIDER
            and facts.get("store") is not False
            and facts.get("conversation_id")
            and "head" in facts
        )
        if not is_kept or facts.get("fingerprint") != fingerprint(self._digests[place].hexdigest(), message):
            return None
        return ContinuationPoint(place, facts["conversation_id"], facts["head"])


def prepare(
    settings: TurnSettings,
    messages: Sequence[BaseMessage],
    signed_urls: MutableMapping[str, str],
    *,
    stream: bool = False,
) -> tuple[Turn, AnswerContext]:
    """Prepare a turn without sending anything; a stored one gets a random key, unless it has one.

    Args:
        settings: Of the model or agent.
        messages: The history, oldest first.
        signed_urls: Where the signed URLs of its images are kept, by image id.
        stream: Whether the answer is streamed.

    Raises:
        InvalidInputError: If Mistral would not take the history.
    """
    labels = settings.labels
    if settings.is_stored:
        labels = {**labels, "metadata": {KEY: secrets.token_hex(16), **labels.get("metadata", {})}}
    check_results(messages)  # here, because the error names the ids that the caller knows
    turn = Turn(messages=arranged(messages), stream=stream, **{**vars(settings), "labels": labels})
    return turn, AnswerContext(
        model=turn.name,
        urls=SignedUrls(signed_urls),
        names=turn.names,
        fingerprint=turn.fingerprint,
        stored=turn.is_stored,
    )
