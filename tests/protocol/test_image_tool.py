"""The image tool is known by one predicate, over conversations and chat completions, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langchain_mistral_imagegen import images_of
from langchain_mistral_imagegen._messages.answers import AnswerContext, AnswerStream, to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse, read_response
from langchain_mistral_imagegen._protocol.events import read_event
from langchain_mistral_imagegen._protocol.image_tool import tool_name
from langchain_mistral_imagegen._protocol.signed_urls import ImageHosts, RememberedUrls, SignedUrls

URL = "https://images.example/a.jpg?sp=r&sig=SECRET"  # of no known host: only the image tool's are images all the same
RUN = {"type": "tool.execution", "id": "t", "arguments": "{}", "info": {"result": json.dumps({"url": URL})}}
SORTS: list[dict[str, Any]] = [
    {"name": "image_generation"}, {"name": "generate_image"}, {"name": "edit_image"},
    {"name": None, "function": "edit_image"}, {"name": "paint", "metadata": {"tool_type": "image"}},
]  # fmt: skip


def context() -> AnswerContext:
    hosts = ImageHosts(frozenset(), "https://api.mistral.ai")
    return AnswerContext(model="m", urls=SignedUrls(RememberedUrls(hosts)))


def whole(run: Any) -> Any:
    body = {"conversation_id": "c", "outputs": [run]}
    urls = SignedUrls()
    return to_message(
        read_response(ConversationResponse, json.dumps(body).encode()), AnswerContext(model="m", urls=urls)
    )


def streamed(run: Any) -> Any:
    stream = AnswerStream(context())
    named = {name: run[name] for name in ("id", "name", "function", "metadata") if name in run}
    started = {"type": "tool.execution.started", **named, "arguments": "{}"}
    done = {"type": "tool.execution.done", **named, "info": run["info"]}
    ends = {"type": "conversation.response.started", "conversation_id": "c"}, {"type": "conversation.response.done"}
    for event in (ends[0], started, done, ends[1]):
        stream.feed(read_event(json.dumps(event).encode()))
    return stream.message


@pytest.mark.parametrize("read", [whole, streamed])
@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_each_sort_of_image_tool_makes_images(read: Any, sort: Any) -> None:
    message = read({**RUN, **sort})
    assert len(images_of(message)) == 1
    assert "SECRET" not in repr(message)
    (block,) = message.content
    assert (block["name"], block["tool"], block["status"]) == ("image_generation", "image_generation", "success")
    failed = read({**RUN, **sort, "info": {"result": "Tool call timed out. Please try again."}})
    assert failed.content[0]["status"] == "error"


@pytest.mark.parametrize("read", [whole, streamed])
@pytest.mark.parametrize(
    "sort", [{"name": "web_search", "function": "edit_image"}, {"name": "code_interpreter"}], ids=str
)
def test_other_tools_make_none(read: Any, sort: Any) -> None:
    message = read({**RUN, **sort})
    assert (images_of(message), message.content[0]["name"]) == ([], sort["name"])


def test_the_name_of_a_function_is_kept() -> None:
    assert whole({**RUN, "name": "edit_image"}).content[0]["function"] == "edit_image"
    assert tool_name("") == ""
