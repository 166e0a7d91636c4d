"""How a history goes on: decided from values, then against the sandbox, whose history must equal the local one."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from histories import last_way, local, remote
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._conversations.continuation import way_of
from langchain_mistral_imagegen._conversations.turn import ContinuationPoint
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = HumanMessage("Generate an orange cat in an office.")
BLUE, RED = HumanMessage("Make it blue."), HumanMessage("Make it red.")
ANSWER = ContinuationPoint(1, "c", "b")


@pytest.mark.parametrize(
    ("answer", "remote", "is_alone", "way"),
    [
        (None, [], True, "start"),
        (ANSWER, ["a", "b"], True, "append"),
        (ANSWER, ["a", "b"], False, "restart"),
        (ANSWER, ["a", "b", "c"], True, "restart"),
        (ANSWER, ["a"], True, "start"),
        (ANSWER, [], True, "start"),
    ],
)
def test_the_remote_entries_decide(answer, remote, is_alone, way):
    assert way_of(answer, remote, is_alone=is_alone) == way


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def go_on(face, model, sandbox, history) -> tuple[AIMessage, str]:
    """Answer a history, and check that afterwards the remote conversation is the local one."""
    answer = await face.call(model, "invoke", history)
    assert remote(sandbox, answer) == local([*history, answer])
    return answer, last_way(sandbox)


async def test_plain_turns_are_appended(face, model, sandbox):
    history = [CAT]
    for question, expected in [(BLUE, "start"), (RED, "append"), (HumanMessage("Hello"), "append")]:
        answer, way = await go_on(face, model, sandbox, history)
        assert way == expected
        history += [answer, question]
    assert sandbox.requests[-1].json.keys() == {"inputs", "store", "stream"}
    assert answer.response_metadata["conversation_id"] == history[1].response_metadata["conversation_id"]


async def test_a_streamed_answer_is_continued_like_any_other(face, model, sandbox):
    answer = await face.streamed(model, [CAT])
    _, way = await go_on(face, model, sandbox, [CAT, answer, BLUE])
    assert way == "append"


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize(
    "travel",
    [
        lambda message: loads(dumps(message), allowed_objects="messages"),
        lambda message: pickle.loads(pickle.dumps(message)),
        lambda message: JsonPlusSerializer().loads_typed(JsonPlusSerializer().dumps_typed(message)),
    ],
    ids=["dumps", "pickle", "checkpoint"],
)
async def test_a_history_that_travelled_is_continued(face, sandbox, make_model, travel, output_version):
    model = make_model(output_version=output_version).bind_tools([add])
    question = HumanMessage("Use add for 3 and 4.")
    answer = await face.call(model, "invoke", [question])
    history = [question, answer, ToolMessage("7", tool_call_id=answer.tool_calls[0]["id"])]
    second = await face.call(model, "invoke", [travel(message) for message in history])
    assert last_way(sandbox) == "append"
    await face.call(model, "invoke", [travel(message) for message in [*history, second, CAT]])
    assert last_way(sandbox) == "append"


async def test_an_edited_earlier_message_is_replayed(face, model, sandbox):
    answer, _ = await go_on(face, model, sandbox, [CAT])
    edited = HumanMessage("Generate a grey dog in an office.")
    replayed, way = await go_on(face, model, sandbox, [edited, answer, BLUE])
    assert way == "start"
    assert "an orange cat in an office, blue" in replayed.text  # what was drawn before is known


async def test_an_edited_answer_is_replayed_after_the_last_one_that_is_not(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [CAT])
    second, _ = await go_on(face, model, sandbox, [CAT, first, BLUE])
    edited = second.model_copy(update={"content": "Here is something else."})
    _, way = await go_on(face, model, sandbox, [CAT, first, BLUE, edited, RED])
    assert way == "restart"


async def test_removed_messages_restart_from_what_is_left(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [CAT])
    await go_on(face, model, sandbox, [CAT, first, BLUE])
    other, way = await go_on(face, model, sandbox, [CAT, first, RED])
    assert way == "restart"
    assert other.response_metadata["conversation_id"] != first.response_metadata["conversation_id"]
    assert "red" in other.text
    assert "blue" not in other.text


async def test_a_summarised_history_is_replayed(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [CAT])
    second, _ = await go_on(face, model, sandbox, [CAT, first, BLUE])
    _, way = await go_on(face, model, sandbox, [HumanMessage("We talked about cats."), second, RED])
    assert way == "start"


async def test_a_changed_system_prompt_is_replayed(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [SystemMessage("Be kind."), CAT])
    _, way = await go_on(face, model, sandbox, [SystemMessage("Be kind."), CAT, first, BLUE])
    assert way == "append"
    _, way = await go_on(face, model, sandbox, [SystemMessage("Be brief."), CAT, first, BLUE])
    assert way == "start"
    assert sandbox.requests[-1].json["instructions"] == "Be brief."


async def test_a_system_message_in_the_middle_is_an_instruction(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [SystemMessage("Be kind."), CAT])
    _, way = await go_on(face, model, sandbox, [SystemMessage("Be kind."), CAT, first, SystemMessage("Now!"), BLUE])
    assert way == "start"
    assert sandbox.requests[-1].json["instructions"] == "Be kind.\n\nNow!"


async def test_changed_tools_and_another_model_are_replayed(face, model, sandbox, make_model):
    first, _ = await go_on(face, model, sandbox, [CAT])
    _, way = await go_on(face, model.bind_tools([add]), sandbox, [CAT, first, BLUE])
    assert way == "start"
    _, way = await go_on(face, make_model(model="mistral-small-latest"), sandbox, [CAT, first, BLUE])
    assert way == "start"
    answer, way = await go_on(face, model.bind(model="mistral-large-latest"), sandbox, [CAT, first, BLUE])
    assert (way, answer.response_metadata["model_name"]) == ("start", "mistral-large-latest")


async def test_other_settings_go_with_an_append(face, model, sandbox, make_model):
    first, _ = await go_on(face, model, sandbox, [CAT])
    _, way = await go_on(face, make_model(temperature=0.1), sandbox, [CAT, first, BLUE])
    assert (way, sandbox.requests[-1].json["completion_args"]) == ("append", {"temperature": 0.1})


async def test_another_providers_turn_is_sent(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [CAT])
    foreign = AIMessage("It is a nice cat.", response_metadata={"model_provider": "openai"})
    _, way = await go_on(face, model, sandbox, [CAT, first, HumanMessage("Do you like it?"), foreign, BLUE])
    assert way == "append"


async def test_a_forked_thread_keeps_its_branches_apart(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [CAT])
    blue, _ = await go_on(face, model, sandbox, [CAT, first, BLUE])
    red, way = await go_on(face, model, sandbox, [CAT, first, RED])
    assert way == "restart"
    _, way = await go_on(face, model, sandbox, [CAT, first, BLUE, blue, HumanMessage("Add a hat.")])
    assert way == "append"
    _, way = await go_on(face, model, sandbox, [CAT, first, RED, red, HumanMessage("Add a hat.")])
    assert way == "append"


async def test_branches_at_the_same_time_do_not_mix(face, model, sandbox):
    first, _ = await go_on(face, model, sandbox, [CAT])
    sandbox.behave(Behavior(delay=0.3), times=3)
    histories = [[CAT, first, HumanMessage(f"Make it {colour}.")] for colour in ("blue", "red", "green")]
    answers = await face.call(model, "batch", histories)
    for history, answer in zip(histories, answers, strict=True):
        assert remote(sandbox, answer) == local([*history, answer])
    paths = sorted(request.path.rpartition("/")[2] for request in sandbox.requests[-3:])
    assert paths[1:] == ["restart", "restart"]


def test_branches_of_several_streams_do_not_mix(model, sandbox):
    first = model.invoke([CAT])
    streams = [model.stream([CAT, first, question]) for question in (BLUE, RED)]
    merged = [next(stream) for stream in streams]
    for place, stream in enumerate(streams):
        for chunk in stream:
            merged[place] += chunk
    for question, answer in zip((BLUE, RED), merged, strict=True):
        assert remote(sandbox, answer) == local([CAT, first, question, answer])


async def test_a_conversation_that_is_gone_is_replayed_with_a_warning(face, model, sandbox, caplog):
    first, _ = await go_on(face, model, sandbox, [CAT])
    del sandbox.conversations.by_id[first.response_metadata["conversation_id"]]
    _, way = await go_on(face, model, sandbox, [CAT, first, BLUE])
    assert way == "start"
    assert [record.levelname for record in caplog.records if "is gone" in record.message] == ["WARNING"]


async def test_a_restart_that_is_refused_is_replayed(face, model, sandbox, caplog):
    first, _ = await go_on(face, model, sandbox, [CAT])
    await go_on(face, model, sandbox, [CAT, first, BLUE])
    sandbox.behave(Behavior(status=400))
    _, way = await go_on(face, model, sandbox, [CAT, first, RED])
    assert [request.status for request in sandbox.requests[-2:]] == [400, 200]
    assert way == "start"
    assert "cannot be restarted" in caplog.text


async def test_what_is_not_stored_is_replayed(face, sandbox, make_model):
    first = await face.call(make_model(store=False), "invoke", [CAT])
    _, way = await go_on(face, make_model(), sandbox, [CAT, first, BLUE])
    assert way == "start"


async def test_replay_is_always_stateless(face, sandbox, make_model):
    model = make_model(continuation="replay")
    first = await face.call(model, "invoke", "My name is Ada.")
    history = [HumanMessage("My name is Ada."), first, HumanMessage("What is my name?")]
    assert (await face.call(model, "invoke", history)).text == "Your name is Ada."
    assert [request.path for request in sandbox.requests] == ["/v1/conversations"] * 2
    assert sandbox.requests[-1].json["store"] is False


async def test_append_does_not_look(face, sandbox, make_model):
    model = make_model(continuation="append")
    first = await face.call(model, "invoke", [CAT])
    await face.call(model, "invoke", [CAT, first, BLUE])
    assert [request.method for request in sandbox.requests] == ["POST", "POST"]
    assert last_way(sandbox) == "append"
    await face.call(model, "invoke", [HumanMessage("Hi"), first, BLUE])
    assert last_way(sandbox) == "start"


async def test_an_agent_receives_system_messages_as_a_users(face, sandbox, make_model):
    agent = sandbox.agents.create({"model": "m", "name": "Painter", "tools": [{"type": "image_generation"}]})
    model = make_model(agent_id=agent["id"])
    history = [SystemMessage("Be kind."), CAT]
    first = await face.call(model, "invoke", history)
    second = await face.call(model, "invoke", [*history, first, SystemMessage("Now!"), BLUE])
    assert last_way(sandbox) == "append"
    users = [fact[1] for fact in remote(sandbox, second) if fact[0] == "user"]
    assert users == ["Be kind.", CAT.content, "Now!", BLUE.content]
    assert len(images_of(second)) == 1


async def test_a_cached_answer_is_not_continued_twice_in_one_place(face, sandbox, make_model):
    model = make_model(cache=InMemoryCache())
    answers = [await face.call(model, "invoke", [CAT]) for _ in range(2)]
    assert sandbox.paid == 1
    for answer, question, expected in zip(answers, (BLUE, RED), ("append", "restart"), strict=True):
        _, way = await go_on(face, model, sandbox, [CAT, answer, question])
        assert way == expected


def test_a_cache_and_appending_blindly_exclude_each_other(make_model):
    with pytest.raises(ValueError, match="continuation='append' cannot be combined with a cache"):
        make_model(continuation="append", cache=True)


async def test_missing_results_are_reported_before_anything_is_sent(face, model, sandbox):
    bound = model.bind_tools([add])
    question = HumanMessage("Use add for 3 and 4.")
    answer = await face.call(bound, "invoke", [question])
    with pytest.raises(InvalidInputError, match=r"add \(\w{9}\)"):
        await face.call(bound, "invoke", [question, answer, HumanMessage("Well?")])
    assert len(sandbox.requests) == 1


async def test_a_call_with_broken_arguments_does_not_block_the_conversation(face, model, sandbox):
    call = {"type": "function.call", "tool_call_id": "Ab3dE5fG7", "name": "add", "arguments": "not json"}
    sandbox.behave(Behavior(outputs=[call]))
    answer = await face.call(model, "invoke", [CAT])
    assert answer.invalid_tool_calls
    later = await face.call(model, "invoke", [CAT, answer, HumanMessage("Hello")])
    assert last_way(sandbox) == "append"
    assert later.text.startswith("Hello")


@pytest.mark.parametrize("messages", [[], [SystemMessage("")], [AIMessage("")]])
async def test_nothing_to_send_is_an_error(face, model, messages, sandbox):
    with pytest.raises(InvalidInputError, match="no message to send"):
        await face.call(model, "invoke", messages)
    assert sandbox.requests == []


async def blue_and_red_in_the_same_moment(face, sandbox, make_model):
    """Return the history of a process that looked when another had looked, too, and appended when it had appended."""
    model = make_model()
    cat = await face.call(model, "invoke", [CAT])
    blind = make_model(continuation="append")  # as if it had looked before
    await face.call(blind, "invoke", [CAT, cat, RED])
    return [CAT, cat, BLUE, await face.call(blind, "invoke", [CAT, cat, BLUE])]


@pytest.mark.parametrize("how", ["invoke", "stream"])
async def test_what_another_process_appended_in_the_same_moment_is_noticed_at_the_next_turn(
    face, make_model, sandbox, caplog, how
):
    history = await blue_and_red_in_the_same_moment(face, sandbox, make_model)
    assert "mixed_with" not in history[-1].response_metadata  # nothing shows it yet
    (conversation,) = sandbox.conversations.by_id.values()
    (red,) = [entry["id"] for entry in conversation.entries if entry.get("content") == RED.content]
    model = make_model()
    turn = [*history, HumanMessage("Make it small.")]
    answer = await (face.streamed(model, turn) if how == "stream" else face.call(model, "invoke", turn))
    assert answer.response_metadata["mixed_with"] == [red]
    assert answer.response_metadata["conversation_id"] != history[-1].response_metadata["conversation_id"]
    assert "Another process appended to conversation" in caplog.text
    caplog.clear()
    last = await go_on(face, model, sandbox, [*turn, answer, RED])  # the new conversation has nobody else's turns
    assert "mixed_with" not in str(last)
    assert not caplog.records


@pytest.mark.slow
def test_two_processes_that_append_in_the_same_moment_notice_it(sandbox, make_model):
    """The other process is a real one, and its turn arrives between our look and our append."""
    cat = make_model().invoke([CAT])
    other = (
        "import sys; from langchain_mistral_imagegen import ChatMistralConversations as Chat; import json;"
        "from langchain_core.load import loads;"
        "history = loads(sys.stdin.read(), allowed_objects='all');"
        "print(Chat(base_url=sys.argv[1], api_key='k').invoke(history).response_metadata['conversation_id'])"
    )
    looked = []

    class LooksFirst(httpx.HTTPTransport):
        def handle_request(self, request):
            if request.method == "POST" and not looked:
                looked.append(request.url.path)
                command = [sys.executable, "-c", other, sandbox.url]
                text = dumps([CAT, cat, RED])
                subprocess.run(command, input=text, check=True, text=True, capture_output=True, timeout=120)
            return super().handle_request(request)

    with httpx.Client(transport=LooksFirst()) as http:
        blue = make_model(http_client=http).invoke([CAT, cat, BLUE])
    last = make_model().invoke([CAT, cat, BLUE, blue, RED])
    assert looked == [f"/v1/conversations/{cat.response_metadata['conversation_id']}"]
    assert len(last.response_metadata["mixed_with"]) == 1


def test_threads_and_loops_share_the_claims(model, sandbox):
    first = model.invoke([CAT])
    sandbox.behave(Behavior(delay=0.3), times=2)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(model.invoke, [CAT, first, BLUE])
        answers = [asyncio.run(ainvoke(model, [CAT, first, RED])), running.result()]
    assert len({answer.response_metadata["conversation_id"] for answer in answers}) == 2


async def ainvoke(model, history):
    try:
        return await model.ainvoke(history)
    finally:
        await model.aclose()
