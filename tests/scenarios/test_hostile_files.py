"""Hostile names, ids, bytes and redirects: nothing outside the store, nothing decoded, memory bounded, nobody else asked."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import struct
import tracemalloc
import unicodedata
import zlib
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from hostile_server import Answer
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from PIL import Image

from langchain_mistral_imagegen import FsspecImageStore, ToolFileNode, api, images_of
from langchain_mistral_imagegen._cli.file_names import image_name
from langchain_mistral_imagegen._http.settings import Settings
from langchain_mistral_imagegen._protocol.requests import download_url, resource
from langchain_mistral_imagegen._protocol.signed_urls import SignedUrls
from langchain_mistral_imagegen._protocol.sse import EventStreamDecoder
from langchain_mistral_imagegen._protocol.text_stream import TextStream
from langchain_mistral_imagegen.errors import (
    ImageUnavailableError,
    InvalidInputError,
    InvalidResponseError,
    MistralImagegenError,
    OutcomeUnknownError,
)

MEGABYTE = 1024 * 1024
ZEROS = bytes(64 * 1024)


def drawing(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(file, kind)
    return file.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *chunks, png_chunk(b"IDAT", b"")])


PNG, JPEG = drawing("PNG"), drawing("JPEG")
GZIP = {"content-encoding": "gzip"}


BOMB = gzip.compress(bytes(400 * MEGABYTE))


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "images"))


def file(file_id: str, name: str = "image_generated_0") -> dict[str, str]:
    return {"type": "tool_file", "tool": "image_generation", "file_id": file_id, "file_name": name}


def answer_with(*blocks: dict[str, str]) -> dict[str, list[AIMessage]]:
    return {"messages": [AIMessage(list(blocks))]}


async def peak(doing) -> int:
    tracemalloc.start()
    try:
        await doing
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def written(store) -> list[str]:
    """List what is in the folder around the store, too."""
    folder = Path(store.root).parent
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


REFUSED = {
    "HTML": (Answer([b"<!doctype html><script>alert(1)</script>"]), "InvalidImageError: .*'bad' is not an image"),
    "SVG": (Answer([b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"]), "'bad' is not an image"),
    "nothing": (Answer(), "'bad' is not an image"),
    "a gzip file": (Answer([BOMB]), "'bad' is not an image"),
    "endless zeros": (Answer(itertools.repeat(ZEROS)), "'bad' is larger than the 4,194,304 bytes allowed"),
    "an endless image": (Answer(itertools.chain([PNG], itertools.repeat(ZEROS))), "'bad' is larger than"),
    "a gzip bomb": (Answer([BOMB], headers=GZIP), "/files/bad/content: the body is encoded as 'gzip'"),
    "a bomb in a bomb": (
        Answer([gzip.compress(BOMB)], headers={"content-encoding": "gzip, gzip"}),
        "/files/bad/content: the body is encoded as 'gzip, gzip'",
    ),
    "fewer bytes than announced": (Answer([JPEG[:500]], headers={"content-length": "9999"}), "/files/bad/content: "),
    "a redirect": (Answer(status=302, headers={"location": "/v1/files/elsewhere/content"}), "status 302"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_image_is_marked_in_bounded_memory_and_its_siblings_are_stored(
    face, hostile, victim, store, name
):
    answer, reason = REFUSED[name]
    hostile.answers = {"/v1/files/bad/content": answer, "/v1/files/good/content": Answer([JPEG])}
    node = ToolFileNode(image_store=store, model=victim, max_bytes=4 * MEGABYTE)
    update = {}

    async def run() -> None:
        update.update(await face.call(node, "invoke", answer_with(file("bad"), file("good"))))

    assert await peak(run()) < 16 * MEGABYTE
    bad, good = update["images"]["bad"], update["images"]["good"]
    assert (bad["status"], good["status"]) == ("failed", "stored")
    assert re.search(reason, bad["error"])
    assert written(store) == [f"images/{good['key']}"]
    assert len(hostile.asked) == 2


@pytest.mark.parametrize(
    "data",
    [
        png_of(100_000, 100_000),
        png_of(8, 8, png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(300 * MEGABYTE)))),
        png_of(8, 8, png_chunk(b"acTL", bytes(8))),
        PNG[:60],
        PNG[:20],
        PNG[:-12],
        JPEG[:-500],
        JPEG[:-1],
        JPEG[:4],
    ],
    ids=[
        "many pixels",
        "profile bomb",
        "no frames",
        "cut PNG",
        "PNG without header",
        "PNG without its end",
        "cut JPEG",
        "JPEG without its last byte",
        "JPEG without header",
    ],
)
async def test_what_cannot_be_decoded_fails_in_little_memory(face, hostile, victim, store, data):
    """A body has no length here and is not chunked: only its bytes tell that it was cut."""
    hostile.answers = {"/v1/files/f/content": Answer([data])}
    images = {}

    async def run() -> None:
        images.update(
            (await face.call(ToolFileNode(image_store=store, model=victim), "invoke", answer_with(file("f"))))["images"]
        )

    assert await peak(run()) < 16 * MEGABYTE
    ref = images["f"]
    assert (ref["status"], written(store)) == ("failed", [])
    assert ref["error"].startswith("InvalidImageError: ")


NAMES = [
    "../../../evil.png", "/etc/passwd", "a\0b", "a\nb", "x" * 300, "CON", "nul.png", "\u202egpj.exe", "C:\\evil", ".", "..",
]  # fmt: skip


@pytest.mark.slow
async def test_a_file_s_name_is_never_a_path(face, hostile, victim, store):
    blocks = [file(f"f{number}", name) for number, name in enumerate(NAMES)]
    hostile.answers = {f"/v1/files/f{number}/content": Answer([JPEG]) for number in range(len(NAMES))}
    update = await face.call(ToolFileNode(image_store=store, model=victim), "invoke", answer_with(*blocks))
    assert {ref["status"] for ref in update["images"].values()} == {"stored"}
    assert [ref["file_name"] for ref in update["images"].values()] == NAMES
    assert written(store) == [f"images/{update['images']['f0']['key']}"]


@pytest.mark.slow
@given(st.sampled_from(NAMES) | st.text())
def test_a_prompt_s_name_is_a_plain_word(prompt):
    name = image_name(prompt, "0a1b2c3d")
    assert name.endswith("-0a1b2c")
    assert all(letter == "-" or unicodedata.category(letter)[0] in "LMN" for letter in name)
    assert 7 < len(name) <= 67
    assert len(name.encode()) < 250


IDS = [
    "a/b",
    "../../conversations",
    "%2e%2e",
    "a%2Fb",
    "a\nb: c",
    "a\0b",
    "?x=1",
    "#x",
    "é\u202e",
    "//evil.example",
    "a b",
]


@pytest.mark.parametrize("file_id", IDS)
async def test_an_id_names_one_resource_whatever_is_in_it(face, hostile, victim, store, file_id):
    update = await face.call(ToolFileNode(image_store=store, model=victim), "invoke", answer_with(file(file_id)))
    assert update["images"][file_id]["error"].startswith("ImageUnavailableError")
    (path,) = hostile.asked
    assert [unquote(segment) for segment in path.split("/")] == ["", "v1", "files", file_id, "content"]


@pytest.mark.parametrize("file_id", [".", ".."])
async def test_dots_are_no_id(face, hostile, victim, store, file_id):
    hostile.answers = {"/v1/files/good/content": Answer([JPEG])}
    state = answer_with(file(file_id), file("good"))
    update = await face.call(ToolFileNode(image_store=store, model=victim), "invoke", state)
    assert update["images"][file_id]["error"].startswith(f"InvalidInputError: {file_id!r} is not an id")
    assert update["images"]["good"]["status"] == "stored"
    assert hostile.asked == ["/v1/files/good/content"]


def test_nothing_is_no_id():
    assert images_of(AIMessage([file("")])) == []
    with pytest.raises(InvalidInputError, match="'' is not an id"):
        api.delete_file("")


@example("\ud800")
@given(st.text(st.characters()).filter(lambda text: text not in {"", ".", ".."}))
def test_any_id_stays_in_its_segment(identifier):
    path = httpx.URL("https://x" + resource("GET", "files", identifier, "url").path).raw_path.decode()
    assert re.fullmatch(r"/v1/files/[\w.~%-]+/url", path, re.ASCII)


# --- bodies that are read into memory ---


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(itertools.repeat(b"[" * 64 * 1024)), "larger than 67,108,864 bytes"),
        (Answer([BOMB], headers=GZIP), "larger than 67,108,864 bytes"),
        (Answer([gzip.compress(BOMB)], headers={"content-encoding": "gzip, gzip"}), "encoded as 'gzip, gzip'"),
        (Answer([BOMB], headers={"content-encoding": "zstd"}), "encoded as 'zstd'"),
        (Answer(itertools.repeat(ZEROS), status=500), "larger than 67,108,864 bytes"),
    ],
    ids=["endless", "gzip bomb", "bomb in a bomb", "another encoding", "endless error"],
)
async def test_an_answer_has_a_largest_size(face, hostile, victim, answer, reason):
    hostile.answers = {"/v1/conversations": answer}

    async def run() -> None:
        with pytest.raises(OutcomeUnknownError, match=reason):
            await face.call(victim, "invoke", "x")

    assert await peak(run()) < 300 * MEGABYTE


async def test_what_is_gzipped_is_read(face, hostile, victim):
    hostile.answers = {
        "/v1/conversations": Answer([gzip.compress(b'{"conversation_id": "c", "outputs": []}')], headers=GZIP)
    }
    assert (await face.call(victim, "invoke", "x")).response_metadata["conversation_id"] == "c"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(itertools.chain([b"data: "], itertools.repeat(ZEROS))),
        Answer(itertools.repeat(b"data: " + b"x" * 64 * 1024 + b"\n")),
        Answer([gzip.compress(BOMB)], headers={"content-encoding": "gzip, gzip"}),
    ],
    ids=["a line", "an event", "a bomb"],
)
async def test_an_event_has_a_largest_size(face, hostile, victim, answer):
    hostile.answers = {"/v1/conversations": answer}

    async def run() -> None:
        with pytest.raises(MistralImagegenError):
            await face.chunks(victim, "x")

    assert await peak(run()) < 100 * MEGABYTE


def test_an_event_that_does_not_end_is_an_error():
    decoder = EventStreamDecoder()
    with pytest.raises(InvalidResponseError, match="larger than 16,777,216 bytes"):
        for _ in range(17 * 16):
            list(decoder.feed(ZEROS))


# --- where requests go ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_api_s_redirects_are_not_followed(face, hostile, victim, sandbox, status):
    headers = {"location": f"{sandbox.url}/v1/conversations"}
    hostile.answers = {"/v1/conversations": Answer(status=status, headers=headers)}
    with pytest.raises(OutcomeUnknownError, match=rf"A proxy or gateway \(BaseHTTP.*status {status}"):  # not Mistral's
        await face.call(victim, "invoke", "x")
    assert sandbox.requests == []


async def test_a_given_client_does_not_follow_redirects_either(face, hostile, make_model, sandbox, store):
    clients = {
        "http_client": httpx.Client(follow_redirects=True),
        "http_async_client": httpx.AsyncClient(follow_redirects=True),
    }
    model = make_model(base_url=hostile.url, **clients)
    hostile.answers = {"/v1/files/f/content": Answer(status=307, headers={"location": f"{sandbox.url}/v1/files"})}
    update = await face.call(ToolFileNode(image_store=store, model=model), "invoke", answer_with(file("f")))
    assert "status 307" in update["images"]["f"]["error"]
    assert sandbox.requests == []
    clients["http_client"].close()
    await clients["http_async_client"].aclose()


async def test_a_signed_url_s_redirect_is_not_followed_and_no_key_is_sent(face, hostile, victim, sandbox, store):
    url = f"{hostile.url}/image.jpg?sig=SECRET"
    text = {"type": "message.output", "id": "m", "content": f"![cat]({url})"}
    body = httpx.Response(200, json={"conversation_id": "c", "outputs": [text]}).content
    redirect = Answer(status=302, headers={"location": f"{sandbox.url}/v1/files"})
    hostile.answers = {"/v1/conversations": Answer([body]), "/image.jpg": redirect}
    answer = await face.call(victim, "invoke", "x")
    update = await face.call(ToolFileNode(image_store=store, model=victim), "invoke", {"messages": [answer]})
    assert update["images"]["m"]["status"] == "failed"
    assert "SECRET" not in repr(update)
    assert hostile.asked == ["/v1/conversations", "/image.jpg?sig=SECRET"]
    assert "authorization" not in hostile.headers[1]
    assert sandbox.requests == []


GOOD = "mistralaiblackforestprod.blob.core.windows.net"


@pytest.mark.parametrize(
    ("place", "trusted"),
    [
        (f"https://{GOOD}", True),
        (f"HTTPS://{GOOD.upper()}:443", True),
        (f"http://{GOOD}", False),
        (f"//{GOOD}", False),
        (f"https:{GOOD}", False),
        (f"https://{GOOD}.evil.com", False),
        (f"https://evil.com.{GOOD}", False),
        (f"https://evil.com/{GOOD}", False),
        (f"https://{GOOD}@evil.com", False),
        (f"https://user:password@{GOOD}", False),
        (f"https://evil.com\\@{GOOD}", False),
        (f"https://evil.com#@{GOOD}", False),
        (f"https://{GOOD}\n.evil.com", False),
        (f"https://{GOOD}.", False),
        (f"https://{GOOD}:8443", False),
        (f"https://{GOOD}:99999", False),
        (f"https://{GOOD}:x", False),
        ("https://blob.core.windows.net", False),
        ("https://evilmistral.blob.core.windows.net", False),
        ("https://mistral.evil.blob.core.windows.net", False),
        ("https://mistral%2eblob.core.windows.net", False),
        ("https://m\u0131stral.blob.core.windows.net", False),
        ("https://mistral\u0445.blob.core.windows.net", False),
        ("https://\uff4distral.evil.com", False),
        ("https://mistral\u3002evil.com", False),
        ("https://127.0.0.1", False),
        ("https://2130706433", False),
        ("https://[::1]", False),
        ("https://[::ffff:169.254.169.254]", False),
        ("https://[::1", False),
        ("https://", False),
    ],
)  # fmt: skip
def test_a_signed_url_leads_to_mistral_s_blobs_or_nowhere(place, trusted):
    settings = Settings(base_url="https://api.mistral.ai", api_key=lambda: "canary")
    url = f"{place}/i.jpg?sig=SECRET"
    if trusted:
        assert settings.url(download_url(url, sink=None)) == url
        return
    with pytest.raises(ImageUnavailableError, match="not a host of Mistral's") as caught:
        settings.url(download_url(url, sink=None))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["https://x" * 20_000 + " ", "https://x?" + "a" * 200_000, "\\u00" * 50_000, "h" * 200_000]
)
def test_no_text_takes_long_to_redact(text):
    stream = TextStream(SignedUrls(), "e")
    assert stream.feed(text) + stream.flush() == text
