"""A small HTTP server that answers with whatever a test wants, also what never ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """A response; its pieces are sent as they are, and there may be no end to them."""

    pieces: Iterable[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class HostileServer:
    """What is answered to which path, and which paths were asked for."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    world = HostileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            world.asked.append(self.path)
            world.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer = world.answers.get(self.path.partition("?")[0], Answer([b"{}"], 404))
            with suppress(OSError):  # the client has read enough
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.flush_headers()  # there may be no end to these either
                    self.send_header(name, value)
                self.end_headers()
                for piece in answer.pieces:
                    self.wfile.write(piece)

        do_POST = do_GET  # noqa: N815  # the library's name

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        world.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield world
        server.shutdown()
        thread.join()
