"""`ConfirmationMiddleware`: a human decides about the calls of Mistral's own tools that wait for confirmation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
from langchain.agents.middleware.types import ContextT, ResponseT
from langchain_core.messages import AIMessage, ToolCall
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict

from langchain_mistral_imagegen._messages.confirmations import confirm, pending_calls

_FORM = '{"decisions": [{"type": "approve"}]}'


class ConfirmationAction(TypedDict):
    """A call that waits, as `HumanInTheLoopMiddleware` describes one."""

    name: str
    args: dict[str, Any]
    description: str


class ConfirmationReview(TypedDict):
    """Which decisions are possible; Mistral takes no changed arguments."""

    action_name: str
    allowed_decisions: list[Literal["approve", "reject"]]


class ConfirmationRequest(TypedDict, total=False):
    """The value of the interrupt; plain JSON, in the form that Agent Chat UI and Agent Inbox show."""

    action_requests: list[ConfirmationAction]
    review_configs: list[ConfirmationReview]
    error: str
    """Why the last answer was not accepted."""


class ConfirmationMiddleware(AgentMiddleware[AgentState[ResponseT], ContextT, ResponseT]):
    """Interrupts the agent when a call of Mistral's own tools waits for confirmation, and sends the decision.

    Calls wait if a tool has `tool_configuration={"requires_confirmation": [...]}`. Nothing runs, and no image is paid
    for, before the decision. Resume with `Command(resume={"decisions": [{"type": "approve"}]})`, one decision per call,
    in order, as with `HumanInTheLoopMiddleware`; the other decision is `{"type": "reject"}`. A `message` of a rejection
    stays here, because Mistral takes no reason. Any other answer interrupts again, with an `error`.

    The agent needs a checkpointer. Answers of other providers' models are left alone.

    Example:
        ```python
        from langchain.agents import create_agent
        from langgraph.checkpoint.memory import InMemorySaver
        from langchain_mistral_imagegen import ChatMistralConversations
        from langchain_mistral_imagegen.middleware import ConfirmationMiddleware

        configuration = {"requires_confirmation": ["generate_image", "edit_image"]}
        model = ChatMistralConversations(tools=[{"type": "image_generation", "tool_configuration": configuration}])
        agent = create_agent(model, middleware=[ConfirmationMiddleware()], checkpointer=InMemorySaver())
        ```

    See https://docs.mistral.ai/studio-api/agents/agent-tools.
    """

    @hook_config(can_jump_to=["model"])
    def after_model(self, state: AgentState[ResponseT], runtime: Runtime[ContextT]) -> dict[str, Any] | None:  # noqa: ARG002  # LangChain's signature
        """Interrupt if calls wait, and let the model go on with the decisions."""
        answer = state["messages"][-1]
        calls = pending_calls(answer) if isinstance(answer, AIMessage) else []
        if not isinstance(answer, AIMessage) or not calls:
            return None
        update = {"messages": [confirm(answer, allow=_decided(calls))]}
        # Functions that the same answer calls run first; their results go to Mistral with the decisions.
        return update if answer.tool_calls else {**update, "jump_to": "model"}

    @hook_config(can_jump_to=["model"])
    async def aafter_model(self, state: AgentState[ResponseT], runtime: Runtime[ContextT]) -> dict[str, Any] | None:
        """Interrupt if calls wait; see `after_model`."""
        return self.after_model(state, runtime)


def _decided(calls: Sequence[ToolCall]) -> dict[str, bool]:
    """Ask until there is a decision for each call."""
    request = _request(calls)
    allowed = _read(interrupt(request), calls)
    while isinstance(allowed, str):
        allowed = _read(interrupt({**request, "error": allowed}), calls)
    return allowed


def _request(calls: Sequence[ToolCall]) -> ConfirmationRequest:
    names = dict.fromkeys(call["name"] for call in calls)
    return {
        "action_requests": [
            {"name": call["name"], "args": call["args"], "description": f"Mistral is to run {call['name']!r}"}
            for call in calls
        ],
        "review_configs": [{"action_name": name, "allowed_decisions": ["approve", "reject"]} for name in names],
    }


def _read(answer: Any, calls: Sequence[ToolCall]) -> dict[str, bool] | str:
    """Return whether each call is allowed, by id, or why the answer is not accepted."""
    match answer:
        case {"decisions": list(decisions), **others} if not others and len(decisions) == len(calls):
            wrong = [decision for decision in decisions if not _is_known(decision)]
            if wrong:
                return f"A decision is 'approve' or 'reject', such as {_FORM}; {wrong[0]!r} is neither"
            given = zip(calls, decisions, strict=True)
            return {str(call["id"]): decision["type"] == "approve" for call, decision in given}
    return f"The answer must have one decision for each of {len(calls)} call(s), such as {_FORM}; it is {answer!r}"


def _is_known(decision: Any) -> bool:
    if not isinstance(decision, Mapping):
        return False
    known = {"approve": {"type"}, "reject": {"type", "message"}}
    return decision.keys() <= known.get(str(decision.get("type")), set())
