"""Spans on their way out of the process: over HTTP, as an OpenTelemetry collector receives them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest
from engines import RAN
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from langchain_mistral_imagegen.sandbox import Behavior

PROMPT = "Draw a very secret boat."


@contextmanager
def receiver(received: list[bytes]) -> Iterator[str]:
    """Run a server that keeps the bodies of what is sent to it, and yield its URL for spans."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_collector_receives_the_spans(face, sandbox, model, monkeypatch):
    exporters = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    sandbox.behavior = Behavior(images=2)
    received: list[bytes] = []
    with receiver(received) as url:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(exporters.OTLPSpanExporter(endpoint=url)))
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        await face.call(model, "invoke", PROMPT)
        provider.shutdown()  # sends what is waiting
    RAN["OTLP over HTTP"] = f"(opentelemetry-proto {version('opentelemetry-proto')})"
    spans = {
        span.name: {attribute.key: attribute.value for attribute in span.attributes}
        for body in received
        for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        if scope.scope.name == "langchain_mistral_imagegen"
        for span in scope.spans
    }
    chat = spans["chat mistral-medium-latest"]
    assert chat["gen_ai.provider.name"].string_value == "mistral_ai"
    assert chat["gen_ai.usage.output_tokens"].int_value > 0
    assert chat["langchain_mistral_imagegen.connectors.image_generation"].int_value == 2
    assert not any(b"secret" in body for body in received), "contents are not sent"
