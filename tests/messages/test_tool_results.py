"""Any history is sent in an order, and with ids, that Mistral's own validators take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from mistral_common.exceptions import MistralCommonException
from mistral_rules import check_messages, check_request

from langchain_mistral_imagegen._conversations.turn import TurnSettings, prepare
from langchain_mistral_imagegen._messages.inputs import join
from langchain_mistral_imagegen._messages.tool_results import arranged

USER, MORE = HumanMessage("Weather?"), HumanMessage("And in Rome?")


def calls(*ids: str | None, name: str = "weather") -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": {}, "id": one} for one in ids])


def result(call_id: str, text: str = "sunny") -> ToolMessage:
    return ToolMessage(text, tool_call_id=call_id)


SETTINGS = TurnSettings(target={"model": "m", "tools": []})


def entries_of(messages) -> list[dict]:
    return join(SETTINGS.read(arranged(messages))).entries


def sent(*messages) -> list:
    """Return what is sent of a history: types, and for results their text."""
    entries = entries_of(list(messages))
    return [entry.get("result") or entry["type"] for entry in entries]


CALL, INPUT = "function.call", "message.input"


def test_a_message_between_a_call_and_its_result_moves_behind():
    assert sent(USER, calls("a"), MORE, result("a")) == [INPUT, CALL, "sunny", INPUT]


def test_of_two_results_the_last_counts():
    assert sent(USER, calls("a"), result("a", "old"), result("a", "new")) == [INPUT, CALL, "new"]


def test_a_result_after_the_next_call_goes_to_its_own():
    history = USER, calls("a"), calls("b"), result("b", "rain"), result("a", "sun")
    assert sent(*history) == [INPUT, CALL, "sun", CALL, "rain"]


def test_results_follow_in_the_order_of_their_calls():
    assert sent(USER, calls("a", "b"), result("b", "rain"), result("a", "sun")) == [INPUT, CALL, CALL, "sun", "rain"]


def test_a_result_without_its_call_becomes_a_text():
    (entry,) = entries_of([result("gone", "sunny")])
    assert entry["role"] == "user"
    assert "no longer part of this conversation:\nsunny" in str(entry["content"])


def test_a_history_that_is_in_order_is_not_copied():
    history = [USER, calls("abcdefghi"), result("abcdefghi"), MORE]
    assert [one is other for one, other in zip(arranged(history), history, strict=True)] == [True] * 4


@pytest.mark.parametrize("given", ["", None, "call_123e4567-e89b-12d3", "ABCDEFGHI"])
def test_ids_of_other_providers_become_nine_letters_and_digits(given):
    call, answer = entries_of([USER, calls(given), result(given or "")])[1:]
    assert call["tool_call_id"] == answer["tool_call_id"]
    assert len(call["tool_call_id"]) == 9
    assert given != "ABCDEFGHI" or call["tool_call_id"] == given


def test_calls_without_ids_stay_apart():
    entries = entries_of([USER, calls("", ""), result("", "one"), result("", "two")])[1:]
    assert [entry.get("result") for entry in entries] == [None, None, "one", "two"]
    assert len({entry["tool_call_id"] for entry in entries}) == 2


ids = st.sampled_from(["a", "b", "", "abcdefghi", "call_1"])
message = st.one_of(
    st.just(USER),
    st.just(AIMessage("Fine.")),
    st.lists(ids, min_size=1, max_size=3).map(lambda given: calls(*given)),
    st.builds(result, ids, st.sampled_from(["sun", "rain"])),
)


@given(st.lists(message, max_size=8))
def test_mistrals_validators_take_any_history(history):
    whole = [USER, *history]
    answered = [
        *whole,
        *(result(call["id"] or "") for one in whole if isinstance(one, AIMessage) for call in one.tool_calls),
        MORE,
    ]
    body = {"inputs": entries_of(answered)}
    check_request("/v1/conversations", body)


@given(st.lists(message, max_size=6), st.lists(message, max_size=3))
def test_the_beginning_of_a_history_is_arranged_as_it_was_alone(history, later):
    """Or else an answer to it would not be recognised; a further result of an old call changes the history."""
    begun = [USER, *history, AIMessage("Fine.")]
    known = {one.tool_call_id for one in begun if isinstance(one, ToolMessage)}
    later = [one for one in later if not isinstance(one, ToolMessage) or one.tool_call_id not in known]
    open_ids = {call["id"] for one in begun if isinstance(one, AIMessage) for call in one.tool_calls} - known
    later = [one for one in later if not isinstance(one, ToolMessage) or one.tool_call_id not in open_ids]
    alone = arranged(begun)
    assert list(arranged([*begun, *later]))[: len(alone)] == list(alone)


def test_the_validators_notice():
    tool = {"role": "tool", "tool_call_id": "abcdefghi", "content": "x"}
    with pytest.raises(MistralCommonException):
        check_messages([{"role": "user", "content": "x"}, tool], [])


def test_a_turn_is_arranged():
    turn, _ = prepare(SETTINGS, [USER, calls("a"), MORE, result("a")], {})
    assert [entry["type"] for entry in turn.inputs.entries] == [INPUT, CALL, "function.result", INPUT]
