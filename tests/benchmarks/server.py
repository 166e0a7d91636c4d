"""A server that costs as little as Python can, in a process of its own: what is measured is the client.

The base URL sets how it answers, `http://127.0.0.1:1234/latency=0.03&events=2000`:

    latency   seconds before each answer
    events    pieces of text in a stream
    images    in an answer, 1 by default
    at_once   events in one HTTP chunk; 1 by default, as on the wire

An image's id is its size and a number: `1500000-7`.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from urllib.parse import parse_qsl, urlencode

import answers

IMAGE = 1_500_000  # bytes of an image in a conversation
_LARGEST = 256_000_000
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Server:
    def __init__(self, filler: IO[bytes]) -> None:
        from PIL import Image

        jpeg = io.BytesIO()
        Image.new("RGB", (16, 16)).save(jpeg, "JPEG")
        self._jpeg = jpeg.getvalue()
        self._filler = filler
        self._numbers = itertools.count(1)
        self._last: dict[str, str] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                _, options, path = head.split(b" ", 2)[1].decode().split("/", 2)
                settings = dict(parse_qsl(options))
                await asyncio.sleep(float(settings.get("latency", 0)))
                await self._answer(path.removeprefix("v1/").split("/"), settings, body, writer)

    async def _answer(self, path: list[str], settings: Any, body: bytes, writer: asyncio.StreamWriter) -> None:
        match path:
            case ["files", file_id, "content"]:
                await self._image(file_id, writer)
                return
            case [kind, *_] if re.search(rb'"stream": ?true', body):
                events, at_once = int(settings["events"]), int(settings.get("at_once", 1))
                writer.write(_head("text/event-stream", "transfer-encoding: chunked"))
                writer.write(answers.stream(kind, events, at_once))
            case ["conversations", conversation_id, "history"]:
                _json(writer, answers.history(conversation_id, self._last[conversation_id]))
            case ["conversations", *given]:
                number = next(self._numbers)
                conversation_id = given[0] if given else f"conv_{number}"
                self._last[conversation_id] = f"msg_{number}"
                images = int(settings.get("images", 1))
                _json(writer, answers.conversation(conversation_id, number, f"{IMAGE}-{number}", images))
            case ["chat", "completions"]:
                _json(writer, answers.completion())
            case ["responses"]:
                _json(writer, answers.openai_response())
        await writer.drain()

    async def _image(self, file_id: str, writer: asyncio.StreamWriter) -> None:
        size = int(file_id.partition("-")[0])
        start = self._jpeg + file_id.encode().ljust(64)
        writer.write(_head("application/octet-stream", f"content-length: {size}") + start)
        await asyncio.get_running_loop().sendfile(writer.transport, self._filler, 0, size - len(start))


def _head(kind: str, length: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{length}\r\n\r\n".encode()


def _json(writer: asyncio.StreamWriter, value: Any) -> None:
    body = json.dumps(value).encode()
    writer.write(_head("application/json", f"content-length: {len(body)}") + body)


async def main() -> None:
    with tempfile.TemporaryFile() as filler:
        os.truncate(filler.fileno(), _LARGEST)
        server = await asyncio.start_server(Server(filler).serve, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until whoever started it is gone


class Address:
    def __init__(self, port: int) -> None:
        self._port = port

    def url(self, **settings: float) -> str:
        return f"http://127.0.0.1:{self._port}/{urlencode(settings) or 'plain'}"


@contextmanager
def running() -> Iterator[Address]:
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Address(int(process.stdout.readline()))
        process.stdin.close()


if __name__ == "__main__":
    asyncio.run(main())
