"""`ApprovalNode`: a human approves the prompt before an image is paid for.

Without code, `compile(interrupt_before=["draw"])` stops in the same place, but cannot change or refuse the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, cast

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from langchain_mistral_imagegen.costs import Prices
from langchain_mistral_imagegen.langgraph._node import messages_in, part_of

_ACTION = "generate_image"


class ApprovalAction(TypedDict):
    """What is about to happen, as LangChain's `HumanInTheLoopMiddleware` describes it."""

    name: str
    args: dict[str, Any]
    description: str


class ApprovalReview(TypedDict):
    """Which decisions are possible."""

    action_name: str
    allowed_decisions: list[Literal["approve", "edit", "reject"]]


class ApprovalRequest(TypedDict):
    """The value of the interrupt; plain JSON, in the form that Agent Chat UI and Agent Inbox show."""

    action_requests: list[ApprovalAction]
    review_configs: list[ApprovalReview]
    kind: str
    """Always `mistral.image.approval`."""
    prompt: str
    details: NotRequired[dict[str, Any]]
    """Channels of the state that help to decide."""
    cost: NotRequired[str]
    """An estimate for one image."""
    error: NotRequired[str]
    """Why the last answer was not accepted."""


class Approval(TypedDict):
    """The short form of the value that resumes the graph: `{"approve": True}`; `True` and `False` work, too."""

    approve: bool
    prompt: NotRequired[str]
    """Replaces the user's prompt."""
    reason: NotRequired[str]
    """Why it is rejected; it becomes part of the answer in the messages."""


@dataclass(frozen=True, kw_only=True)
class ApprovalNode:
    """Interrupts the graph with the user's last message, and continues as a human decides. It pays nothing.

    The graph is resumed with `Command(resume=...)`: with `{"decisions": [{"type": "approve"}]}`, as
    `HumanInTheLoopMiddleware` takes it, also with `"reject"` and a `message`, or with `"edit"` and an `edited_action`
    whose `args` hold the new `prompt`; or with an `Approval`. An answer that cannot be understood, or that has a key
    nobody reads, interrupts again, with an `error`.

    The node needs a checkpointer. Add no edge that leads out of it: it goes to the node that the decision selects. For
    Temporal, add its method `arun` as the node.

    Attributes:
        approved: Next node when the prompt is approved, changed or unchanged.
        rejected: Next node when it is rejected; the end, by default.
        messages_key: Channel of the messages.
        details: Channels of the state whose values the interrupt contains; they must be JSON.
        prices: With them, the interrupt contains what one image costs.

    Example:
        ```python
        builder.add_node("approve", ApprovalNode(approved="draw"), destinations=("draw", END))
        builder.add_edge(START, "approve")
        ```
    """

    approved: str
    rejected: str = END
    messages_key: str = "messages"
    details: Sequence[str] = ()
    prices: Prices | None = None

    def __call__(self, state: Any) -> Command[str]:
        """Do what `run` does."""
        return self.run(state)

    def run(self, state: Any) -> Command[str]:
        """Ask a human, and go to the node that the decision selects.

        Raises:
            ValueError: If no message of the user is there.
        """
        question = _last_question(messages_in(state, self.messages_key))
        request = self._request(str(question.text), state)
        decision = _read(interrupt(request))
        while isinstance(decision, str):
            decision = _read(interrupt({**request, "error": decision}))
        if not decision["approve"]:
            refusal = AIMessage(f"No image was generated: {decision.get('reason') or 'it was not approved'}.")
            return Command(goto=self.rejected, update={self.messages_key: [refusal]})
        prompt = decision.get("prompt", request["prompt"])
        changed = [_with_text(question, prompt)] if prompt != request["prompt"] else []
        return Command(goto=self.approved, update={self.messages_key: changed})

    async def arun(self, state: Any) -> Command[str]:
        """Do the same as `run`, asynchronously."""
        return self.run(state)

    def _request(self, prompt: str, state: Any) -> ApprovalRequest:
        price = self.prices.of("image_generation", "calls") if self.prices else None
        cost = f"{price:.2f} {self.prices.currency} for one image" if self.prices and price is not None else ""
        description = f"Generate an image{f' ({cost})' if cost else ''}: {prompt}"
        request = ApprovalRequest(
            action_requests=[ApprovalAction(name=_ACTION, args={"prompt": prompt}, description=description)],
            review_configs=[ApprovalReview(action_name=_ACTION, allowed_decisions=["approve", "edit", "reject"])],
            kind="mistral.image.approval",
            prompt=prompt,
        )
        if self.details:
            request["details"] = {name: part_of(state, name) for name in self.details}
        if cost:
            request["cost"] = cost
        return request


def _last_question(messages: Sequence[Any]) -> HumanMessage:
    question = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
    if question is None:
        raise ValueError("There is no HumanMessage whose prompt could be approved; add one before this node")
    return question


def _read(answer: Any) -> Approval | str:
    """Return the decision, or why the answer is not accepted."""
    match answer:
        case bool():
            return Approval(approve=answer)
        case {"decisions": [dict(decision)], **others} if not others:
            return _checked(_of_decision(decision), answer)
        case {"decisions": _}:
            return f'There must be one decision, such as {{"decisions": [{{"type": "approve"}}]}}; it is {answer!r}'
        case {"approve": bool()}:
            return _checked(answer, answer)
    return f'The answer must be true, false, or like {{"approve": true, "prompt": "..."}}; it is {answer!r}'


def _of_decision(decision: dict[str, Any]) -> dict[str, Any]:
    """Return the short form of a decision; what is not understood stays in it, for the check."""
    match decision:
        case {"type": "approve", **others}:
            return {"approve": True, **others}
        case {"type": "reject", **others}:
            message = {"reason": others.pop("message")} if others.get("message") is not None else {}
            return {"approve": False, **message, **others}
        case {"type": "edit", "edited_action": {"args": dict(args)}, **others}:
            return {"approve": True, **args, **others} if "prompt" in args else {"edited_action": "without a prompt"}
    return decision


def _checked(answer: Mapping[str, Any], given: Any) -> Approval | str:
    for name, value in answer.items():
        if name == "approve":
            continue
        if name not in ("prompt", "reason"):
            return f"The answer must be a decision without {name!r}, which is not known; it is {given!r}"
        if not isinstance(value, str) or not value.strip():
            return f"{name!r} must be a non-empty text; it is {value!r}"
    return cast("Approval", dict(answer))


def _with_text(message: HumanMessage, text: str) -> HumanMessage:
    """Return a message with another text and the same id, so that it replaces the old one."""
    if isinstance(message.content, str):
        return message.model_copy(update={"content": text})
    others = [block for block in message.content if isinstance(block, Mapping) and block.get("type") != "text"]
    return message.model_copy(update={"content": [{"type": "text", "text": text}, *others]})
