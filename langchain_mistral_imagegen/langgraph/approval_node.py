"""`ApprovalNode`: a human approves the prompt before an image is paid for.

Without code, `compile(interrupt_before=["draw"])` stops in the same place, but cannot change or refuse the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, cast

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from langchain_mistral_imagegen.langgraph._node import messages_in


class ApprovalRequest(TypedDict):
    """The value of the interrupt; plain JSON."""

    kind: str
    """Always `mistral.image.approval`."""
    prompt: str
    error: NotRequired[str]
    """Why the last answer was not accepted."""


class Approval(TypedDict):
    """The value that resumes the graph: `Command(resume={"approve": True})`; `True` and `False` work, too."""

    approve: bool
    prompt: NotRequired[str]
    """Replaces the user's prompt."""
    reason: NotRequired[str]
    """Why it is rejected; it becomes part of the answer in the messages."""


@dataclass(frozen=True, kw_only=True)
class ApprovalNode:
    """Interrupts the graph with the user's last message, and continues as a human decides. It pays nothing.

    An answer that cannot be understood interrupts again, with an `error`. The node needs a checkpointer. Add no edge
    that leads out of it: it goes to the node that the decision selects.

    Attributes:
        approved: Next node when the prompt is approved, changed or unchanged.
        rejected: Next node when it is rejected; the end, by default.
        messages_key: Channel of the messages.

    Example:
        ```python
        builder.add_node("approve", ApprovalNode(approved="draw"), destinations=("draw", END))
        builder.add_edge(START, "approve")
        ```
    """

    approved: str
    rejected: str = END
    messages_key: str = "messages"

    def __call__(self, state: Any) -> Command[str]:
        """Ask a human, and go to the node that the decision selects."""
        question = _last_question(messages_in(state, self.messages_key))
        request = ApprovalRequest(kind="mistral.image.approval", prompt=str(question.text))
        decision = _read(interrupt(request))
        while isinstance(decision, str):
            decision = _read(interrupt({**request, "error": decision}))
        if not decision["approve"]:
            refusal = AIMessage(f"No image was generated: {decision.get('reason') or 'it was not approved'}.")
            return Command(goto=self.rejected, update={self.messages_key: [refusal]})
        prompt = decision.get("prompt", request["prompt"])
        changed = [_with_text(question, prompt)] if prompt != request["prompt"] else []
        return Command(goto=self.approved, update={self.messages_key: changed})


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
        case {"approve": bool(approve)}:
            for name in ("prompt", "reason"):
                if not isinstance(answer.get(name, ""), str) or answer.get(name) == "":
                    return f"{name!r} must be a non-empty text; it is {answer[name]!r}"
            given = {name: answer[name] for name in ("prompt", "reason") if name in answer}
            return cast("Approval", {"approve": approve, **given})
    return f'The answer must be true, false, or like {{"approve": true, "prompt": "..."}}; it is {answer!r}'


def _with_text(message: HumanMessage, text: str) -> HumanMessage:
    """Return a message with another text and the same id, so that it replaces the old one."""
    if isinstance(message.content, str):
        return message.model_copy(update={"content": text})
    others = [block for block in message.content if isinstance(block, Mapping) and block.get("type") != "text"]
    return message.model_copy(update={"content": [{"type": "text", "text": text}, *others]})
