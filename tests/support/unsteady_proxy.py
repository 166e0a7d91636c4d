"""A proxy in front of an object store that plays what goes wrong on the way: errors, and connections that are cut."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_ERROR = "<Error><Code>{code}</Code><Message>{message}</Message></Error>"
CONFLICT = (409, _ERROR.format(code="ConditionalRequestConflict", message="The conditional request cannot succeed."))
UNNAMED_CONDITION = (412, _ERROR.format(code="PreconditionFailed", message="At least one of the pre-conditions ..."))
UNAVAILABLE = (503, _ERROR.format(code="ServiceUnavailable", message="Please try again."))
DENIED = (403, _ERROR.format(code="AccessDenied", message="Access Denied"))
CUT = (0, "")
LOST = "the request is carried out, and the connection is cut instead of an answer"
TORN = "the request is carried out, and the connection is cut in the middle of the answer"
Fault = tuple[int, str] | str | None


class UnsteadyProxy:
    """Passes requests on, but plays the next of `faults` for a request of the method `when`, or of any.

    With `always`, every request gets this fault. A fault that is `None` is none.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.faults: deque[Fault] = deque()
        self.always: Fault = None
        self.when: str | None = "PUT"
        self.methods: list[str] = []
        self.url = ""

    def next_fault(self, method: str) -> Fault:
        self.methods.append(method)
        return self.faults.popleft() if self.faults and self.when in {method, None} else self.always


def _handler(proxy: UnsteadyProxy) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60  # seconds until a client that says nothing is left

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = proxy.next_fault(self.command)
            if isinstance(fault, tuple):
                self.finish_with(*fault)
            else:
                self.pass_on(body, fault)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815  # the base class's names

        def finish_with(self, status: int, text: str) -> None:
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        def pass_on(self, body: bytes, fault: str | None) -> None:
            upstream = http.client.HTTPConnection(proxy.upstream, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            data = response.read()
            upstream.close()
            if fault == LOST:
                self.close_connection = True
                return
            self.close_connection |= fault == TORN
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length", "server", "date"}:
                    self.send_header(name, value)
            length = response.headers["Content-Length"] if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if fault == TORN else data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up when they have had enough."""


@contextmanager
def unsteady(upstream: str) -> Iterator[UnsteadyProxy]:
    """Run a proxy in front of a server."""
    proxy = UnsteadyProxy(upstream)
    server = _Server(("127.0.0.1", 0), _handler(proxy))
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
