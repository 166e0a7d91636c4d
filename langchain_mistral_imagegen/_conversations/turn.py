"""One turn of a conversation: who is asked what, the requests that can say it, and fingerprints to recognise it by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage

from langchain_mistral_imagegen._messages.answers import MODEL_PROVIDER, fingerprint
from langchain_mistral_imagegen._messages.inputs import Inputs, check_results, join, read_all
from langchain_mistral_imagegen._protocol import requests
from langchain_mistral_imagegen.errors import InvalidInputError

Continuation = Literal["auto", "replay", "append"]


@dataclass(frozen=True)
class Answer:
    """An earlier answer, as the place where a conversation can be continued.

    Attributes:
        place: Its place in the history.
        conversation_id: The conversation it was given in.
        head: Id of its last entry.
    """

    place: int
    conversation_id: str
    head: str


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A history to be answered.

    Attributes:
        messages: The local history, oldest first; it is the truth, and the remote conversation is made equal to it.
        whom: `model` and `tools`, or `agent_id` (and `agent_version`): fixed when a conversation starts.
        instructions: System prompt that stands before the system messages; not for agents.
        options: What each request may set anew: `store`, `completion_args`, `handoff_execution`.
        labels: What a new conversation gets: `metadata`, `guardrails`.
        continuation: `auto`, `replay` (never continue) or `append` (continue without looking at the server first).
        stream: Whether the answer is streamed.
    """

    messages: Sequence[BaseMessage]
    whom: Mapping[str, Any]
    instructions: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    continuation: Continuation = "auto"
    stream: bool = False

    def __post_init__(self) -> None:
        """Refuse what the server would refuse.

        Raises:
            InvalidInputError: If there is nothing to say, or the result of a function call is missing.
        """
        check_results(self.messages)
        if not (self._all.entries or self._all.confirmations or self._all.instructions):
            raise InvalidInputError("There is no message to send: pass a prompt, or a list with at least one message")

    # --- requests ---

    def start(self) -> requests.Request:
        """Say the whole history to a new conversation."""
        body = {**self.options, **self.labels, **self.whom, "inputs": self.inputs.entries}
        if self.inputs.instructions:
            body["instructions"] = self.inputs.instructions
        if not body["inputs"]:
            # A prompt of system messages alone: the server wants something to answer.
            body["inputs"] = body.pop("instructions")
        return requests.start_conversation(body, stream=self.stream)

    def append(self, answer: Answer) -> requests.Request:
        """Say what came after an answer to the conversation it was given in."""
        inputs = self.since(answer)
        body = {**self.options, "inputs": inputs.entries}
        if inputs.confirmations:
            body |= {"tool_confirmations": inputs.confirmations}
        return requests.append_to_conversation(answer.conversation_id, body, stream=self.stream)

    def restart(self, answer: Answer) -> requests.Request:
        """Say what came after an answer to a copy of its conversation that ends with this answer."""
        version = {name: self.whom[name] for name in ("agent_version",) if name in self.whom}
        body = {**self.options, **self.labels, **version, "inputs": self.since(answer).entries}
        return requests.restart_conversation(answer.conversation_id, answer.head, body, stream=self.stream)

    @property
    def confirms(self) -> bool:
        """Whether the newest message allows or denies calls, which only the very conversation that asked can use."""
        return bool(self._parts[-1].confirmations)

    @cached_property
    def _parts(self) -> list[Inputs]:
        return read_all(self.messages, system_as_user="agent_id" in self.whom)

    @cached_property
    def _all(self) -> Inputs:
        return join(self._parts)

    @cached_property
    def inputs(self) -> Inputs:
        """What the whole history says, with all instructions."""
        instructions = "\n\n".join(text for text in (self.instructions, self._all.instructions) if text)
        return replace(self._all, instructions=instructions)

    def since(self, answer: Answer) -> Inputs:
        """Return what came after an answer."""
        return join(self._parts[answer.place + 1 :])

    # --- recognising ---

    @property
    def fingerprint(self) -> str:
        """Digest of all that the answer will be an answer to."""
        return self._digests[-1]

    @cached_property
    def _digests(self) -> list[str]:
        """Digests of what stands before each message, and of all."""
        running = hashlib.sha256(_canonical([self.whom, self.inputs.instructions]))
        digests = [running.hexdigest()]
        for part in self._parts:
            running.update(_canonical([part.entries, part.shown, part.confirmations]))
            digests.append(running.hexdigest())
        return digests

    @cached_property
    def continues(self) -> Answer | None:
        """The newest answer up to which the history is what it was when this model (or agent) gave it."""
        if self.continuation == "replay":
            return None
        answers = (self._answer(place) for place in range(len(self.messages) - 2, -1, -1))
        return next((answer for answer in answers if answer), None)

    def _answer(self, place: int) -> Answer | None:
        message = self.messages[place]
        if not isinstance(message, AIMessage):
            return None
        said = message.response_metadata
        is_kept = (
            said.get("model_provider") == MODEL_PROVIDER
            and said.get("store") is not False
            and said.get("conversation_id")
        )
        if not is_kept or "head" not in said or said.get("fingerprint") != fingerprint(self._digests[place], message):
            return None
        return Answer(place, said["conversation_id"], said["head"])


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
