"""Several workers and one queue in PostgreSQL: a worker is killed, and no image is lost or paid for twice.

Costs six images on the real API. Run: `python cookbook/postgres_workers.py`, after `pip install psycopg[binary]
langgraph-checkpoint-postgres`, with POSTGRES_URI, or after `pip install pgserver`. Workers on several machines must
share an image store, too (MISTRAL_IMAGEGEN_STORE=s3://...): in it is the ledger that keeps them from paying twice.
"""

import multiprocessing
import os
import time
from contextlib import ExitStack

import psycopg
from langgraph.checkpoint.postgres import PostgresSaver
from postgres_or_local import database
from sandbox_or_api import settings

from langchain_mistral_imagegen import ChatMistralConversations, FsspecImageStore, create_image_graph

QUEUE = "CREATE TABLE IF NOT EXISTS image_jobs (thread text PRIMARY KEY, prompt text, done bool DEFAULT false)"
ADD = "INSERT INTO image_jobs VALUES (%s, %s) ON CONFLICT DO NOTHING"
TAKE = "SELECT thread, prompt FROM image_jobs WHERE NOT done ORDER BY thread LIMIT 1 FOR UPDATE SKIP LOCKED"


def fill(uri: str, *animals: str) -> None:
    """Make the tables, and put a prompt for each thread into the queue."""
    with PostgresSaver.from_conn_string(uri) as saver, psycopg.connect(uri) as queue:
        saver.setup()
        queue.execute(QUEUE)
        queue.cursor().executemany(ADD, [(animal, f"Draw a {animal}.") for animal in animals])


def work(uri: str, model: dict[str, str]) -> None:
    """Draw what is in the queue until it is empty. When a worker dies, PostgreSQL frees its job for the others."""
    with PostgresSaver.from_conn_string(uri) as saver, psycopg.connect(uri) as queue:
        drawing = ChatMistralConversations(timeout=20, answer_within=20, **model)  # seconds a resumed worker may wait
        graph = create_image_graph(drawing).compile(checkpointer=saver)
        while job := queue.execute(TAKE).fetchone():
            thread = {"configurable": {"thread_id": job[0]}}
            is_begun = bool(graph.get_state(thread).values)
            graph.invoke(None if is_begun else {"messages": [("user", job[1])]}, thread, durability="sync")
            queue.execute("UPDATE image_jobs SET done = true WHERE thread = %s", job[:1])
            queue.commit()
            print(f"worker {os.getpid()} {'resumed' if is_begun else 'drew'} {job[0]}", flush=True)


def main() -> None:
    """Fill the queue, start a worker, kill it while it draws, and leave the rest to two others."""
    with ExitStack() as stack:
        uri, model = database(stack), settings(stack)
        fill(uri, "bee", "cat", "dog", "fox", "hen", "owl")
        new = multiprocessing.get_context("spawn").Process
        first, *others = [new(target=work, args=(uri, model)) for _ in range(3)]
        first.start()
        while first.is_alive() and not any(FsspecImageStore().all_keys()):
            time.sleep(0.05)
        first.kill()
        for worker in others:
            worker.start()
        for worker in others:
            worker.join()


if __name__ == "__main__":
    main()
