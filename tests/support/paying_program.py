"""Programs that pay for one image, and can be killed at any time; run again, they resume."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crash_points import install
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_config
from langgraph.func import entrypoint, task
from langgraph.types import Command, interrupt

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    FsspecImageStore,
    MistralImageGenerationTool,
    api,
    create_image_graph,
    images_of,
)
from langchain_mistral_imagegen._cli.main import main as command
from langchain_mistral_imagegen.errors import APITimeoutError, OutcomeUnknownError
from langchain_mistral_imagegen.middleware import PayOnceMiddleware

THREAD: Any = {"configurable": {"thread_id": "1"}}
PROMPT = "Draw a cat."
TRY_AGAIN = os.EX_TEMPFAIL
NOTHING = "No."  # a fallback's answer
# A request that is really lost is waited for, for a bit more than 5 seconds.
SETTINGS: dict[str, Any] = {"max_retries": 0, "timeout": 5, "answer_within": 3}


class Caller(BaseChatModel):
    """A model of another provider that calls the image tool once."""

    @property
    def _llm_type(self) -> str:
        return "caller"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        call = {"name": "generate_image", "args": {"prompt": PROMPT}, "id": str(uuid.uuid4())}
        is_done = isinstance(messages[-1], ToolMessage)
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage("Done.", tool_calls=[] if is_done else [call]))]
        )


def model_of(url: str) -> ChatMistralConversations:
    return ChatMistralConversations(base_url=url, api_key="k", **SETTINGS)


def store_of(folder: Path) -> FsspecImageStore:
    return FsspecImageStore(str(folder / "images"))


def tool_of(url: str, folder: Path) -> MistralImageGenerationTool:
    return MistralImageGenerationTool(model=model_of(url), image_store=store_of(folder))


class SlowSaver(SqliteSaver):
    """Takes 80 ms for a checkpoint, as a database far away does."""

    def put(self, *args: Any) -> Any:
        time.sleep(0.08)
        return super().put(*args)


class SlowAsyncSaver(AsyncSqliteSaver):
    """The same, for `ainvoke`."""

    async def aput(self, *args: Any) -> Any:
        await asyncio.sleep(0.08)
        return await super().aput(*args)


def saver_of(folder: Path, kind: type[SqliteSaver] = SqliteSaver) -> Any:
    return kind.from_conn_string(f"{folder}/checkpoints.db")


def invoke(graph: Any, given: Any, **options: Any) -> None:
    is_begun = graph.checkpointer.get_tuple(THREAD) is not None
    graph.invoke(None if is_begun else given, THREAD, **options)


QUESTION: Any = {"messages": [HumanMessage(PROMPT, id="question")]}


def tool_in_agent(url: str, folder: Path) -> None:
    with saver_of(folder) as saver:
        invoke(create_agent(Caller(), [tool_of(url, folder)], checkpointer=saver), QUESTION)


def tool_in_async_agent(url: str, folder: Path) -> None:
    asyncio.run(_tool_in_async_agent(url, folder))


async def _tool_in_async_agent(url: str, folder: Path) -> None:
    async with AsyncSqliteSaver.from_conn_string(f"{folder}/checkpoints.db") as saver:
        agent = create_agent(Caller(), [tool_of(url, folder)], checkpointer=saver)
        is_begun = await saver.aget_tuple(THREAD) is not None
        await agent.ainvoke(None if is_begun else QUESTION, THREAD)


def tool_in_postgres_agent(url: str, folder: Path) -> None:
    with PostgresSaver.from_conn_string((folder / "postgres").read_text()) as saver:
        invoke(create_agent(Caller(), [tool_of(url, folder)], checkpointer=saver), QUESTION)


def start_over(folder: Path) -> None:
    """Forget an answer of the fallback: on a busy machine a request may not leave in time, so that it rightly answers."""
    for file in folder.glob("checkpoints.db*"):
        file.unlink()
    sys.exit(TRY_AGAIN)


def middleware(*others: Any) -> Callable[[str, Path], None]:
    def run(url: str, folder: Path) -> None:
        model, store = model_of(url), store_of(folder)
        with saver_of(folder) as saver:
            agent = create_agent(model, middleware=[*others, PayOnceMiddleware(image_store=store)], checkpointer=saver)
            invoke(agent, QUESTION)
            answer = agent.get_state(THREAD).values["messages"][-1]
            if answer.text == NOTHING and not model.client.run(api.list_conversations()):
                start_over(folder)
            model.store_images(images_of(answer), store)

    return run


def async_middleware(*others: Any) -> Callable[[str, Path], None]:
    def run(url: str, folder: Path) -> None:
        asyncio.run(_async_middleware(url, folder, others))

    return run


async def _async_middleware(url: str, folder: Path, others: tuple[Any, ...]) -> None:
    model, store = model_of(url), store_of(folder)
    async with AsyncSqliteSaver.from_conn_string(f"{folder}/checkpoints.db") as saver:
        agent = create_agent(model, middleware=[*others, PayOnceMiddleware(image_store=store)], checkpointer=saver)
        is_begun = await saver.aget_tuple(THREAD) is not None
        await agent.ainvoke(None if is_begun else QUESTION, THREAD)
        answer = (await agent.aget_state(THREAD)).values["messages"][-1]
        if answer.text == NOTHING and not await model.async_client.run(api.list_conversations()):
            start_over(folder)
        await model.astore_images(images_of(answer), store)


def node(durability: str) -> Callable[[str, Path], None]:
    def run(url: str, folder: Path) -> None:
        with saver_of(folder, SlowSaver) as saver:
            graph = create_image_graph(model_of(url), image_store=store_of(folder)).compile(checkpointer=saver)
            invoke(graph, QUESTION, durability=durability)

    return run


def awaited_node(url: str, folder: Path) -> None:
    asyncio.run(_awaited_node(url, folder))


async def _awaited_node(url: str, folder: Path) -> None:
    async with SlowAsyncSaver.from_conn_string(f"{folder}/checkpoints.db") as saver:
        graph = create_image_graph(model_of(url), image_store=store_of(folder)).compile(checkpointer=saver)
        is_begun = await saver.aget_tuple(THREAD) is not None
        await graph.ainvoke(None if is_begun else QUESTION, THREAD)


def functional(durability: str) -> Callable[[str, Path], None]:
    def run(url: str, folder: Path) -> None:
        tool = tool_of(url, folder)

        @task
        def draw(prompt: str) -> str:
            call = {"type": "tool_call", "name": tool.name, "args": {"prompt": prompt}, "id": "call"}
            return str(tool.invoke(call, get_config()).content)

        with saver_of(folder, SlowSaver) as saver:

            @entrypoint(checkpointer=saver)
            def work(prompt: str) -> str:
                return draw(prompt).result()

            invoke(work, PROMPT, durability=durability)

    return run


def awaited_functional(url: str, folder: Path) -> None:
    asyncio.run(_awaited_functional(url, folder))


async def _awaited_functional(url: str, folder: Path) -> None:
    tool = tool_of(url, folder)

    @task
    async def draw(prompt: str) -> str:
        call = {"type": "tool_call", "name": tool.name, "args": {"prompt": prompt}, "id": "call"}
        return str((await tool.ainvoke(call, get_config())).content)

    async with SlowAsyncSaver.from_conn_string(f"{folder}/checkpoints.db") as saver:

        @entrypoint(checkpointer=saver)
        async def work(prompt: str) -> str:
            return await draw(prompt)

        is_begun = await saver.aget_tuple(THREAD) is not None
        await work.ainvoke(None if is_begun else PROMPT, THREAD)


def ask(question: str) -> str:
    """Ask a human."""
    return str(interrupt(question))


def graph_with_interrupt(url: str, folder: Path) -> None:
    """One answer calls the image tool and a tool that waits for a human; the sandbox is prepared for it."""
    with saver_of(folder) as saver:
        tools = [tool_of(url, folder), ask]
        model = model_of(url).model_copy(update={"tools": []})
        graph = create_image_graph(model, image_store=store_of(folder), tools=tools).compile(checkpointer=saver)
        if not (saver.get_tuple(THREAD) and graph.get_state(THREAD).interrupts):
            invoke(graph, QUESTION)
        if graph.get_state(THREAD).interrupts:
            graph.invoke(Command(resume="yes"), THREAD)


def calls_of_two_tools() -> list[dict[str, Any]]:
    arguments = {"generate_image": {"prompt": PROMPT}, "ask": {"question": "Is it good?"}}
    return [
        {
            "type": "function.call",
            "id": f"fc_{name}",
            "tool_call_id": f"call{number}0000",
            "name": name,
            "arguments": args,
        }
        for number, (name, args) in enumerate(arguments.items())
    ]


def script(url: str, folder: Path) -> None:
    """A batch that is run again from its beginning, without LangGraph."""
    tool_of(url, folder).generate(PROMPT, key="sku-4711")


def batch(url: str, folder: Path) -> None:
    """The command, in a folder; run again, the key is forgotten at first, so that a sandbox of its own answers."""
    os.chdir(folder)
    if Path("prompts.txt").exists():
        _command({"MISTRAL_API_KEY": "", "MISTRAL_BASE_URL": ""})
    Path("prompts.txt").write_text(PROMPT)
    assert _command({"MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": url}) == 0


def _command(variables: dict[str, str]) -> int:
    os.environ |= variables
    limits = ["--timeout", str(SETTINGS["timeout"]), "--answer-within", str(SETTINGS["answer_within"])]
    return command(["-q", "--from", "prompts.txt", "--resume", "-o", "images", *limits])


FALLBACK = ModelFallbackMiddleware(FakeListChatModel(responses=[NOTHING]))
CELLS: dict[str, Callable[[str, Path], None]] = {
    "tool in create_agent": tool_in_agent,
    "tool in create_agent, async": tool_in_async_agent,
    "tool in create_agent, PostgreSQL": tool_in_postgres_agent,
    "graph with tools and an interrupt": graph_with_interrupt,
    "middleware": middleware(),
    "middleware, async": async_middleware(),
    "middleware in ModelFallbackMiddleware": middleware(FALLBACK),
    "middleware in ModelFallbackMiddleware, async": async_middleware(FALLBACK),
    "node, sync": node("sync"),
    "node, async": node("async"),
    "node, exit": node("exit"),
    "node, awaited": awaited_node,
    "functional, sync": functional("sync"),
    "functional, async": functional("async"),
    "functional, exit": functional("exit"),
    "functional, awaited": awaited_functional,
    "script with a key": script,
    "command, its key forgotten in between": batch,
}


def main(cell: str, url: str, folder: str, deadly: int, settings: dict[str, Any] | None = None) -> None:
    """Run a program until it ends, or is killed at a crash point.

    A model may have other settings; `pause` gives it a `rate_limiter` that lets a request through after so many seconds.

    On a busy machine a request may not leave in the half second that it has here, or its answer be late. Such an error
    ends the program with `TRY_AGAIN`.
    """
    install(deadly)
    SETTINGS.update(settings or {})
    if pause := SETTINGS.pop("pause", 0):
        SETTINGS["rate_limiter"] = InMemoryRateLimiter(requests_per_second=1 / pause)
    THREAD["configurable"]["thread_id"] = Path(folder).name
    try:
        CELLS[cell](url, Path(folder))
    except (APITimeoutError, OutcomeUnknownError):
        sys.exit(TRY_AGAIN)
