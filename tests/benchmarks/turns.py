"""Turns and streams: the CPU time that a client spends on them."""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_mistralai import ChatMistralAI
from langchain_openai import ChatOpenAI
from measure import Row, interleaved, medians, ratio
from mistralai.client import Mistral
from server import Address

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore
from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen._messages.answers import to_message
from langchain_mistral_imagegen._protocol.entries import ConversationResponse

PROMPT = "Generate an orange cat in an office."
TOOLS: Any = [{"type": "image_generation"}]
BODY = {"model": "mistral-medium-latest", "inputs": PROMPT, "tools": TOOLS, "store": True, "stream": False}


def ours(url: str) -> ChatMistralConversations:
    return ChatMistralConversations(base_url=url, api_key="k")


def one_turn(server: Address, rounds: int, calls: int) -> Iterator[Row]:
    url = server.url()
    model, openai, mistralai = ours(url), _openai(url), _mistralai(url)
    with httpx.Client() as http, Mistral(api_key="k", server_url=url) as sdk:
        conversations = sdk.beta.conversations
        clients: dict[str, Callable[[], object]] = {
            "httpx + json": lambda: http.post(f"{url}/v1/conversations", json=BODY, headers=_KEY).json()["outputs"],
            "ours": lambda: model.invoke(PROMPT),
            "mistralai SDK": lambda: conversations.start(model="mistral-medium-latest", inputs=PROMPT, tools=TOOLS),
            "langchain-mistralai": lambda: mistralai.invoke(PROMPT),
            "langchain-openai": lambda: openai.invoke(PROMPT),
        }
        times = interleaved({name: _repeated(call, calls) for name, call in clients.items()}, rounds)
    details = {"medians": medians(times, 1e6 / calls), "each": "µs of CPU"}
    yield Row(
        what="`invoke`, to langchain-mistralai",
        target=1.1,
        measured=ratio(times, "ours", "langchain-mistralai"),
        **details,
    )
    yield Row(what="`invoke`, to httpx + json", target=2.0, measured=ratio(times, "ours", "httpx + json"), **details)
    yield Row(
        what="`invoke`, SDK to ours", target=8, at_least=True, measured=ratio(times, "mistralai SDK", "ours"), **details
    )


def paid_once(server: Address, rounds: int, calls: int) -> Iterator[Row]:
    """Compare turns by the clock: what is written to the disk first is mostly waited for."""
    model, numbers = ours(server.url()), itertools.count()
    with tempfile.TemporaryDirectory() as folder:
        store = FsspecImageStore(folder)

        def recorded() -> None:
            with paying_once(PayOnce(store=store, name=str(next(numbers)))):
                model.invoke(PROMPT)

        clients = {"recorded": recorded, "not recorded": lambda: model.invoke(PROMPT)}
        work = {name: _repeated(call, calls) for name, call in clients.items()}
        times = interleaved(work, rounds, time.perf_counter)
    yield Row(
        what="a turn that is recorded and synced, to one that is not",
        target=5,
        measured=ratio(times, "recorded", "not recorded"),
        medians=medians(times, 1e3 / calls),
        each="ms",
    )


def stream_events(server: Address, rounds: int, few: int, many: int) -> Iterator[Row]:
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client())

        def bare(events: int, at_once: int = 1) -> Callable[[], object]:
            url = f"{server.url(events=events, at_once=at_once)}/v1/conversations"
            return lambda: _exhausted(_bare_stream(http, url), events)

        def own(events: int, at_once: int = 1) -> Callable[[], object]:
            model = ours(server.url(events=events, at_once=at_once))
            return lambda: _exhausted(model.stream(PROMPT), events)

        url = server.url(events=few)
        sdk = stack.enter_context(Mistral(api_key="k", server_url=url)).beta.conversations
        openai, mistralai = _openai(url), _mistralai(url)
        times = interleaved(
            {
                "httpx + json": bare(few),
                "ours": own(few),
                "httpx + json, 50 events at once": bare(few, 50),
                "ours, 50 events at once": own(few, 50),
                "mistralai SDK": lambda: _sdk_stream(sdk, few),
                "langchain-mistralai": lambda: _exhausted(mistralai.stream(PROMPT), few),
                "langchain-openai": lambda: _exhausted(openai.stream(PROMPT), few),
            },
            rounds,
        )
        growth = interleaved({"few": own(few), "many": own(many)}, rounds)
    details = {"medians": medians(times, 1e6 / few), "each": "µs of CPU for an event"}
    yield Row(
        what="stream event, to langchain-mistralai",
        target=1.25,
        measured=ratio(times, "ours", "langchain-mistralai"),
        **details,
    )
    yield Row(what="stream event, to SSE + json", target=4, measured=ratio(times, "ours", "httpx + json"), **details)
    yield Row(
        what="stream event, SDK to ours",
        target=8,
        at_least=True,
        measured=ratio(times, "mistralai SDK", "ours"),
        **details,
    )
    yield Row(
        what=f"stream event, of {many:,} to of {few:,}",
        target=1.15,
        measured=ratio(growth, "many", "few") * few / many,
        medians={f"{few:,}": medians(growth, 1e6 / few)["few"], f"{many:,}": medians(growth, 1e6 / many)["many"]},
        each="µs of CPU for an event",
    )


def turns_at_once(server: Address, rounds: int, count: int) -> Iterator[Row]:
    url = server.url(latency=0.2)
    model, openai, mistralai = ours(url), _openai(url), _mistralai(url)
    with asyncio.Runner() as runner:
        http = httpx.AsyncClient(timeout=60)
        sdk = Mistral(api_key="k", server_url=url).beta.conversations

        async def bare() -> object:
            return (await http.post(f"{url}/v1/conversations", json=BODY, headers=_KEY)).json()["outputs"]

        calls: dict[str, Callable[[], Any]] = {
            "httpx + json": bare,
            "ours": lambda: model.ainvoke(PROMPT),
            "mistralai SDK": lambda: sdk.start_async(model="mistral-medium-latest", inputs=PROMPT, tools=TOOLS),
            "langchain-mistralai": lambda: mistralai.ainvoke(PROMPT),
            "langchain-openai": lambda: openai.ainvoke(PROMPT),
        }
        times = interleaved({name: _at_once(runner, call, count) for name, call in calls.items()}, rounds)
        runner.run(http.aclose())
        runner.run(model.aclose())
    details = {"medians": medians(times, 1e6 / count), "each": "µs of CPU for a turn"}
    yield Row(
        what=f"{count} `ainvoke` at once, to langchain-mistralai",
        target=0.4,
        measured=ratio(times, "ours", "langchain-mistralai"),
        **details,
    )
    yield Row(
        what=f"{count} `ainvoke` at once, to async httpx + json",
        target=1.6,
        measured=ratio(times, "ours", "httpx + json"),
        **details,
    )


def long_histories(rounds: int, calls: int, lengths: tuple[int, ...]) -> Iterator[Row]:
    """Prepare a turn after many answers, as the model does before it sends anything."""
    model = ours("http://127.0.0.1:9")

    def history(count: int) -> list[BaseMessage]:
        messages: list[BaseMessage] = []
        for number in range(count):
            messages.append(HumanMessage(f"{PROMPT} Number {number}."))
            _, context = model._prepare(messages, {})
            messages.append(to_message(_answer(number), context))
        return [*messages, HumanMessage("Make it blue.")]

    histories = {f"{count} answers": history(count) for count in lengths}
    works = {
        name: _repeated(lambda of=of: model._prepare(of, {})[0].continues, calls) for name, of in histories.items()
    }
    times = medians(interleaved(works, rounds), 1e3 / calls)
    most = f"{lengths[-1]} answers"
    yield Row(
        what=f"preparing a turn after {most}",
        target=0.5,
        unit="ms",
        measured=times[most],
        medians=times,
        each="ms of CPU for a turn",
    )


def _answer(number: int) -> ConversationResponse:
    tool = {
        "type": "tool.execution",
        "id": f"t{number}",
        "name": "image_generation",
        "arguments": '{"prompt": "a cat"}',
    }
    file = {"type": "tool_file", "tool": "image_generation", "file_id": f"f{number}", "file_type": "png"}
    text = {"type": "text", "text": f"Here is cat {number}, in an office."}
    outputs = [{**tool, "info": {}}, {"type": "message.output", "id": f"m{number}", "content": [text, file]}]
    return ConversationResponse.model_validate({"conversation_id": "c", "outputs": outputs})


_KEY = {"authorization": "Bearer k"}


def _openai(url: str) -> ChatOpenAI:
    return ChatOpenAI(model="gpt", base_url=f"{url}/v1", api_key="k", use_responses_api=True)  # type: ignore[arg-type]


def _mistralai(url: str) -> ChatMistralAI:
    return ChatMistralAI(endpoint=f"{url}/v1", api_key="k")  # type: ignore[call-arg,arg-type]


def _repeated(call: Callable[[], object], calls: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(calls):
            call()

    return work


def _at_once(runner: asyncio.Runner, call: Callable[[], Any], count: int) -> Callable[[], object]:
    async def gathered() -> object:
        return await asyncio.gather(*(call() for _ in range(count)))

    return lambda: runner.run(gathered())


def _bare_stream(http: httpx.Client, url: str) -> Iterator[str]:
    with http.stream("POST", url, json={**BODY, "stream": True}, headers=_KEY) as response:
        for line in response.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                yield event.get("content", "")


def _sdk_stream(sdk: Any, events: int) -> None:
    with sdk.start_stream(model="mistral-medium-latest", inputs=PROMPT, tools=TOOLS) as stream:
        _exhausted(stream, events)


def _exhausted(items: Iterable[Any], events: int) -> None:
    assert sum(1 for _ in items) >= events
