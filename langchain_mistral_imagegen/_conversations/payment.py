"""`PaidOnceEndpoint`: answers a turn by whatever answer exists, and asks only if none can come any more."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import urlsplit

from langchain_core.messages import AIMessage, message_chunk_to_message

from langchain_mistral_imagegen._conversations.endpoints import Endpoint
from langchain_mistral_imagegen._conversations.lost_answers import find, lost_answer
from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.decision import Head, Patience, Step, Wait, Watching, decide, may_leave
from langchain_mistral_imagegen._ledger.records import Answered, Asking, Record, Void, Way, Why
from langchain_mistral_imagegen._logger import package_logger
from langchain_mistral_imagegen._messages.answers import to_message
from langchain_mistral_imagegen._protocol.deadlines import Deadline, Moment, TooLateError
from langchain_mistral_imagegen._protocol.events import Event
from langchain_mistral_imagegen._protocol.flows import Effect, Flow, Pause, blocking, now
from langchain_mistral_imagegen._protocol.requests import Request, Response
from langchain_mistral_imagegen._protocol.retry import is_unpaid
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    ImageStoreError,
    InvalidInputError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
)
from langchain_mistral_imagegen.events import Emit

ADOPTED = "adopted"
"""Name in `response_metadata` of an answer that was not paid for now."""
_MOST_TOO_LATE = 3
_PASSING = (APIConnectionError, ServerError, RateLimitError, InvalidResponseError)
_log = package_logger()


class OvertakenError(Exception):
    """Another process has recorded a request of its own; this one must not send any more."""


@dataclass(kw_only=True)
class PaidOnceEndpoint(Endpoint):
    """An endpoint whose answer is paid for once, whoever asks.

    Attributes:
        endpoint: Asks.
        ledger: Where every request is recorded before it leaves.
        key: The chain of these requests.
        patience: How long what may take.
        subject: Digest of what is asked under a key of the caller's own.
        look_first: Whether to look for an answer also where no request was recorded.
        attempts: Requests of this call at most.
        emit: Emits events while an answer is waited for.
    """

    endpoint: Endpoint
    ledger: Ledger
    key: str
    patience: Patience
    emit: Emit
    subject: str = ""
    look_first: bool = False
    attempts: int = 3
    is_recorded = True
    _watching: Watching | None = field(default=None, init=False)
    _own: int | None = field(default=None, init=False)  # number of the record of this call's request
    _begun: Moment | None = field(default=None, init=False)  # when that record was begun
    _way: Way = field(default="unknown", init=False)
    _failing: float | None = field(default=None, init=False)  # since when looks have failed
    _found: AIMessage | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Take over what is answered."""
        self.turn, self.context = self.endpoint.turn, self.endpoint.context

    def events(self, data: bytes) -> Iterable[Event]:
        """See `Endpoint.events`."""
        return self.endpoint.events(data)

    def message(self, response: Response) -> AIMessage:
        """See `Endpoint.message`."""
        return self.endpoint.message(response)

    def answer(self) -> Flow[AIMessage]:
        """Return the answer that exists, or ask for one.

        Raises:
            OutcomeUnknownError: If no request was answered, nor will be.
            APIError: The server's refusal; nothing was paid.
            ImageStoreError: If the ledger cannot be kept; nothing was asked.
            InvalidInputError: If something else was asked under the caller's key.
        """
        failure: OutcomeUnknownError | None = None
        attempt = 0
        while True:
            if adopted := (yield from self.adopt()):
                return adopted
            if failure and attempt >= self.attempts:
                yield from self._note(Void(about=self.subject))  # it was watched to its end
                raise failure
            try:
                message = self.message((yield from self.ask()))
            except OvertakenError:
                continue
            except Exception as error:
                yield from self.fail(error)
                if not isinstance(error, OutcomeUnknownError):
                    raise
                failure, attempt = error, self.attempts if _is_refusal_of_proxy(error.__cause__) else attempt + 1
            else:
                yield from self.keep(message)
                return message

    def adopt(self) -> Flow[AIMessage | None]:
        """Return the answer that exists; `None` if there is none, nor can be any more.

        While a request of anybody may still be answered, it is waited for.
        """
        while True:
            watching = yield from self._see()
            step = decide(watching, (yield from now()).running, self.patience, look_first=self.look_first)
            if step is Step.ASK:
                return None
            if step is Step.ADOPT:
                return _adopted(_message_of(watching.head.record))
            if step is Step.KEEP:
                found = cast("AIMessage", self._found)
                yield from self.keep(found)
                return _adopted(found)
            if isinstance(step, Wait):
                self._report(watching, step)
                yield Pause(step.seconds)
            else:
                self._found = yield from self._look(watching)

    def ask(self) -> Flow[Response]:
        """Send the turn, with a record of each request before it leaves.

        Raises:
            OvertakenError: If another process has recorded a request meanwhile.
        """
        flow = self.endpoint.ask()
        step: Callable[[], Effect] = functools.partial(next, flow)
        try:
            while True:
                effect = step()
                is_paid = isinstance(effect, Request) and effect.paid
                request = (yield from self._recorded(cast("Request", effect))) if is_paid else effect
                step = yield from self._performed(flow, request)
        except StopIteration as end:
            return cast("Response", end.value)
        finally:
            flow.close()

    def keep(self, message: AIMessage) -> Flow[None]:
        """Record an answer. To lose it costs a look, so it is no error if that fails."""
        answer = message_chunk_to_message(message).model_dump(mode="json")
        try:
            while not (yield from self._record(Answered(answer=answer, about=self.subject))):
                head = yield from blocking(self._head)
                if isinstance(head.record, Answered):
                    return
                self._own = head.number
        except ImageStoreError as error:
            _log.warning("The answer could not be recorded, and will be looked for if it is needed again: %s", error)

    def fail(self, error: Exception) -> Flow[None]:
        """Record how a request ended: that it is unpaid, or that its client waits no longer."""
        if self._own is None:
            return
        gave_up = Asking(way=self._way, lasts=self.patience.answer, why="gave_up", about=self.subject)
        yield from self._note(Void(about=self.subject) if is_unpaid(error) else gave_up)
        self._own = self._watching = None

    # --- records ---

    def _head(self) -> Head:
        head = self.ledger.head(self.key)
        if head.record and self.subject and head.record.about not in {"", self.subject}:
            raise InvalidInputError("This key was used for another prompt before; choose another key for this one")
        if isinstance(head.record, Answered) and _message_of(head.record) is None:
            return Head(head.number, Asking(by="", at=""))  # of a program that writes answers otherwise
        return head

    def _see(self) -> Flow[Watching]:
        head = yield from blocking(self._head)
        moment = (yield from now()).running
        self._watching = self._watching.seeing(head, moment) if self._watching else Watching(head, moment)
        self._own = None
        return self._watching

    def _record(self, record: Record) -> Flow[bool]:
        last = self._own if self._own is not None else self._watching.head.number if self._watching else -1
        # An answer that Mistral does not keep is nowhere else.
        synced = isinstance(record, Answered) and not self.turn.is_stored
        is_mine = yield from blocking(lambda: self.ledger.create(self.key, last + 1, record, synced=synced))
        if is_mine:
            self._own = last + 1
        return is_mine

    def _note(self, record: Record) -> Flow[None]:
        """Record how a request ended; without, others wait for its answer."""
        try:
            yield from self._record(record)
        except ImageStoreError as problem:
            _log.warning("The end of a request could not be recorded, so it is waited for: %s", problem)

    # --- looking ---

    def _look(self, watching: Watching) -> Flow[AIMessage | None]:
        began = (yield from now()).running
        record = watching.head.record
        may_be_appended = not isinstance(record, Asking) or record.way in {"append", "unknown"}
        try:
            found = yield from self._find(appended=may_be_appended)
        except (*_PASSING, APIError) as error:
            if not (isinstance(error, _PASSING) or error.from_proxy):
                raise
            yield from self._look_later(began, error)
            return None
        self._failing = None
        self._watching = watching.looking(began, found=found is not None)
        return to_message(found, self.context) if found else None

    def _find(self, *, appended: bool) -> Flow[Any]:
        if not self.turn.is_stored:
            return None
        return (yield from find(lost_answer(self.turn, self.key, appended=appended)))

    def _look_later(self, began: float, error: Exception) -> Flow[None]:
        """Take a look that failed for none; but do not look for ever."""
        self._failing = began if self._failing is None else self._failing
        if began - self._failing >= self.patience.answer:
            raise OutcomeUnknownError(f"An earlier request may be paid, and cannot be looked for: {error}") from error
        _log.info("Looking for an earlier answer failed, and is repeated: %s", error)
        yield Pause(1.0)

    def _report(self, watching: Watching, wait: Wait) -> None:
        left = self.patience.watch(watching.head.record) - ((watching.looked or watching.since) - watching.since)
        _log.info(
            "An earlier request may still be answered; looking again in %g s, for at most %g s", wait.seconds, left
        )
        self.emit({"type": "mistral.image.waiting", "seconds": round(max(0.0, left), 1)})

    # --- asking ---

    def _recorded(self, request: Request) -> Flow[Request]:
        """Record a request, unless that was done a moment ago, and give it the bounds of its record."""
        moment = yield from now()
        if self._own is None or not self._begun or not may_leave(moment.since(self._begun), self.patience):
            self._way = _way(request)
            record = Asking(way=self._way, lasts=self.patience.lasts, why=self._why(), about=self.subject)
            if not (yield from self._record(record)):
                raise OvertakenError
            self._begun = moment
        return replace(request, deadline=Deadline(self._begun, self.patience.send), lasts=self.patience.lasts)

    def _why(self) -> Why:
        if self._own is not None:
            return "renewed"
        return "takeover" if self._watching and isinstance(self._watching.head.record, Asking) else "first"

    def _performed(self, flow: Flow[Response], request: Effect) -> Flow[Callable[[], Effect]]:
        """Perform an effect of the inner flow, and return how to go on with it."""
        for _ in range(_MOST_TOO_LATE):
            try:
                result = yield request
            except TooLateError:
                request = yield from self._recorded(replace(cast("Request", request), deadline=None))
            except Exception as error:  # noqa: BLE001  # the inner flow decides
                return functools.partial(flow.throw, error)
            else:
                return functools.partial(flow.send, result)
        late = APITimeoutError(f"{request}: no connection within {self.patience.send:g} s", sent=False)
        return functools.partial(flow.throw, late)


def _way(request: Request) -> Way:
    match urlsplit(request.path).path.split("/")[3:]:
        case []:
            return "start"
        case [_, "restart"]:
            return "restart"
        case [_]:
            return "append"
    return "unknown"


def _is_refusal_of_proxy(error: BaseException | None) -> bool:
    """Return whether a proxy refused a request: it may have passed it on before, but will refuse the next one, too."""
    return isinstance(error, APIError) and error.from_proxy and not isinstance(error, RateLimitError | ServerError)


def _message_of(record: Record | None) -> AIMessage | None:
    try:
        return AIMessage(**cast("Answered", record).answer)
    except (TypeError, ValueError):
        return None


def _adopted(message: AIMessage | None) -> AIMessage:
    adopted = cast("AIMessage", message)  # `_head` has checked it
    adopted.response_metadata[ADOPTED] = True
    return adopted
