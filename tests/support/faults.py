"""A proxy in front of the sandbox that misbehaves on real sockets: it cuts, resets, delays and garbles answers."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

MISTRALS_OWN = '{"object": "error", "message": "Service unavailable.", "type": "internal_server_error", "code": 3000}'
HTML = b"<html><body>Welcome</body></html>"
BOMB = gzip.compress(bytes(200_000_000))
STATUSES = {"400": "Bad Request", "408": "Request Timeout", "429": "Too Many Requests", "500": "Internal Server Error", "502": "Bad Gateway",
            "503": "Service Unavailable", "504": "Gateway Timeout", "307": "Temporary Redirect"}  # fmt: skip


class FaultyProxy:
    """Passes requests on to a server; those that match suffer a fault.

    Attributes:
        fault: Name of the fault; `""` for none.
        matches: Whether a request suffers, by its first line.
        hit: First lines of the requests that suffered.
    """

    def __init__(self, url: str) -> None:
        self._target = (urlsplit(url).hostname, urlsplit(url).port)
        self.fault = ""
        self.matches: Callable[[str], bool] = lambda _: True
        self.hit: list[str] = []
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):  # on Linux closing alone leaves `accept` waiting, and the port open
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):  # a client may leave at any time, as may the server
            start = client.recv(4096, socket.MSG_PEEK).partition(b"\r\n")[0].decode()
            if self.fault == "reset before it was read" and self.matches(start):
                self.hit.append(start)
                _reset(client)
                return
            request = _message(client)
            line = request.partition(b"\r\n")[0].decode()
            if not request:
                return
            if not (self.fault and self.matches(line)):
                client.sendall(self._answer(request))
                return
            self.hit.append(line)
            self._suffer(client, request)

    def _answer(self, request: bytes) -> bytes:
        with socket.create_connection(self._target) as server:
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            return b"".join(iter(lambda: server.recv(65536), b""))

    def _suffer(self, client: socket.socket, request: bytes) -> None:
        if self.fault[:3] in STATUSES:
            client.sendall(self._refusal(request))
            return
        if self.fault in CANNED:
            head = "HTTP/1.1 200 OK\r\nContent-Type: {0}\r\n{1}Content-Length: {2}\r\nConnection: close\r\n\r\n"
            kind, extra, content = CANNED[self.fault]
            client.sendall(head.format(kind, extra, len(content)).encode() + content)
            return
        answer = self._answer(request)  # the server carries it out
        head, _, body = answer.partition(b"\r\n\r\n")
        match self.fault:
            case "no answer":
                self._stop.wait(5)
            case "reset after it was read":
                _reset(client)
            case "reset in the body":
                client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])
                time.sleep(0.05)  # a reset overtakes what was sent
                _reset(client)
            case "body cut short":
                client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])
            case "a byte at a time":
                for place in range(0, len(answer), max(1, len(answer) // 200)):
                    client.sendall(answer[place : place + max(1, len(answer) // 200)])
                    time.sleep(0.001)
            case "203" | "206" | "wrong content type":
                client.sendall(_altered(head, self.fault) + b"\r\n\r\n" + body)

    def _refusal(self, request: bytes) -> bytes:
        status, _, detail = self.fault.partition(" ")
        if detail == "after it was read":
            self._answer(request)  # the server carries it out
        wait = f"Retry-After: {detail.removeprefix('with Retry-After ')}\r\n" if "Retry" in detail else ""
        place = "Location: http://127.0.0.1:1/elsewhere\r\n" if status == "307" else ""
        kind, body = ("application/json", MISTRALS_OWN) if "Mistral" in detail else ("text/plain", "Service said no.")
        return (
            f"HTTP/1.1 {status} {STATUSES[status]}\r\n{wait}{place}Content-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()


CANNED: dict[str, tuple[str, str, bytes]] = {
    "HTML": ("text/html", "", HTML),
    "empty body": ("application/json", "", b""),
    "no JSON": ("application/json", "", b'{"object": "conv'),
    "gzip bomb": ("application/json", "Content-Encoding: gzip\r\n", BOMB),
}


def _altered(head: bytes, fault: str) -> bytes:
    """Return the head of an answer with another status or content type."""
    status, *lines = head.split(b"\r\n")
    if fault.isdigit():
        return b"\r\n".join([f"HTTP/1.1 {fault} Altered".encode(), *lines])
    kept = [line for line in lines if not line.lower().startswith(b"content-type")]
    return b"\r\n".join([status, *kept, b"Content-Type: text/plain"])


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _message(client: socket.socket) -> bytes:
    """Read a request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece: Any = client.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted:
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body
