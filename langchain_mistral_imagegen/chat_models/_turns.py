"""How the model's settings become a turn, and which endpoint answers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_mistral_imagegen._conversations.continuation import CLAIMS
from langchain_mistral_imagegen._conversations.endpoints import CompletionsEndpoint, ConversationsEndpoint, Endpoint
from langchain_mistral_imagegen._conversations.lost_answers import note_lost_answer
from langchain_mistral_imagegen._conversations.pay_once import current_work
from langchain_mistral_imagegen._conversations.payment import PaidOnceEndpoint
from langchain_mistral_imagegen._conversations.turn import KEY, Continuation, Turn, TurnSettings, prepare
from langchain_mistral_imagegen._http.secrecy import WITHOUT_LOCALS
from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.decision import Patience
from langchain_mistral_imagegen._messages import tool_schemas
from langchain_mistral_imagegen._messages.answers import AnswerContext
from langchain_mistral_imagegen._messages.tool_names import ToolNames
from langchain_mistral_imagegen._protocol.flows import Flow
from langchain_mistral_imagegen._telemetry import turn_span
from langchain_mistral_imagegen.chat_models._connected import ConnectedModel
from langchain_mistral_imagegen.chat_models._settings import COMPLETION_ARGS, refuse_settings
from langchain_mistral_imagegen.errors import InvalidInputError, OutcomeUnknownError
from langchain_mistral_imagegen.events import emitter
from langchain_mistral_imagegen.stores._ledger_files import ledger_files

_ATTEMPTS = 3  # requests for one answer that is to be paid for once, each after the end of the one before
# What a call or `bind` may set besides completion arguments.
_CALL_SETTINGS = {"model", "agent_id", "agent_version", "tools", "tool_choice", "conversation_metadata"}
# What a call of an agent may set; LangChain's programs pass `stop` to any model, which an agent does not take.
_AGENT_SETTINGS = {"agent_id", "agent_version", "tools", "conversation_metadata", "stop"}


class TurnsModel(ConnectedModel):
    """Prepares turns, and has them answered by one of the two endpoints."""

    # --- what goes into a request ---

    def _turn_settings(self, overrides: Mapping[str, Any]) -> TurnSettings:
        """Return the settings of a turn.

        Args:
            overrides: Settings of this call, or of `bind`.

        Raises:
            InvalidInputError: If one of them is a `key`.
        """
        if "key" in overrides:
            raise InvalidInputError(
                "A chat model keeps no records, so key= has no meaning here: to pay once for a key, use "
                "MistralImageGenerationTool(model=..., image_store=...).generate(prompt, key=...)"
            )
        agent_id = overrides.get("agent_id", self.agent_id)
        return self._of_agent(agent_id, overrides) if agent_id else self._of_model(overrides)

    def _of_agent(self, agent_id: str, overrides: Mapping[str, Any]) -> TurnSettings:
        # Completion arguments are the agent's: the server refuses them, with code 3001.
        refuse_settings(agent_id, {name: value for name, value in overrides.items() if name not in _AGENT_SETTINGS})
        version = overrides.get("agent_version", self.agent_version)
        return TurnSettings(
            target=_given(agent_id=agent_id, agent_version=version),
            options=self._options(handoff_execution=self.handoff_execution),
            labels=_given(metadata=self._metadata(overrides)),
            continuation=self._continuation,
            known=self._known_inputs,
        )

    def _of_model(self, overrides: Mapping[str, Any]) -> TurnSettings:
        tools = [*self.tools, *overrides.get("tools", ())]
        names = ToolNames(tool_schemas.function_names(tools))
        tools, choice = tool_schemas.resolve(tools, overrides.get("tool_choice"))
        args = {name: getattr(self, name) for name in COMPLETION_ARGS} | self.model_kwargs
        args |= {name: value for name, value in overrides.items() if name not in _CALL_SETTINGS}
        return TurnSettings(
            target={"model": overrides.get("model", self.model), "tools": tools},
            instructions=self.instructions or "",
            options=self._options(completion_args=_given(**args, tool_choice=choice)),
            labels=_given(metadata=self._metadata(overrides), guardrails=self.guardrails),
            names=names,
            continuation=self._continuation,
            known=self._known_inputs,
        )

    def _options(self, **options: Any) -> dict[str, Any]:
        return {**_given(**options), "store": self.store and self._continuation != "replay"}

    @property
    def _continuation(self) -> Continuation:
        return self.continuation if self.transport == "conversations" else "replay"

    def _metadata(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        return {**(self.conversation_metadata or {}), **(overrides.get("conversation_metadata") or {})}

    def _prepare(
        self, messages: Sequence[BaseMessage], overrides: Mapping[str, Any], *, stream: bool = False
    ) -> tuple[Turn, AnswerContext]:
        return prepare(self._turn_settings(overrides), messages, self._signed_urls, stream=stream)

    # --- what answers it ---

    def _key(self, messages: Sequence[BaseMessage]) -> Flow[str | None]:
        """Return the key of the work that is being done, if it is to be paid for once."""
        work = current_work()
        return (yield from work.key(self.base_url, messages)) if work else None

    @contextmanager
    def _turn(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        overrides: dict[str, Any],
        key: str | None,
        *,
        stream: bool = False,
    ) -> Iterator[Endpoint]:
        """Yield the endpoint that answers the messages; meanwhile no other turn is appended to the conversation."""
        if stop:
            overrides = {**overrides, "stop": stop}
        if key:
            overrides = {**overrides, "conversation_metadata": {**overrides.get("conversation_metadata", {}), KEY: key}}
        turn, context = self._prepare(messages, overrides, stream=stream)
        with WITHOUT_LOCALS, turn_span(turn.target, turn.options, self.base_url, stream=stream) as span:
            context = context.with_span(span)
            if self.transport == "completions":
                yield self._paid_once(CompletionsEndpoint(turn=turn, context=context), key)
            else:
                with self._conversations_endpoint(turn, context, overrides) as endpoint:
                    yield self._paid_once(endpoint, key)

    def _paid_once(self, endpoint: Endpoint, key: str | None) -> Endpoint:
        work = current_work()
        if work is None or key is None:
            return endpoint
        return PaidOnceEndpoint(
            endpoint=endpoint,
            ledger=Ledger(ledger_files(work.store)),  # it was opened for the key
            key=key,
            patience=Patience(answer=self.answer_within, timeout=min(self.timeout, self.deadline)),
            emit=emitter(),
            subject=work.subject(endpoint.turn.messages),
            look_first=work.look_first,
            attempts=min(_ATTEMPTS, 1 + self.max_retries),
        )

    @contextmanager
    def _conversations_endpoint(
        self, turn: Turn, context: AnswerContext, overrides: Mapping[str, Any]
    ) -> Iterator[ConversationsEndpoint]:
        is_agent = "agent_id" in turn.target
        functions = tool_schemas.function_names(overrides.get("tools", ())) if is_agent else set()
        known = self._agent_functions.setdefault(str(turn.target), set()) if is_agent else set()
        with CLAIMS.claim(turn, self.base_url) as is_alone:
            try:
                yield ConversationsEndpoint(
                    turn=turn, context=context, is_alone=is_alone, functions=functions, known=known
                )
            except OutcomeUnknownError as error:
                note_lost_answer(error, turn)
                raise


def _given(**settings: Any) -> dict[str, Any]:
    """Leave out what is not set."""
    return {name: value for name, value in settings.items() if value not in (None, [], {})}
