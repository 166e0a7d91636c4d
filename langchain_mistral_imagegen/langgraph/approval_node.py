"""`ApprovalNode`: a human sees the prompt before a picture is paid for.

Without code, `compile(interrupt_before=["draw"])` stops in the same place, but cannot change or refuse the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END
from langgraph.types import Command, interrupt


class ApprovalRequest(TypedDict):
    """What the interrupt tells; plain JSON."""

    kind: str
    """Always `mistral.image.approval`."""
    prompt: str
    error: NotRequired[str]
    """What was wrong with the last answer."""


class Approval(TypedDict):
    """What resumes the graph: `Command(resume={"approve": True})`; `True` and `False` alone will do, too."""

    approve: bool
    prompt: NotRequired[str]
    """To be drawn instead."""
    reason: NotRequired[str]
    """Why it is refused; the graph's messages tell it."""


@dataclass(frozen=True)
class ApprovalNode:
    """Interrupts the graph with the user's last message, and goes on as a human decides. It pays nothing.

    An answer that is none interrupts again and says why. The node needs a checkpointer, and no edge of its own leads
    out of it: it goes where the decision says.

    Attributes:
        approved: Node to go to when the prompt is approved, as it stands or changed.
        rejected: Node to go to when it is refused; the end, by default.
        messages_key: Where the state has its messages.

    Example:
        ```python
        builder.add_node("approve", ApprovalNode("draw"), destinations=("draw", END))
        builder.add_edge(START, "approve")
        ```
    """

    approved: str
    rejected: str = END
    messages_key: str = "messages"

    def __call__(self, state: Any) -> Command[str]:
        """Ask, and go on."""
        asked = _last_question(state[self.messages_key])
        request = ApprovalRequest(kind="mistral.image.approval", prompt=str(asked.text))
        decision = _read(interrupt(request))
        while isinstance(decision, str):
            decision = _read(interrupt({**request, "error": decision}))
        if not decision["approve"]:
            refusal = AIMessage(f"No picture was drawn: {decision.get('reason') or 'it was not approved'}.")
            return Command(goto=self.rejected, update={self.messages_key: [refusal]})
        prompt = decision.get("prompt", request["prompt"])
        changed = [_with_text(asked, prompt)] if prompt != request["prompt"] else []
        return Command(goto=self.approved, update={self.messages_key: changed})


def _last_question(messages: Sequence[Any]) -> HumanMessage:
    asked = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
    if asked is None:
        raise ValueError("There is no HumanMessage whose prompt could be approved")
    return asked


def _read(answer: Any) -> Approval | str:
    """Return a decision, or what is wrong with it."""
    match answer:
        case bool():
            return Approval(approve=answer)
        case {"approve": bool(approve)}:
            for name in ("prompt", "reason"):
                if not isinstance(answer.get(name, ""), str) or answer.get(name) == "":
                    return f"{name!r} must be a text that is not empty; it is {answer[name]!r}"
            given = {name: answer[name] for name in ("prompt", "reason") if name in answer}
            return cast("Approval", {"approve": approve, **given})
    return f'The answer must be true, false, or like {{"approve": true, "prompt": "..."}}; it is {answer!r}'


def _with_text(message: HumanMessage, text: str) -> HumanMessage:
    """Return a message with another text; its id stays, so that it replaces the old one."""
    if isinstance(message.content, str):
        return message.model_copy(update={"content": text})
    others = [block for block in message.content if isinstance(block, Mapping) and block.get("type") != "text"]
    return message.model_copy(update={"content": [{"type": "text", "text": text}, *others]})
