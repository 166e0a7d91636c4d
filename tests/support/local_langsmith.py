"""A LangSmith of one's own: takes what tracing sends, on loopback, and remembers it decompressed."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard
from langchain_core.tracers.langchain import wait_for_all_tracers
from langsmith import run_trees, utils

_PART = re.compile(rb'name="(?:post|patch)\.([0-9a-f-]+)\.?(\w*)"\r\n(?:.+\r\n)+\r\n(.*)\r\n')
_DECODED = {
    None: bytes,
    "gzip": gzip.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}


class LocalLangSmith:
    """Bodies of the requests that LangSmith's client sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def traced(self) -> bytes:
        """Wait until everything is sent, and return it."""
        wait_for_all_tracers()
        run_trees.get_cached_client().flush()
        return b"\n".join(self.bodies)

    def runs(self) -> list[dict[str, Any]]:
        """Wait until everything is sent, and return the runs as they ended, in the order in which they began."""
        runs: dict[str, dict[str, Any]] = {}
        for run_id, part, content in _PART.findall(self.traced()):
            value = json.loads(content)
            runs.setdefault(run_id.decode(), {}).update({part.decode(): value} if part else value)
        return sorted(runs.values(), key=lambda run: run["dotted_order"])


@contextmanager
def local_langsmith(monkeypatch: Any) -> Iterator[LocalLangSmith]:
    world = LocalLangSmith()
    about = {
        "version": "0.13.0",
        "instance_flags": {"zstd_compression_enabled": True},
        "batch_ingest_config": {"use_multipart_endpoint": True, "size_limit": 100, "scale_up_nthreads_limit": 1,
                                "scale_up_qsize_trigger": 1000, "scale_down_nempty_trigger": 4,
                                "size_limit_bytes": 20_000_000},
    }  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(about)

        def do_POST(self) -> None:
            body = self._chunks() if "chunked" in self.headers.get("transfer-encoding", "") else self._whole()
            world.bodies.append(_DECODED[self.headers.get("content-encoding")](body))
            self._answer({})

        do_PATCH = do_POST  # noqa: N815  # the library's name

        def _whole(self) -> bytes:
            return self.rfile.read(int(self.headers["content-length"]))

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def _answer(self, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("LANGSMITH_API_KEY", "for-the-collector")
        utils.get_env_var.cache_clear()
        monkeypatch.setattr(run_trees, "_CLIENT", None)
        try:
            yield world
        finally:
            world.traced()
            run_trees.get_cached_client().close()
            monkeypatch.delenv("LANGSMITH_TRACING")
            utils.get_env_var.cache_clear()
            server.shutdown()
