"""Images over HTTP: those of the store and nothing else, through a real server."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import struct
import subprocess
import sys
import threading
import zlib

import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from synced_disk import SyncedDisk

from langchain_mistral_imagegen import FsspecImageStore
from langchain_mistral_imagegen.errors import InvalidInputError
from langchain_mistral_imagegen.stores._incoming import IncomingImage, content_address
from langchain_mistral_imagegen.stores._thumbnails import thumbnail
from langchain_mistral_imagegen.web import image_routes

SECRET = "0" * 64


def image(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "orange").save(file, kind)
    return file.getvalue()


def stored(store, data: bytes) -> str:
    file = IncomingImage(store, {"id": "f", "status": "remote"})
    file.write(data)
    return file.finish(content_address)["key"]


@pytest.fixture
def store(tmp_path):
    return FsspecImageStore(str(tmp_path / "s"))


@pytest.fixture
def serve():
    """Starts servers; returns what sends them paths as they are, which cleverer clients tidy up first."""
    running = []

    def start(routes):
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener))

        def ask(path, method="GET", **headers):
            connection = http.client.HTTPConnection(*listener.getsockname(), timeout=10)
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, dict(answer.getheaders()), body

        return ask

    yield start
    for server, thread, listener in running:
        server.should_exit = server.force_exit = True
        thread.join()
        listener.close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_an_image_is_served_to_be_kept_forever(serve, store, kind):
    data = image(kind)
    status, headers, body = serve(image_routes(store))(f"/images/{stored(store, data)}")
    assert (status, body) == (200, data)
    assert headers["content-type"] == f"image/{kind.lower()}"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert headers["x-content-type-options"] == "nosniff"


def test_head_has_the_headers_only(serve, store):
    data = image("PNG")
    status, headers, body = serve(image_routes(store))(f"/images/{stored(store, data)}", "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(len(data)))


def test_who_has_it_is_not_sent_it_again(serve, store):
    ask, key = serve(image_routes(store)), stored(store, image("PNG"))
    etag = ask(f"/images/{key}")[1]["etag"]
    for kept in (etag, f"W/{etag}", f'"other", {etag}'):
        status, headers, body = ask(f"/images/{key}", If_None_Match=kept)
        assert (status, body, headers["etag"]) == (304, b"", etag)
        assert headers["cache-control"].endswith("immutable")
    assert ask(f"/images/{key}", If_None_Match='"other"')[0] == 200


def test_what_is_no_image_is_not_served_as_one(serve, store, tmp_path):
    (tmp_path / "page").write_text("<script>")
    store.put(tmp_path / "page", f"00/{SECRET}.jpg")
    assert serve(image_routes(store))(f"/images/00/{SECRET}.jpg")[0] == 404


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "",
        "00",
        "_ledger/key.json",
        "_ledger%2Fkey.json",
        "00/../_ledger/key.json",
        "00%2F..%2F_ledger%2Fkey.json",
        "../secret.jpg",
        "..%2Fsecret.jpg",
        "%2e%2e/secret.jpg",
        f"00/..%2F{SECRET}.jpg",
        f"..%5C{SECRET}.jpg",
        f"//00/{SECRET}.jpg",
        f"00//{SECRET}.jpg",
        f"AA/{'A' * 64}.jpg",
        f"aa/{'a' * 64}.JPG",
        f"00/{SECRET}",
        f"00/{SECRET}.json",
        f"00/{SECRET}.svg",
        f"00/{SECRET}.jpg/",
        f"00/{SECRET}.jpg%00",
        f"00/{SECRET}.jpg%0a",
        f"00/{SECRET[:-1]}.jpg",
        f"00/{SECRET}0.jpg",
        f"ab/{SECRET}.jpg",
        f"%D9%A0%D9%A0/{SECRET}.jpg",
        f"00/{SECRET}.png",
    ],
)
def test_nothing_else_can_be_read(serve, store, tmp_path, path):
    source = tmp_path / "source"
    (tmp_path / "secret.jpg").write_bytes(image("JPEG"))
    # Each is an image, so that only the name can be the reason.
    for name in ("_ledger/key.json", f"00/{SECRET}", f"00/{SECRET}.json", f"00/{SECRET}.svg", f"aa/{'a' * 64}.JPG"):
        source.write_bytes(image("JPEG"))
        store.put(source, name)
    status, headers, body = serve(image_routes(store))(f"/images/{path}")
    assert (status, len(body) < 100) == (404, True)
    assert "etag" not in headers


def test_any_store_will_do(serve, tmp_path):
    store = FsspecImageStore(f"memory://{tmp_path.name}")
    ask = serve(image_routes(store))
    assert ask(f"/images/{stored(store, image('PNG'))}")[0] == 200
    assert ask(f"/images/00/{SECRET}.png")[0] == 404


def test_it_only_reads(serve, store):
    assert serve(image_routes(store))(f"/images/{stored(store, image('PNG'))}", "DELETE")[0] == 405


def large(kind: str, size=(600, 300)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "orange").save(file, kind)
    return file.getvalue()


def thumbnails(store) -> list[str]:
    return [key for key in store.all_keys() if key.startswith("_thumbnails/")]


def test_after_a_power_cut_a_thumbnail_is_whole(store, tmp_path, monkeypatch):
    disk = SyncedDisk(tmp_path, monkeypatch)
    key = stored(store, large("JPEG"))
    small = thumbnail(store, key, 256)
    assert disk.cut_power().get(f"s/_thumbnails/256/{key}") == small


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_thumbnail_is_made_once_and_kept_in_the_store(serve, store, kind):
    data = large(kind)
    ask, key = serve(image_routes(store)), stored(store, data)
    status, headers, body = ask(f"/images/{key}?w=256")
    small = Image.open(io.BytesIO(body))
    assert (status, small.size, small.format) == (200, (256, 128), kind)
    assert headers["content-type"] == f"image/{kind.lower()}"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}-256"'
    assert headers["x-content-type-options"] == "nosniff"
    assert ask(f"/images/{key}?w=256", If_None_Match=headers["etag"])[0] == 304
    assert ask(f"/images/{key}", If_None_Match=headers["etag"])[0] == 200, "the image itself is another version"
    assert thumbnails(store) == [f"_thumbnails/256/{key}"]
    store.delete(key)
    assert ask(f"/images/{key}?w=256")[2] == body, "it came from the store"


@pytest.mark.slow
@pytest.mark.parametrize(
    "width", ["", "0", "-1", "257", "0256", "1e3", "256px", "99999999999999999999", "%D9%A2", "auto"]
)
def test_other_sizes_are_refused_and_named(serve, store, width):
    key = stored(store, large("PNG"))
    status, headers, body = serve(image_routes(store))(f"/images/{key}?w={width}")
    assert (status, body) == (400, b"w must be one of 128, 256, 512, 1024")
    assert "etag" not in headers
    assert thumbnails(store) == []


def test_small_images_are_not_made_larger(serve, store):
    body = serve(image_routes(store))(f"/images/{stored(store, image('PNG'))}?w=128")[2]
    assert Image.open(io.BytesIO(body)).size == (4, 3)


def test_an_image_of_too_many_pixels_is_not_decoded(serve, store, monkeypatch):
    monkeypatch.setattr("langchain_mistral_imagegen._reduced_image.MAX_PIXELS", 600 * 300 - 1)
    status, _, body = serve(image_routes(store))(f"/images/{stored(store, large('PNG'))}?w=128")
    assert (status, body) == (422, b"this image cannot be made smaller; request it without w")
    assert thumbnails(store) == []


def bomb() -> bytes:
    """Return a PNG of a few hundred bytes whose header claims 10 billion pixels."""
    data = image("PNG")
    header = b"IHDR" + struct.pack(">II", 100_000, 100_000) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("data", [large("PNG")[:200], b"<script>", bomb()], ids=["cut", "page", "bomb"])
def test_what_cannot_be_decoded_has_no_thumbnail(serve, store, tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    store.put(tmp_path / "file", f"00/{SECRET}.png")
    assert serve(image_routes(store))(f"/images/00/{SECRET}.png?w=128")[0] == 422


def test_thumbnails_need_no_store_that_can_be_written(serve, store, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    key = stored(store, large("PNG"))
    monkeypatch.setattr(type(store), "put", refuse)
    assert serve(image_routes(store))(f"/images/{key}?w=128")[0] == 200
    assert thumbnails(store) == []
    assert not list(store.temporary_folder().glob(".incoming-*"))


def test_thumbnails_are_for_those_who_may_see_the_image(serve, store):
    ask, key = serve(image_routes(store, authorize=allows("ann"))), stored(store, large("PNG"))
    status, headers, _ = ask(f"/images/{key}?w=128", X_User="ann")
    assert (status, headers["cache-control"]) == (200, "private, max-age=31536000, immutable")
    for path in (f"{key}?w=128", f"{key}?w=7", f"00/{SECRET}.png?w=128"):
        assert ask(f"/images/{path}")[0] == 403
    assert ask(f"/images/00/{SECRET}.png?w=128", X_User="ann")[0] == 404
    assert ask(f"/images/_thumbnails/128/{key}", X_User="ann")[0] == 404, "only by its image's key"


def allows_async(wanted):
    async def allowed(request, key):
        return allows(wanted)(request, key)

    return allowed


def allows(wanted):
    return lambda request, key: request.headers.get("x-user") == wanted and key.endswith(".png")


@pytest.mark.parametrize("authorize", [allows("ann"), allows_async("ann")], ids=["sync", "async"])
def test_an_image_is_served_to_those_who_are_authorized(serve, store, authorize):
    ask, key = serve(image_routes(store, authorize=authorize)), stored(store, image("PNG"))
    status, headers, _ = ask(f"/images/{key}", X_User="ann")
    assert (status, headers["cache-control"]) == (200, "private, max-age=31536000, immutable")
    absent = f"/images/00/{SECRET}.png"
    etag = headers["etag"]
    for asked in (ask(f"/images/{key}"), ask(absent), ask(f"/images/{key}", If_None_Match=etag)):
        assert (asked[0], asked[2]) == (403, b""), "strangers do not even learn what is there"


def test_the_prefix_and_the_store_can_be_chosen(serve, tmp_path):
    key = stored(FsspecImageStore(str(tmp_path / "s")), image("PNG"))
    ask = serve(image_routes(str(tmp_path / "s"), prefix="/drawn/by/us/"))
    assert ask(f"/drawn/by/us/{key}")[0] == 200
    assert ask(f"/images/{key}")[0] == 404


@pytest.mark.slow
def test_without_starlette_the_error_names_what_to_install():
    program = "import sys; sys.modules['starlette'] = None; import langchain_mistral_imagegen.web"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'langchain-mistral-imagegen[web]'" in done.stderr


def test_what_is_no_place_for_images_is_refused():
    with pytest.raises(InvalidInputError, match="image_store=42 is no place for images"):
        image_routes(42)
