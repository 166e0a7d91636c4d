"""Programs that pay for one image, and can be killed at each of their crash points; run again, they resume.

A crash point stands before and after whatever outlives the process: a record of the ledger, a request, a stored image,
a checkpoint, and the writes of a task.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.config import get_config
from langgraph.func import entrypoint, task

from langchain_mistral_imagegen import (
    ChatMistralConversations,
    FsspecImageStore,
    MistralImageGenerationTool,
    create_image_graph,
)
from langchain_mistral_imagegen._http import async_client, sync_client
from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen.middleware import PayOnceMiddleware

THREAD: Any = {"configurable": {"thread_id": "1"}}
PROMPT = "Draw a cat."


# --- crash points ---


class Points:
    """Counts crash points, and kills the process at one of them; 0 for none."""

    def __init__(self, deadly: int) -> None:
        self._deadly = deadly
        self._passed = itertools.count(1)

    def reached(self) -> None:
        if next(self._passed) == self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, applies: Callable[..., bool] = lambda *_: True) -> None:
        """Put a point before and after each call of a method."""
        method = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not applies(*args):
                return method(*args, **kwargs)
            self.reached()
            result = method(*args, **kwargs)
            self.reached()
            return result

        async def acall(*args: Any, **kwargs: Any) -> Any:
            if not applies(*args):
                return await method(*args, **kwargs)
            self.reached()
            result = await method(*args, **kwargs)
            self.reached()
            return result

        setattr(owner, name, acall if asyncio.iscoroutinefunction(method) else call)


def install(deadly: int) -> None:
    points = Points(deadly)
    points.around(Ledger, "create")
    points.around(FsspecImageStore, "put")
    points.around(sync_client._Driver, "_send", lambda _, request: request.paid)
    points.around(async_client.AsyncClient, "_send", lambda _, request: request.paid)
    for saver, names in ((SqliteSaver, ("put", "put_writes")), (AsyncSqliteSaver, ("aput", "aput_writes"))):
        for name in names:
            points.around(saver, name)


# --- programs ---


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
    # A request that is really lost is waited for, for a bit more than 5 seconds.
    return ChatMistralConversations(base_url=url, api_key="k", max_retries=0, timeout=5, answer_within=3)


def store_of(folder: Path) -> FsspecImageStore:
    return FsspecImageStore(str(folder / "images"))


def tool_of(url: str, folder: Path) -> MistralImageGenerationTool:
    return MistralImageGenerationTool(model=model_of(url), image_store=store_of(folder))


class SlowSaver(SqliteSaver):
    """Takes 80 ms for a checkpoint, as a database far away does."""

    def put(self, *args: Any) -> Any:
        time.sleep(0.08)
        return super().put(*args)


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


def middleware(url: str, folder: Path) -> None:
    with saver_of(folder) as saver:
        model, store = model_of(url), store_of(folder)
        agent = create_agent(model, middleware=[PayOnceMiddleware(image_store=store)], checkpointer=saver)
        invoke(agent, QUESTION)
        answer = agent.get_state(THREAD).values["messages"][-1]
        model.store_images(images_in(answer), store)


def images_in(answer: Any) -> Any:
    from langchain_mistral_imagegen import images_of

    return images_of(answer)


def node(durability: str) -> Callable[[str, Path], None]:
    def run(url: str, folder: Path) -> None:
        with saver_of(folder, SlowSaver) as saver:
            graph = create_image_graph(model_of(url), image_store=store_of(folder)).compile(checkpointer=saver)
            invoke(graph, QUESTION, durability=durability)

    return run


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


def script(url: str, folder: Path) -> None:
    """A batch that is run again from its beginning, without LangGraph."""
    tool_of(url, folder).generate(PROMPT, key="sku-4711")


CELLS: dict[str, Callable[[str, Path], None]] = {
    "tool in create_agent": tool_in_agent,
    "tool in create_agent, async": tool_in_async_agent,
    "middleware": middleware,
    "node, sync": node("sync"),
    "node, async": node("async"),
    "node, exit": node("exit"),
    "functional, sync": functional("sync"),
    "functional, async": functional("async"),
    "functional, exit": functional("exit"),
    "script with a key": script,
}


def main(cell: str, url: str, folder: str, deadly: int) -> None:
    """Run a program until it ends, or is killed at a crash point."""
    install(deadly)
    CELLS[cell](url, Path(folder))
