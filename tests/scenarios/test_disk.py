"""Disks that refuse: an error names the image and the place, siblings are stored, nothing is torn or paid twice."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from PIL import Image
from places import SUPPORT

from langchain_mistral_imagegen import (
    FsspecImageStore,
    MistralImageGenerationTool,
    ToolFileNode,
    create_image_graph,
    images_of,
)
from langchain_mistral_imagegen.errors import ImageStoreError
from langchain_mistral_imagegen.sandbox import Behavior

CAT = "Generate an orange cat in an office."
THREAD = {"configurable": {"thread_id": "1"}}
PROGRAM = SUPPORT / "disk_program.py"
_TINY = io.BytesIO()
Image.new("L", (1, 1)).save(_TINY, "JPEG")
TINY = _TINY.getvalue()  # it is still in the file's buffer when the disk is found to be full
LARGE = 200_000  # bytes of an image, more than the small disk has
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")


def mount(*args: str) -> None:
    done = subprocess.run(["mount", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 128 KB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class Disk:
    """A folder for images that can be broken and repaired."""

    def __init__(self, folder: Path, break_it: Callable[[], None], repair: Callable[[], None]) -> None:
        self.folder, self.break_it, self.repair = folder, break_it, repair


def fill(place: Path) -> None:
    with suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def enlarge(place: Path) -> None:
    mount("-o", "remount,size=10m", str(place))


@pytest.fixture(params=["full", "read-only", "a file in the way"])
def disk(request, tmp_path) -> Disk:
    if request.param == "a file in the way":
        folder = tmp_path / "images"
        return Disk(folder, lambda: folder.write_text("in the way"), folder.unlink)
    place = request.getfixturevalue("small_disk")
    if request.param == "full":
        return Disk(place, lambda: fill(place), lambda: enlarge(place))
    return Disk(
        place, lambda: mount("-o", "remount,ro", str(place)), lambda: mount("-o", "remount,rw,size=10m", str(place))
    )


def images(folder: Path) -> dict[str, bool]:
    """Return for each image whether its bytes are what its name claims."""
    found = folder.rglob("*.jpg")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in found}


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".incoming-*"))


@pytest.mark.parametrize("file", [None, TINY], ids=["usual", "tiny"])
async def test_the_node_marks_what_a_disk_refuses_and_stores_it_once_it_is_repaired(face, model, sandbox, disk, file):
    sandbox.behave(Behavior(file_bytes=file))
    answer = model.invoke(CAT)
    node = ToolFileNode(image_store=str(disk.folder), model=model)
    disk.break_it()
    (ref,) = (await face.call(node, "invoke", {"messages": [answer]}))["images"].values()
    assert ref["status"] == "failed"
    assert ref["error"].startswith(f"ImageStoreError: Image {ref['id']!r} cannot be stored in {disk.folder}")
    assert leftovers(disk.folder) == []
    disk.repair()
    state = {"messages": [answer], "images": {ref["id"]: ref}}
    (again,) = (await face.call(node, "invoke", state))["images"].values()
    assert (again["status"], again["attempts"]) == ("stored", 2)
    assert images(disk.folder) == {f"{again['sha256']}.jpg": True}
    assert sandbox.paid == 1


async def test_the_tool_reports_where_the_paid_image_is(face, model, sandbox, disk):
    tool = MistralImageGenerationTool(model=model, image_store=str(disk.folder))
    disk.break_it()
    with pytest.raises(ImageStoreError) as caught:
        await face.call(tool, "generate", "a cat")
    (file_id,), (conversation,) = sandbox.files.by_id, sandbox.conversations.by_id
    assert f"Image {file_id!r} cannot be stored in {disk.folder}" in str(caught.value)
    assert f"still in conversation {conversation!r}" in str(caught.value)
    disk.repair()
    ref = {"id": file_id, "file_id": file_id, "status": "remote"}
    (stored,) = await face.call(model, "store_images", [ref], tool.store)
    assert (stored["status"], sandbox.paid) == ("stored", 1)


async def test_nothing_is_paid_if_the_ledger_cannot_be_kept(face, model, sandbox, disk):
    graph = create_image_graph(model, image_store=str(disk.folder)).compile(checkpointer=InMemorySaver())
    disk.break_it()
    with pytest.raises(ImageStoreError, match=f"{disk.folder} cannot be .*nothing was asked or paid"):
        await face.call(graph, "invoke", {"messages": [HumanMessage(CAT)]}, THREAD)
    assert sandbox.requests == []
    disk.repair()
    state = await face.call(graph, "invoke", None, THREAD)
    assert [ref["status"] for ref in state["images"].values()] == ["stored"]
    assert sandbox.paid == 1


@pytest.mark.parametrize("shape", ["tool_file", "url"])
async def test_a_graph_goes_on_and_the_next_turn_stores_the_rest(face, model, sandbox, small_disk, shape):
    """The disk takes the record, and not the image."""
    graph = create_image_graph(model, image_store=str(small_disk)).compile(checkpointer=InMemorySaver())
    sandbox.behave(Behavior(shape=shape, file_size=LARGE))
    state = await face.call(graph, "invoke", {"messages": [HumanMessage(CAT)]}, THREAD)
    (ref,) = state["images"].values()
    assert "No space left on device" in ref["error"]
    assert leftovers(small_disk) == []
    enlarge(small_disk)
    state = await face.call(graph, "invoke", {"messages": [HumanMessage("Thanks!")]}, THREAD)
    assert [(ref["status"], ref["size_bytes"]) for ref in state["images"].values()] == [("stored", LARGE)]
    assert sandbox.paid == 1


async def test_images_that_fit_are_stored_beside_one_that_does_not(face, model, sandbox, small_disk):
    sandbox.behave(Behavior(images=3))
    answer = model.invoke(CAT)
    node = ToolFileNode(image_store=str(small_disk), model=model, max_concurrency=1)
    refs = list((await face.call(node, "invoke", {"messages": [answer]}))["images"].values())
    assert [ref["status"] for ref in refs] == ["stored", "stored", "failed"]
    assert list(images(small_disk).values()) == [True, True]


async def test_the_artifact_names_an_image_that_could_not_be_stored(face, model, sandbox, tmp_path):
    tool = MistralImageGenerationTool(model=model, image_store=str(tmp_path))
    sandbox.behave(Behavior(images=2))
    sandbox.behave(Behavior(on="download", status=404))
    call = {"type": "tool_call", "name": tool.name, "args": {"prompt": "a cat"}, "id": "1"}
    message = await face.call(tool, "invoke", call)
    failed, stored = sorted(message.artifact["images"], key=lambda ref: ref["status"])
    assert (failed["status"], stored["status"]) == ("failed", "stored")
    assert f"- id {failed['id']}: generated, but not stored (ImageUnavailableError" in message.content
    assert message.content.startswith("Generated 2 image(s)")
    update = await face.call(ToolFileNode(image_store=str(tmp_path), model=model), "invoke", {"messages": [message]})
    assert update["images"][failed["id"]]["status"] == "stored"
    assert sandbox.paid == 2


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_reports_where_the_paid_image_is(sandbox, small_disk, options):
    mount("-o", "remount,size=12m", str(small_disk))  # or the command would refuse it before it pays
    sandbox.behave(Behavior(file_size=13_000_000))
    env = {**os.environ, "MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": sandbox.url}
    command = [sys.executable, "-m", "langchain_mistral_imagegen", *options, "-o", str(small_disk), CAT]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    (file_id,), (conversation,) = sandbox.files.by_id, sandbox.conversations.by_id
    error = json.loads(done.stdout)["error"] if options else done.stderr
    assert f"Image {file_id!r} cannot be stored in {small_disk}" in error
    assert conversation in error
    assert done.returncode == 3
    assert leftovers(small_disk) == []


@pytest.mark.parametrize("gone", ["the folder", "the temporary file"])
async def test_what_is_deleted_in_the_middle_is_fetched_again(face, model, sandbox, tmp_path, gone):
    folder = tmp_path / "images"
    sandbox.behave(Behavior(file_size=400_000))
    answer = model.invoke(CAT)
    sandbox.behave(Behavior(on="download", pace=0.1))
    node = ToolFileNode(image_store=str(folder), model=model)

    def delete() -> None:
        while not leftovers(folder):
            pass
        shutil.rmtree(folder) if gone == "the folder" else leftovers(folder)[0].unlink()

    deleting = asyncio.create_task(asyncio.to_thread(delete))
    running = face.call(node, "invoke", {"messages": [answer]})
    update = await (running if face.is_async else asyncio.to_thread(asyncio.run, running))
    await deleting
    (ref,) = update["images"].values()
    assert ref["status"] == "failed"
    assert f"Image {ref['id']!r} cannot be stored in {folder}" in ref["error"]
    (again,) = (await face.call(node, "invoke", {"messages": [answer]}))["images"].values()
    assert images(folder) == {f"{again['sha256']}.jpg": True}
    assert leftovers(folder) == []


async def test_a_disk_without_hard_links_will_do(face, model, tmp_path, monkeypatch):
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    graph = create_image_graph(model, image_store=str(tmp_path)).compile(checkpointer=InMemorySaver())
    for _ in range(2):
        state = await face.call(graph, "invoke", {"messages": [HumanMessage(CAT)]}, THREAD)
    assert {ref["status"] for ref in state["images"].values()} == {"stored"}
    assert set(images(tmp_path).values()) == {True}
    assert leftovers(tmp_path) == []


def start(sandbox, folder: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), sandbox.url, str(folder), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> list[dict[str, str]]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(output)


@pytest.mark.slow
def test_processes_that_store_the_same_image_at_once_store_it_once(sandbox, tmp_path):
    sandbox.behave(Behavior(on="download", pace=0.2), times=None)
    sandbox.behave(Behavior(file_size=300_000), times=None)
    refs = [ref for process in [start(sandbox, tmp_path, "-") for _ in range(2)] for ref in outcome(process)]
    assert [ref["status"] for ref in refs] == ["stored"] * 2
    assert images(tmp_path) == {f"{refs[0]['sha256']}.jpg": True}
    assert leftovers(tmp_path) == []


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_leaves_nothing(sandbox, tmp_path):
    (ref,) = outcome(start(sandbox, tmp_path, "small files"))
    assert ref["error"].startswith(f"ImageStoreError: Image {ref['id']!r} cannot be stored in {tmp_path}")
    assert "File too large" in ref["error"]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.slow
@needs_root
def test_a_folder_of_somebody_else_is_refused_by_name(sandbox, public):
    (ref,) = outcome(start(sandbox, public, "nobody"))
    assert ref["error"].startswith(f"ImageStoreError: Image {ref['id']!r} cannot be stored in {public}")
    assert "Permission denied" in ref["error"]


@pytest.mark.slow
@needs_root
def test_an_image_that_somebody_else_stored_is_good_enough(sandbox, public):
    (ref,) = outcome(start(sandbox, public, "-"))
    public.chmod(0o777)
    (again,) = outcome(start(sandbox, public, "nobody"))
    assert (again["status"], again["key"]) == ("stored", ref["key"])
    assert FsspecImageStore(str(public)).get(ref["key"])


async def test_references_in_messages_are_all_that_a_failure_needs(face, model, tmp_path):
    """A program that starts anew finds the image of a failed run by the message alone."""
    (tmp_path / "file").write_text("in the way")
    answer = model.invoke(CAT)
    await face.call(
        ToolFileNode(image_store=str(tmp_path / "file" / "x"), model=model), "invoke", {"messages": [answer]}
    )
    (stored,) = await face.call(model, "store_images", images_of(answer), FsspecImageStore(str(tmp_path / "good")))
    assert stored["status"] == "stored"
