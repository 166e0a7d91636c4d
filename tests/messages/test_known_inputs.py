"""Messages are read once, however often a history is prepared, and read anew when they were changed."""

from __future__ import annotations

import copy

import pytest
from crowds import errors_of_threads
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen._conversations.turn import TurnSettings, prepare
from langchain_mistral_imagegen._messages import inputs, known_inputs
from langchain_mistral_imagegen._messages.known_inputs import KnownInputs
from langchain_mistral_imagegen._messages.native_blocks import MODEL_PROVIDER


def answer(number):
    tool = {"type": "tool.execution", "id": f"t{number}", "name": "image_generation", "arguments": "{}", "info": {}}
    blocks = [{**tool, "tool": "image_generation", "status": "success", "index": 0}]
    blocks += [{"type": "text", "text": f"Here is cat {number}.", "index": 1}]
    return AIMessage(blocks, response_metadata={"model_provider": MODEL_PROVIDER})


def history(answers):
    turns = [[HumanMessage(f"Draw cat {number}."), answer(number)] for number in range(answers)]
    return [message for turn in turns for message in turn] + [HumanMessage("Once more.")]


@pytest.fixture
def read_messages(monkeypatch):
    """List the messages that are converted, and not taken from memory."""
    converted = []

    def read(message, **options):
        converted.append(message)
        return inputs.read(message, **options)

    monkeypatch.setattr(known_inputs, "read", read)
    return converted


def test_each_message_is_read_once(read_messages):
    settings = TurnSettings(target={"model": "m"})
    turns = [prepare(settings, history(answers), {})[0] for answers in range(100)]
    assert len(read_messages) == 199  # 99 questions, as many answers, and the last message
    assert turns[-1].inputs.entries == prepare(TurnSettings(target={"model": "m"}), history(99), {})[0].inputs.entries


def test_copies_are_known_and_changes_are_not(read_messages):
    settings = TurnSettings(target={"model": "m"})
    messages = history(2)
    before = prepare(settings, messages, {})[0].fingerprint
    assert prepare(settings, copy.deepcopy(messages), {})[0].fingerprint == before
    assert len(read_messages) == 5
    messages[1].content[1]["text"] = "Here is a dog."
    changed = prepare(settings, messages, {})[0]
    assert changed.fingerprint != before
    assert "Here is a dog." in str(changed.inputs.entries)
    assert len(read_messages) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HumanMessage("a"), SystemMessage("a")),
        (HumanMessage("a"), HumanMessage("a", role="assistant")),
        (ToolMessage("a", tool_call_id="1"), ToolMessage("a", tool_call_id="2")),
        (HumanMessage([{"type": "text", "text": "1"}]), HumanMessage([{"type": "text", "text": "2"}])),
        (AIMessage("", tool_calls=[{"name": "f", "id": "1", "args": {"a": 1}}]),
         AIMessage("", tool_calls=[{"name": "f", "id": "1", "args": {"a": True}}])),
    ],
)  # fmt: skip
def test_messages_that_differ_in_what_is_sent_are_kept_apart(one, other):
    known = KnownInputs()
    read = [known.read(message, system_as_user=False) for message in (one, other, one)]
    assert read[0] != read[1]
    assert read[0] is read[2]


def test_a_system_message_is_read_for_models_and_for_agents():
    known, message = KnownInputs(), SystemMessage("a")
    assert known.read(message, system_as_user=False).instructions == "a"
    assert known.read(message, system_as_user=True).entries


def test_its_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(known_inputs, "_MAX_BYTES", 20_000)
    known = KnownInputs()
    for number in range(100):
        known.read(HumanMessage(f"{number} " + "a" * 1000), system_as_user=False)
    assert 15 < len(known._inputs) < 20
    known.read(HumanMessage("a" * 300_000), system_as_user=False)
    assert 15 < len(known._inputs) < 20


def test_threads_share_it(monkeypatch):
    monkeypatch.setattr(known_inputs, "_MAX_BYTES", 2_000)
    known = KnownInputs()

    def work(start):
        for number in range(2000):
            text = str((start + number) % 70)
            assert known.read(HumanMessage(text), system_as_user=False).entries[0]["content"] == text

    assert errors_of_threads(work, 8) == []
    assert known._size == sum(len(key[2]) for key in known._inputs)
