"""Many images on two workers, one of which is killed over and over: as many as were wanted are paid for and stored."""

from __future__ import annotations

import asyncio
import json
import secrets
from importlib.metadata import version
from pathlib import Path

import postgres_workers
import psycopg
import pytest
from debian_postgres import find_programs, running_postgres
from engines import RAN, missing, temporal_server
from langgraph_sdk import get_client
from langgraph_server import development_server, environment_of
from many_workers import Crew
from places import stored_images
from temporal_or_local import connected
from temporal_workflow import ApprovedImage

from langchain_mistral_imagegen.sandbox import Behavior, Sandbox

DRAWING = 0.5  # seconds


@pytest.fixture
def many(request):
    return 200 if request.config.getoption("--nightly") else 10


def killing(crew: Crew, sandbox: Sandbox, wanted: int) -> asyncio.Task[None]:
    """Kill a worker each 20 seconds, or for a few images once."""
    kills = crew.kill_each(20) if wanted > 10 else crew.kill_one_of_those(lambda: bool(sandbox.waiting))
    return asyncio.create_task(kills)


def check(sandbox: Sandbox, crew: Crew, wanted: int) -> None:
    assert crew.kills >= 1
    assert (sandbox.paid, len(stored_images(Path("generated_images")))) == (wanted, wanted)


async def test_temporal(sandbox, many):
    sandbox.behavior = Behavior(delay=DRAWING)
    queue, at_once = f"images-{secrets.token_hex(4)}", asyncio.Semaphore(8)
    with temporal_server() as address, Crew("temporal", address, queue, sandbox.url) as crew:
        client = await connected(address)

        async def drawn(number):
            async with at_once:
                options = {"id": f"{queue}-{number}", "task_queue": queue}
                handle = await client.start_workflow(ApprovedImage.run, f"Draw boat {number}.", **options)
                await handle.signal(ApprovedImage.decide, {"approve": True})
                return await handle.result()

        kills = killing(crew, sandbox, many)
        async with asyncio.timeout(90 + 6 * many):
            results = await asyncio.gather(*map(drawn, range(many)))
        kills.cancel()
    assert [ref["status"] for result in results for ref in result.values()] == ["stored"] * many
    check(sandbox, crew, many)


async def test_postgres(sandbox, many):
    sandbox.behavior = Behavior(delay=DRAWING)
    programs = find_programs() or Path(missing("PostgreSQL", "apt-get install postgresql"))
    with running_postgres(programs) as (uri, version), Crew("postgres", uri, "", sandbox.url) as crew:
        RAN["PostgreSQL"] = version
        postgres_workers.fill(uri, *(f"boat {n}" for n in range(many)))
        kills = killing(crew, sandbox, many)
        async with asyncio.timeout(90 + 6 * many):
            while await asyncio.to_thread(left, uri):
                await asyncio.sleep(0.2)
        kills.cancel()
    check(sandbox, crew, many)


def left(uri: str) -> int:
    with psycopg.connect(uri) as queue:
        return queue.execute("SELECT count(*) FROM image_jobs WHERE NOT done").fetchone()[0]


GRAPH = """
from langchain_mistral_imagegen import ChatMistralConversations, create_image_graph

graph = create_image_graph(ChatMistralConversations(streaming=True)).compile()
"""
GRAPHS = {"dependencies": ["."], "graphs": {"images": "./graph.py:graph"}}
FILES = {f".langgraph_{name}.pckl" for name in ("ops", "retry_counter", *(f"checkpoint.{n}" for n in (1, 2, 3)))}


async def test_a_killed_langgraph_server(sandbox, tmp_path):
    """Its development server is one process: four runs at once, killed while it reads their answers, and started again."""
    folder, wanted = tmp_path / "app", 10
    folder.mkdir()
    (folder / "graph.py").write_text(GRAPH)
    (folder / "langgraph.json").write_text(json.dumps(GRAPHS))
    sandbox.behave(Behavior(pace=600), times=4)  # these four are paid for, and do not arrive
    server = (folder, environment_of(sandbox), "--n-jobs-per-worker", "4")
    async with asyncio.timeout(240):
        with development_server(*server) as (url, _):
            async with get_client(url=url) as client:
                threads = [await asked(client, number) for number in range(wanted)]
            while sandbox.paid < 4:
                await asyncio.sleep(0.1)
            before = saved(folder)
            while (
                not (now := saved(folder)).keys() >= FILES or now.items() & before.items()
            ):  # it saves each 10 seconds
                await asyncio.sleep(0.1)
        with development_server(*server) as (url, _):
            async with get_client(url=url) as client:
                while await unfinished(client, threads):
                    await asyncio.sleep(0.2)
                states = [await client.threads.get_state(thread) for thread in threads]
    RAN["LangGraph's development server"] = version("langgraph-api")
    assert [ref["status"] for state in states for ref in state["values"]["images"].values()] == ["stored"] * wanted
    assert (sandbox.paid, len(stored_images(folder / "generated_images"))) == (wanted, wanted)


async def asked(client, number: int) -> str:
    thread = (await client.threads.create())["thread_id"]
    question = {"messages": [{"role": "user", "content": f"Draw boat {number}."}]}
    await client.runs.create(thread, "images", input=question)
    return thread


async def unfinished(client, threads: list[str]) -> bool:
    statuses = {run["status"] for thread in threads for run in await client.runs.list(thread)}
    assert statuses <= {"pending", "running", "success"}
    return statuses != {"success"}


def saved(folder: Path) -> dict[str, int]:
    """Return when each file with the server's state was written; its temporary files come and go."""
    state = folder / ".langgraph_api"
    return {name: (state / name).stat().st_mtime_ns for name in FILES if (state / name).exists()}
