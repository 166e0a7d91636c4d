"""Start or append, decided from the messages."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_mistral_imagegen._continuation import Append, Start, plan

ASK, AGAIN = HumanMessage("x"), HumanMessage("y")
OURS = AIMessage("a", response_metadata={"model_provider": "mistralai_conversations", "conversation_id": "c"})
FOREIGN = AIMessage("a", response_metadata={"model_provider": "openai", "conversation_id": "c"})
UNSTORED = AIMessage("a", response_metadata={**OURS.response_metadata, "store": False})


@pytest.mark.parametrize(
    ("messages", "store", "planned"),
    [
        ([ASK], True, Start([ASK])),
        ([ASK, OURS, AGAIN], True, Append("c", [AGAIN])),
        ([ASK, OURS, AGAIN], False, Start([ASK, OURS, AGAIN])),
        ([ASK, UNSTORED, AGAIN], True, Start([ASK, UNSTORED, AGAIN])),
        ([ASK, OURS, AGAIN, FOREIGN, ASK], True, Start([ASK, OURS, AGAIN, FOREIGN, ASK])),
        ([ASK, OURS], True, Start([ASK, OURS])),
    ],
)
def test_the_last_answer_decides(messages, store, planned):
    assert plan(messages, store=store) == planned
