"""One answer is paid for once, whoever asks: the chat model with a ledger, against the sandbox."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from langchain_mistral_imagegen import FsspecImageStore, images_of
from langchain_mistral_imagegen._conversations.pay_once import PayOnce, paying_once
from langchain_mistral_imagegen._http import sync_client
from langchain_mistral_imagegen._ledger.chains import Ledger
from langchain_mistral_imagegen._ledger.keys import digest
from langchain_mistral_imagegen._ledger.records import Asking
from langchain_mistral_imagegen.errors import (
    APIConnectionError,
    ImageStoreError,
    InvalidInputError,
    MinuteQuotaError,
    OutcomeUnknownError,
    StreamInterruptedError,
)
from langchain_mistral_imagegen.sandbox import Behavior
from langchain_mistral_imagegen.stores import _fsspec, _ledger_files
from langchain_mistral_imagegen.stores._ledger_files import FolderFiles

CAT, BLUE = HumanMessage("Draw a cat."), HumanMessage("Make it blue.")
FUTURE = b'{"v": 1, "kind": "asking", "by": "x", "at": "2999-01-01T00:00:00+00:00", "lasts": 0.2}'  # by a clock that was wrong
SHORT = {"answer_within": 0.6, "max_retries": 0}  # a lost request is watched for 1.6 seconds


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


async def asked(face, model, store, history=(CAT,), how="invoke", name="k"):
    with paying_once(PayOnce(store=store, name=name)):
        if how == "stream":
            return await face.streamed(model, list(history))
        return await face.call(model, how, list(history))


def records(store):
    found = sorted(Path(store.root, "_ledger").glob("*/*.json"), key=lambda file: int(file.stem))
    return [json.loads(record.read_text()) for record in found]


def kinds(store):
    return [record.get("why", record["kind"]) for record in records(store)]


@pytest.mark.parametrize("how", ["invoke", "stream"])
@pytest.mark.parametrize("again", ["invoke", "stream"])
async def test_who_asks_again_gets_the_same_answer(face, make_model, sandbox, store, how, again):
    first = await asked(face, make_model(), store, how=how)
    second = await asked(face, make_model(), store, how=again)
    assert second.response_metadata.pop("adopted")
    assert (second.id, second.content, second.usage_metadata) == (first.id, first.content, first.usage_metadata)
    assert second.response_metadata == first.response_metadata
    assert (sandbox.paid, kinds(store)) == (1, ["first", "answered"])


async def test_an_adopted_answer_is_continued(face, make_model, sandbox, store):
    model = make_model()
    await asked(face, model, store)
    cat = await asked(face, model, store)
    later = await asked(face, model, store, [CAT, cat, BLUE], name="later")
    assert later.response_metadata["conversation_id"] == cat.response_metadata["conversation_id"]
    assert sandbox.paid == 2


async def test_another_key_is_another_answer_and_another_prompt_needs_another_key(face, make_model, sandbox, store):
    model = make_model()
    await asked(face, model, store)
    await asked(face, model, store, name="other")
    with pytest.raises(InvalidInputError, match="another prompt"):
        await asked(face, model, store, [BLUE])
    assert sandbox.paid == 2


@pytest.mark.slow
async def test_a_lost_answer_is_found_and_recorded(face, make_model, sandbox, store):
    sandbox.behave(Behavior(delay=1))
    answer = await asked(face, make_model(timeout=0.3, answer_within=5), store)
    assert (len(images_of(answer)), answer.usage_metadata, sandbox.paid) == (1, None, 1)
    assert kinds(store) == ["first", "gave_up", "answered"]


@pytest.mark.slow
async def test_a_lost_append_is_found_by_its_words(face, make_model, sandbox, store):
    model = make_model(timeout=0.5, answer_within=5)
    first = await face.call(model, "invoke", [CAT])
    sandbox.behave(Behavior(delay=1))
    answer = await asked(face, model, store, [CAT, first, BLUE])
    assert "blue" in answer.text
    assert [record.get("way") for record in records(store)] == ["append", "append", None]
    assert sandbox.paid == 2


async def test_a_stream_that_was_cut_is_adopted_by_the_next_call(face, make_model, sandbox, store):
    sandbox.behave(Behavior(cut_after=3))
    with pytest.raises(StreamInterruptedError):
        await asked(face, make_model(), store, how="stream")
    answer = await asked(face, make_model(), store, how="stream")
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)
    assert kinds(store) == ["first", "gave_up", "answered"]


@pytest.mark.slow
async def test_an_answer_that_trickles_is_given_up_when_others_count_its_request_as_lost(
    face, make_model, sandbox, store
):
    sandbox.behave(Behavior(pace=0.2))
    with pytest.raises(StreamInterruptedError) as caught:
        await asked(face, make_model(timeout=0.5, deadline=60, **SHORT), store, how="stream")
    assert "not complete after 0.6 seconds" in str(caught.value.__cause__)
    assert (kinds(store), [record["lasts"] for record in records(store)]) == (["first", "gave_up"], [0.6, 0.6])
    assert len(images_of(await asked(face, make_model(timeout=0.5, **SHORT), store))) == 1
    assert sandbox.paid == 1


async def test_what_was_refused_is_asked_again_at_once(face, make_model, sandbox, store):
    sandbox.behave(Behavior(quota="minute"))
    with pytest.raises(MinuteQuotaError):
        await asked(face, make_model(max_retries=0), store)
    await asked(face, make_model(answer_within=600), store)
    assert (sandbox.paid, kinds(store)) == (1, ["first", "void", "first", "answered"])


async def test_what_never_left_is_unpaid(face, make_model, store):
    with pytest.raises(APIConnectionError):
        await asked(face, make_model(base_url="http://127.0.0.1:9", max_retries=0), store)
    assert kinds(store) == ["first", "void"]


@pytest.mark.slow
async def test_what_is_lost_is_asked_again_after_its_time(face, make_model, sandbox, store):
    sandbox.behave(Behavior(status=503, body="a gateway"))
    answer = await asked(face, make_model(answer_within=0.6), store)
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)
    assert kinds(store) == ["first", "gave_up", "takeover", "answered"]


@pytest.mark.slow
async def test_a_request_that_cannot_be_answered_any_more_is_known_to_be_unpaid(face, make_model, sandbox, store):
    sandbox.behave(Behavior(status=503, body="a gateway"))
    with pytest.raises(OutcomeUnknownError):
        await asked(face, make_model(**SHORT), store)
    assert (sandbox.paid, kinds(store)) == (0, ["first", "gave_up", "void"])


@pytest.mark.slow
async def test_after_a_proxys_refusal_an_answer_is_looked_for_and_nothing_is_sent_again(
    face, make_model, sandbox, store
):
    sandbox.behave(Behavior(status=403, body="<html>Blocked by policy</html>", headers={"via": "1.1 squid"}))
    with pytest.raises(OutcomeUnknownError, match=r"A proxy or gateway \(1\.1 squid\) answered, not Mistral"):
        await asked(face, make_model(answer_within=0.6, max_retries=2), store)
    assert (sandbox.paid, kinds(store)) == (0, ["first", "gave_up", "void"])
    assert len(sandbox.requests) > 1


@pytest.mark.slow
async def test_a_proxys_refusal_of_a_look_is_no_proof_that_there_is_no_answer(face, make_model, sandbox, store):
    sandbox.behave(Behavior(cut_after=3))
    sandbox.behave(Behavior(status=404, body="<html>Not here</html>", on="list"))
    with pytest.raises(StreamInterruptedError):
        await asked(face, make_model(), store, how="stream")
    answer = await asked(face, make_model(), store)
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)


@pytest.mark.slow
async def test_a_request_of_a_dead_process_is_waited_for(face, make_model, sandbox, store, caplog):
    """Nobody waits for its answer any more, and it was lost on the way."""
    model = make_model(timeout=0.5, **SHORT)
    key = digest("name", model.base_url, "k")
    Ledger(store.ledger_files()).create(key, 0, Asking(lasts=1.0, about=digest(["human", CAT.content, [], ""])))
    caplog.set_level("INFO")
    before = asyncio.get_running_loop().time()
    await asked(face, model, store)
    assert asyncio.get_running_loop().time() - before >= 2
    assert "An earlier request may still be answered" in caplog.text
    assert kinds(store) == ["first", "takeover", "answered"]


@pytest.mark.slow
@pytest.mark.parametrize("torn", [b"", b"{", b'{"v": 2}', b"[" * 100_000, b'["foreign"]', FUTURE])
async def test_a_broken_record_is_waited_for_and_no_error(face, make_model, sandbox, store, torn):
    model = make_model(timeout=0.5, **SHORT)
    place = Path(store.root, "_ledger", digest("name", model.base_url, "k"))
    place.mkdir(parents=True)
    (place / "0.json").write_bytes(torn)
    await asked(face, model, store)
    assert sandbox.paid == 1
    (place / "1.json").unlink()
    (place / "2.json").unlink()
    answer = await asked(face, model, store)  # both records are lost, and the answer is found
    assert (len(images_of(answer)), sandbox.paid) == (1, 1)


@pytest.mark.slow
async def test_many_workers_pay_once(face, make_model, sandbox, store):
    sandbox.behave(Behavior(delay=0.3))
    models = [make_model() for _ in range(8)]
    if face.is_async:
        answers = await asyncio.gather(*(asked(face, model, store) for model in models))
    else:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda model: asyncio.run(asked(face, model, store)), models))
    assert len({answer.id for answer in answers}) == sandbox.paid == 1


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_two_workers_find_one_dead_record(make_model, sandbox, store, attempt):
    """They watch it to its end at the same time, and only one of them may then ask."""
    models = [make_model(timeout=0.5, answer_within=0.6) for _ in range(2)]
    for n in range(10):
        key = digest("name", models[0].base_url, str(n))
        Ledger(store.ledger_files()).create(key, 0, Asking(lasts=0.2))
    start = threading.Barrier(20)

    def work(job):
        start.wait()
        with paying_once(PayOnce(store=store, name=str(job[1]))):
            return models[job[0]].invoke([CAT]).id

    jobs = [(worker, n) for worker in range(2) for n in range(10)]
    with ThreadPoolExecutor(20) as pool:
        ids = list(pool.map(work, jobs))
    assert ids[:10] == ids[10:]
    assert sandbox.paid == 10


@pytest.mark.slow
async def test_a_request_waits_for_its_quota_with_a_new_record(face, make_model, sandbox, store, monkeypatch):
    """Between record and request there may be no more than half a second here."""
    sandbox.behave(Behavior(quota="minute", headers={"retry-after": "1"}))
    await asked(face, make_model(answer_within=6), store)
    assert (sandbox.paid, kinds(store)) == (1, ["first", "renewed", "answered"])


async def test_a_store_that_cannot_be_written_stops_before_anything_is_paid(face, make_model, sandbox, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    with pytest.raises(ImageStoreError, match="nothing was asked or paid"):
        await asked(face, make_model(), FsspecImageStore(str(tmp_path / "a file" / "images")))
    assert not sandbox.requests


@pytest.mark.slow
async def test_an_answer_whose_entries_are_still_written_is_waited_for(face, make_model, sandbox, store):
    model = make_model(**SHORT)
    answer = await asked(face, model, store, name="first")
    (conversation,) = sandbox.conversations.by_id.values()
    whole, conversation.entries = conversation.entries, conversation.entries[:-1]  # the image, and no word about it yet
    key = digest("name", model.base_url, "k")
    conversation.settings["metadata"] = {**conversation.settings["metadata"], "langchain_mistral_imagegen_key": key}
    Ledger(store.ledger_files()).create(key, 0, Asking(lasts=5.0))
    writing = threading.Timer(0.5, lambda: setattr(conversation, "entries", whole))
    writing.start()
    adopted = await asked(face, model, store)
    assert adopted.content == answer.content
    assert sandbox.paid == 1
    writing.join()


async def test_no_secret_is_recorded(face, make_model, sandbox, store):
    sandbox.behave(Behavior(shape="url"))
    model = make_model()
    await asked(face, model, store)
    text = json.dumps(records(store))
    assert "sig=" not in text
    assert "sandbox-key" not in text
    answer = await asked(face, make_model(), store)
    (image,) = await face.call(model, "images", answer)
    assert image.mime_type == "image/jpeg" or image.data


def test_each_kind_of_store_holds_a_ledger_or_refuses(tmp_path):
    assert _ledger_files.ledger_files(_fsspec.FsspecImageStore("memory://x"))
    with pytest.raises(InvalidInputError, match="cannot hold a ledger"):
        _ledger_files.ledger_files(object())


class Crash(BaseException):
    """Ends a call as a power loss does: nobody catches it."""


@dataclass(frozen=True)
class VolatileFiles:
    """A disk with a cache: what was not synced is gone, or empty, after a power loss."""

    files: FolderFiles
    cached: list[str] = field(default_factory=list, compare=False)

    def create(self, place, data, *, synced):
        self.files.create(place, data, synced=synced)
        if not synced:
            self.cached.append(place)

    def lose_power(self, *, leaves_empty):
        for place in self.cached:
            (self.files.root / place).unlink()
            if leaves_empty:
                (self.files.root / place).write_bytes(b"")
        self.cached.clear()

    def __getattr__(self, name):
        return getattr(self.files, name)


class VolatileStore(FsspecImageStore):
    def ledger_files(self):
        return self.__dict__.setdefault("disk", VolatileFiles(FolderFiles(Path(self.root))))


@pytest.mark.slow
@pytest.mark.parametrize("leaves_empty", [False, True])
@pytest.mark.parametrize("moment", ["before the request", "after the request", "after a refusal", "after the answer"])
def test_power_loss_pays_once(make_model, sandbox, tmp_path, monkeypatch, moment, leaves_empty):
    store, send = VolatileStore(str(tmp_path / "images")), sync_client._Driver._send

    def dying(driver, request):
        if request.paid and moment == "before the request":
            raise Crash
        response = send(driver, request)
        if request.paid and moment == "after the request":
            raise Crash
        return response

    def draw():
        with paying_once(PayOnce(store=store, name="k")):
            return make_model(timeout=0.5, **SHORT).invoke([CAT])

    with monkeypatch.context() as patch, suppress(Crash, MinuteQuotaError):
        patch.setattr(sync_client._Driver, "_send", dying)
        if moment == "after a refusal":
            sandbox.behave(Behavior(quota="minute"))
        draw()
    store.ledger_files().lose_power(leaves_empty=leaves_empty)
    assert len(images_of(draw())) == sandbox.paid == 1


@pytest.mark.parametrize("leaves_empty", [False, True])
def test_an_answer_that_mistral_does_not_keep_survives_a_power_loss(make_model, sandbox, tmp_path, leaves_empty):
    store, model = VolatileStore(str(tmp_path / "images")), make_model(timeout=0.5, store=False, **SHORT)

    def draw():
        with paying_once(PayOnce(store=store, name="k")):
            return model.invoke([CAT]).id

    first = draw()
    store.ledger_files().lose_power(leaves_empty=leaves_empty)
    assert (draw(), sandbox.paid) == (first, 1)


@dataclass(frozen=True)
class FullFiles:
    """A disk that is full after so many records."""

    files: FolderFiles
    most: int

    def create(self, place, data, *, synced):
        if int(Path(place).stem) >= self.most:
            raise OSError(28, "No space left on device")
        self.files.create(place, data, synced=synced)

    def __getattr__(self, name):
        return getattr(self.files, name)


class FullStore(FsspecImageStore):
    most = 0

    def ledger_files(self):
        return FullFiles(FolderFiles(Path(self.root)), self.most)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "most"), [("none", 0), ("none", 1), ("lost", 1), ("lost", 2), ("refused", 1), ("refused", 2)]
)
async def test_a_disk_that_is_full_at_any_record_pays_once_and_hides_no_error(
    face, make_model, sandbox, tmp_path, trouble, most
):
    full, store = FullStore(str(tmp_path / "images")), FsspecImageStore(str(tmp_path / "images"))
    object.__setattr__(full, "most", most)
    model = make_model(timeout=0.5, **SHORT)
    if trouble != "none":
        sandbox.behave(Behavior(status=503, body="a gateway") if trouble == "lost" else Behavior(quota="minute"))
    expected = {"none": (), "lost": OutcomeUnknownError, "refused": MinuteQuotaError}[trouble]
    with suppress(expected or ImageStoreError):
        try:
            await asked(face, model, full)
        except ImageStoreError:
            assert (most, sandbox.paid, sandbox.requests) == (0, 0, [])
        else:
            assert trouble == "none"
    assert len(images_of(await asked(face, model, store))) == sandbox.paid == 1
