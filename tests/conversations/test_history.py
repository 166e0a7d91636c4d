"""Conversations that Mistral has kept, read by a model that did not hold them."""

from __future__ import annotations

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_mistral_imagegen import confirm, images_of, pending_calls
from langchain_mistral_imagegen._conversations.history import messages_of
from langchain_mistral_imagegen._messages import inputs
from langchain_mistral_imagegen._protocol.requests import Response
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen.errors import NotFoundError
from langchain_mistral_imagegen.sandbox import Behavior

CAT, BLUE, RED = map(HumanMessage, ["Draw a cat.", "Make it blue.", "Make it red."])
CONFIRMED = [
    {"type": "image_generation", "tool_configuration": {"requires_confirmation": ["generate_image", "edit_image"]}}
]


def id_of(answer: AIMessage) -> str:
    return answer.response_metadata["conversation_id"]


async def held(face, model, *inputs) -> list:
    """Hold a conversation and return its messages."""
    messages: list = []
    for message in inputs:
        messages += [message] if isinstance(message, SystemMessage) else [message, None]
        if messages[-1] is None:
            messages[-1] = await face.call(model, "invoke", messages[:-1])
    return messages


def known(message) -> tuple:
    """Return what two messages have in common that mean the same; what an answer used is not kept."""
    facts = {
        name: message.response_metadata.get(name) for name in ("conversation_id", "head", "fingerprint", "entry_ids")
    }
    return type(message), message.content, facts


def asked(sandbox, since: int) -> list[str]:
    return [request.path.rpartition("/")[2] for request in sandbox.requests[since:] if request.method == "POST"]


@pytest.mark.parametrize("system", [[], [SystemMessage("Be short.")]])
@pytest.mark.parametrize("instructions", [None, "Be kind."])
async def test_messages_come_back_as_they_were(face, make_model, system, instructions):
    messages = await held(face, make_model(instructions=instructions), *system, CAT, BLUE)
    found = await face.call(make_model(instructions=instructions), "messages", id_of(messages[-1]))
    assert list(map(known, found)) == list(map(known, messages))
    assert found[-1].usage_metadata is None


async def test_its_images_can_be_fetched(face, make_model):
    messages = await held(face, make_model(), CAT, BLUE)
    model = make_model()
    found = await face.call(model, "messages", id_of(messages[-1]))
    assert images_of(found) == images_of(messages)
    (image,) = await face.call(model, "images", found[1])
    assert image.width == 1024


async def test_signed_urls_stay_out_of_messages_and_can_be_used(face, make_model, sandbox):
    sandbox.behave(Behavior(shape="url"))
    (_, answer) = await held(face, make_model(), CAT)
    model = make_model()
    found = await face.call(model, "messages", id_of(answer))
    assert "sig=" not in repr(found)
    assert len(await face.call(model, "images", found[-1])) == 1


async def test_a_conversation_is_gone_on_with(face, make_model, sandbox):
    messages = await held(face, make_model(), CAT)
    model, since = make_model(), len(sandbox.requests)
    found = await face.call(model, "messages", id_of(messages[-1]))
    answer = await face.call(model, "invoke", [*found, BLUE])
    assert asked(sandbox, since) == [id_of(messages[-1])]
    assert answer.text.startswith("Here is your image: a cat, blue")


async def test_an_earlier_answer_is_gone_on_with_in_a_copy(face, make_model, sandbox):
    messages = await held(face, make_model(), CAT, BLUE)
    model, since = make_model(), len(sandbox.requests)
    found = await face.call(model, "messages", id_of(messages[-1]))
    answer = await face.call(model, "invoke", [*found[:2], RED])
    assert asked(sandbox, since) == ["restart"]
    assert answer.text.startswith("Here is your image: a cat, red")


@pytest.mark.parametrize(
    ("settings", "system"),
    [
        ({"model": "mistral-small-latest"}, None),
        ({"tools": []}, None),
        ({"instructions": "Be"}, "Be kind."),
        ({"instructions": "Be kind. And brief."}, "Be kind."),
    ],
)
async def test_a_model_with_other_settings_starts_anew_with_the_same_messages(
    face, make_model, sandbox, settings, system
):
    messages = await held(face, make_model(instructions="Be kind."), CAT)
    model, since = make_model(**{"instructions": "Be kind.", **settings}), len(sandbox.requests)
    found = await face.call(model, "messages", id_of(messages[-1]))
    assert [message.text for message in found if isinstance(message, SystemMessage)] == ([system] if system else [])
    await face.call(model, "invoke", [*found, BLUE])
    assert asked(sandbox, since) == ["conversations"]


async def test_the_instructions_of_others_are_a_system_message(face, make_model, sandbox):
    messages = await held(face, make_model(instructions="Be kind."), CAT)
    model, since = make_model(), len(sandbox.requests)
    system, *found = await face.call(model, "messages", id_of(messages[-1]))
    assert (type(system), system.text) == (SystemMessage, "Be kind.")
    await face.call(model, "invoke", [system, *found, BLUE])
    assert asked(sandbox, since) == [id_of(messages[-1])]


async def test_an_agents_conversation_is_gone_on_with_by_the_agent_alone(face, make_model, sandbox):
    agent = make_model(await face.call(make_model(), "ensure_agent", "Painter"))
    other = make_model(await face.call(make_model(temperature=0.1), "ensure_agent", "Drawer"))
    (_, answer) = await held(face, agent, CAT)
    for model, way in (
        (make_model(agent_id=agent.agent_id), id_of(answer)),
        (make_model(agent_id=other.agent_id), "conversations"),
        (make_model(), "conversations"),
    ):
        since = len(sandbox.requests)
        found = await face.call(model, "messages", id_of(answer))
        await face.call(model, "invoke", [*found, BLUE])
        assert asked(sandbox, since) == [way]


def test_of_an_agents_versions_the_same_goes_on(make_model):
    entries = [
        {"type": "message.input", "id": "i", "role": "user", "content": "Draw a cat."},
        {"type": "message.output", "id": "o", "content": "No."},
    ]
    for version, goes_on in ((None, True), (1, True), ("1", True), (2, False)):
        model = make_model(agent_id="ag_1", agent_version=version)
        found = read(model, entries, agent_id="ag_1", agent_version=1)
        assert bool(model._prepare([*found, BLUE], {})[0].continues) is goes_on


async def test_calls_of_functions_and_their_results_come_back(face, make_model):
    def weather(city: str) -> str:
        """Return the weather."""
        return city

    model = make_model().bind_tools([weather])
    question = HumanMessage("What is the weather in Paris?")
    calling = await face.call(model, "invoke", [question])
    result = ToolMessage("sunny", tool_call_id=calling.tool_calls[0]["id"])
    answer = await face.call(model, "invoke", [question, calling, result])
    found = await face.call(make_model(), "messages", id_of(answer))
    assert [type(message) for message in found] == [HumanMessage, AIMessage, ToolMessage, AIMessage]
    assert found[1].tool_calls == calling.tool_calls
    assert (found[2].content, found[2].tool_call_id) == ("sunny", result.tool_call_id)
    assert found[3].text == answer.text


async def test_a_call_that_waits_can_be_confirmed_later(face, make_model, sandbox):
    waiting = await face.call(make_model(tools=CONFIRMED), "invoke", [CAT])
    later = make_model(tools=CONFIRMED)
    found = await face.call(later, "messages", id_of(waiting))
    assert pending_calls(found[-1]) == pending_calls(waiting)
    answer = await face.call(later, "invoke", [*found, confirm(found[-1], allow=True)])
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)


async def test_images_and_documents_that_were_shown_come_back(face, make_model, sandbox):
    blocks = [
        {"type": "text", "text": "What is it?"},
        {"type": "image", "url": "https://example.com/a.png"},
        {"type": "file", "url": "https://example.com/a.pdf"},
    ]
    answer = await face.call(make_model(), "invoke", [HumanMessage(blocks)])
    model, since = make_model(), len(sandbox.requests)
    found = await face.call(model, "messages", id_of(answer))
    assert [block["type"] for block in found[0].content] == ["text", "image_url", "document_url"]
    await face.call(model, "invoke", [*found, RED])
    assert asked(sandbox, since) == [id_of(answer)]


async def test_a_conversation_that_is_not_there_is_an_error(face, make_model):
    with pytest.raises(NotFoundError):
        await face.call(make_model(), "messages", "conv_none")


def read(model, entries: list, **facts) -> list:
    """Read a conversation with these entries."""
    flow = messages_of("conv_1", model._turn_settings({}), SignedUrls())
    next(flow)
    bodies = [
        {"id": "conv_1", "model": model.model, "tools": model.tools, **facts},
        {"conversation_id": "conv_1", "entries": entries},
    ]
    with pytest.raises(StopIteration) as returned:
        for body in bodies:
            flow.send(Response(status=200, headers={}, content=json.dumps(body).encode()))
    return returned.value.value


def test_what_is_unknown_is_kept_and_keeps_from_going_on(make_model):
    hologram = {"type": "hologram", "beams": [1]}
    entries = [
        {"type": "message.input", "id": "i", "role": "user", "content": [hologram]},
        {"type": "dream.sequence", "id": "d"},
        {"type": "message.output", "id": "o", "content": "Yes."},
    ]
    sent, answer = read(make_model(), entries)
    assert sent.content == [{"type": "non_standard", "value": hologram}]
    assert [block["type"] for block in answer.content] == ["non_standard", "text"]
    with pytest.raises(ValueError, match="hologram"):
        make_model()._prepare([sent, answer, CAT], {})


def test_a_conversation_may_begin_with_an_answer_and_hold_replayed_ones(make_model):
    entries = [
        {"type": "message.output", "id": "o", "content": "Hello."},
        {"type": "message.input", "id": "i", "role": "assistant", "content": "I said so."},
        {"type": "message.input", "id": "j", "role": "user", "content": "Did you?"},
    ]
    assert [(type(one), one.text) for one in read(make_model(), entries)] == [
        (AIMessage, "Hello."),
        (AIMessage, "I said so."),
        (HumanMessage, "Did you?"),
    ]


def test_tools_are_the_same_if_the_server_adds_what_is_not_set(make_model):
    model = make_model()
    entries = [
        {"type": "message.input", "id": "i", "role": "user", "content": "Draw a cat."},
        {"type": "message.output", "id": "o", "content": "No."},
    ]
    for tools in (model.tools, [{**tool, "tool_configuration": None} for tool in model.tools]):
        assert model._prepare([*read(model, entries, tools=tools), BLUE], {})[0].continues
    other = [{**tool, "tool_configuration": {"exclude": ["x"]}} for tool in model.tools]
    assert not model._prepare([*read(model, entries, tools=other), BLUE], {})[0].continues


def test_reading_a_long_conversation_is_linear(make_model, monkeypatch):
    """Counts the bytes that are digested, which once grew with the square of the exchanges."""

    def digested(exchanges: int) -> int:
        sizes = []
        monkeypatch.setattr(inputs, "canonical", lambda value: sizes.append(len(canonical(value))) or canonical(value))
        messages = read(make_model(), [entry for place in range(exchanges) for entry in exchange(place)])
        assert len(messages) == 2 * exchanges
        assert len({message.response_metadata["fingerprint"] for message in messages[1::2]}) == exchanges
        return sum(sizes)

    canonical = inputs.canonical
    assert digested(500) < 11 * digested(50)


def exchange(place: int) -> list:
    return [
        {"type": "message.input", "id": f"i{place}", "role": "user", "content": f"Draw cat {place}."},
        {"type": "message.output", "id": f"o{place}", "content": f"No. {place}"},
    ]


def test_answers_before_something_unknown_can_be_gone_on_with(make_model):
    model = make_model()
    unknown = {"type": "message.input", "id": "u", "role": "user", "content": [{"type": "hologram"}]}
    found = read(model, [*exchange(1), unknown, *exchange(2)[1:]])
    assert model._prepare([*found[:2], BLUE], {})[0].continues
