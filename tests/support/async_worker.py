"""The worker of `cookbook/postgres_workers.py`, asynchronous."""

from __future__ import annotations

import asyncio

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from postgres_workers import TAKE

from langchain_mistral_imagegen import ChatMistralConversations, create_image_graph


def work(uri: str, model: dict[str, str]) -> None:
    asyncio.run(awork(uri, ChatMistralConversations(timeout=10, answer_within=10, **model)))


async def awork(uri: str, model: ChatMistralConversations) -> None:
    connected = psycopg.AsyncConnection.connect(uri)
    async with AsyncPostgresSaver.from_conn_string(uri) as saver, await connected as queue:
        graph = create_image_graph(model).compile(checkpointer=saver)
        while job := await (await queue.execute(TAKE)).fetchone():
            thread = {"configurable": {"thread_id": job[0]}}
            is_begun = bool((await graph.aget_state(thread)).values)
            await graph.ainvoke(None if is_begun else {"messages": [("user", job[1])]}, thread, durability="sync")
            await queue.execute("UPDATE image_jobs SET done = true WHERE thread = %s", job[:1])
            await queue.commit()
            print("resumed" if is_begun else "drew", job[0])
    await model.aclose()
