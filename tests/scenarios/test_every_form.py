"""One answer in every form LangChain can give it: whole or streamed, v0 or v1, as messages or as events."""

from __future__ import annotations

import asyncio
import functools

import pytest
from answers import ANSWERS
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import message_chunk_to_message

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen.sandbox import Behavior

# Whatever cannot come from the real server as entries: its streams of malformed JSON are cut in other places.
NAMES = sorted(set(ANSWERS) - {"malformed call"})


def merged(chunks):
    return message_chunk_to_message(functools.reduce(lambda left, right: left + right, chunks))


async def of_events(model, version):
    ends = [e async for e in model.astream_events("x", version=version) if e["event"] == "on_chat_model_end"]
    return ends[0]["data"]["output"]


def of_events_v3(model):
    stream = model.stream_events("x", version="v3")
    return stream.output


async def of_async_events_v3(model):
    stream = await model.astream_events("x", version="v3")
    return await stream.output


@pytest.fixture
def answering(sandbox, make_model):
    """Makes models that answer with given entries."""

    def make(name, **settings):
        sandbox.behavior = Behavior(outputs=[entry for entry, _ in ANSWERS[name]])
        return make_model(**settings)

    return make


@pytest.mark.filterwarnings("ignore:astream_events version='v1' is deprecated")
@pytest.mark.parametrize("name", NAMES)
async def test_all_forms_hold_the_same_blocks(name, answering):
    model, standard = answering(name), answering(name, output_version="v1")
    expected = model.invoke("x")
    forms = {
        "async": await model.ainvoke("x"),
        "stream": merged(model.stream("x")),
        "async stream": merged([chunk async for chunk in model.astream("x")]),
        "v1": standard.invoke("x"),
        "v1 stream": merged(standard.stream("x")),
        "v1 async stream": merged([chunk async for chunk in standard.astream("x")]),
        "events v1": await of_events(model, "v1"),
        "events v2": await of_events(model, "v2"),
        "events v2 of v1": await of_events(standard, "v2"),
        "events v3": of_events_v3(model),
        "async events v3": await of_async_events_v3(model),
        "events v3 of v1": of_events_v3(standard),
    }
    for form, answer in forms.items():
        assert shown(answer) == shown(expected), form
        own = {name: answer.response_metadata[name] for name in ("conversation_id", "created_at")}
        assert images_of(answer) == [{**ref, **own} for ref in images_of(expected)]


def shown(answer):
    """Return all that must not depend on the form; each answer has a conversation of its own."""
    varying = {"conversation_id", "created_at", "output_version", "quotas"}  # streams do not report quotas
    metadata = {name: value for name, value in answer.response_metadata.items() if name not in varying}
    return [without_place(block) for block in answer.content_blocks], answer.tool_calls, answer.usage_metadata, metadata


def without_place(block):
    # The event stream numbers blocks anew; their order is what counts.
    return {name: value for name, value in block.items() if name != "index"}


@pytest.mark.parametrize("name", NAMES)
def test_the_event_stream_is_valid(name, answering):
    from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream

    events = list(answering(name).stream_events("x", version="v3"))
    assert_valid_event_stream(events)


async def test_progress_is_seen_while_it_draws(face, model, sandbox):
    """A chunk when the tool starts, pieces of the prompt as they are written, one when it is done."""
    chunks = await face.chunks(model, "Generate an orange cat in an office.")
    parts = [block for chunk in chunks for block in chunk.content_blocks]
    started = next(place for place, part in enumerate(parts) if part.get("name") == "image_generation")
    assert parts[started]["type"] == "server_tool_call_chunk"
    done = next(place for place, part in enumerate(parts) if part["type"] == "server_tool_result")
    prompt = "".join(part["args"] for part in parts[started:done])
    assert prompt == '{"prompt": "an orange cat in an office"}'
    assert done - started > 3
    assert not any(chunk.tool_calls or chunk.tool_call_chunks for chunk in chunks)


@pytest.mark.slow
async def test_the_first_chunk_comes_before_the_image_is_done(model, sandbox):
    sandbox.behave(Behavior(pace=0.05))
    now, prompt = asyncio.get_running_loop().time, "Generate an orange cat in an office."
    arrivals = [(now(), chunk) async for chunk in model.astream(prompt)]
    (started, first), (ended, _) = arrivals[0], arrivals[-1]
    assert [block["type"] for block in first.content_blocks] == ["server_tool_call_chunk"]
    assert ended - started > 0.5


async def test_usage_is_counted_by_langchains_handler(face, model):
    handler = UsageMetadataCallbackHandler()
    await face.call(model, "invoke", "Generate an orange cat.", {"callbacks": [handler]})
    await face.streamed(model, "Generate an orange cat.", config={"callbacks": [handler]})
    (usage,) = handler.usage_metadata.values()
    assert usage["input_token_details"] == {"connector": 2 * 69}
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]


@pytest.mark.slow
@pytest.mark.parametrize("first", ["langchain_mistralai", "langchain_mistral_imagegen"])
def test_the_import_order_beside_langchain_mistralai_does_not_matter(first):
    import subprocess
    import sys

    second = "langchain_mistralai" if first == "langchain_mistral_imagegen" else "langchain_mistral_imagegen"
    code = f"""
import {first}, {second}
from langchain_mistral_imagegen import ChatMistralConversations
from langchain_mistralai import ChatMistralAI
from langchain_core.messages import AIMessage
for provider in ("mistralai", "mistralai_conversations"):
    block = {{"type": "tool_file", "tool": "image_generation", "file_id": "f"}}
    print(AIMessage([block], response_metadata={{"model_provider": provider}}).content_blocks[0]["type"])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["non_standard", "image"]
