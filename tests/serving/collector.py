"""A real OTLP/HTTP collector of a few lines: takes spans, or is slow, or refuses them."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Taken:
    """One span as it was sent; ids in hex."""

    name: str
    trace: str
    id: str
    parent: str
    start_ns: int
    end_ns: int
    error: bool
    attributes: dict[str, Any]


@dataclass
class Collector:
    """url: for OTEL_EXPORTER_OTLP_ENDPOINT. status: of its answers, after `takes_s`."""

    url: str = ""
    status: int = 200
    takes_s: float = 0.0
    spans: list[Taken] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)

    def wait_for(self, count: int, seconds: float = 60) -> list[Taken]:
        """All spans once there are so many."""
        give_up = time.monotonic() + seconds
        while len(self.spans) < count:
            assert time.monotonic() < give_up, f"{len(self.spans)} spans: {[each.name for each in self.spans]}"
            time.sleep(0.02)
        return list(self.spans)

    def take(self, content: bytes) -> None:
        """Reads one request."""
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            self.resource = _attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += [
                    Taken(
                        each.name,
                        each.trace_id.hex(),
                        each.span_id.hex(),
                        each.parent_span_id.hex(),
                        each.start_time_unix_nano,
                        each.end_time_unix_nano,
                        each.status.code == 2,
                        _attributes(each.attributes),
                    )
                    for each in scope.spans
                ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector while it runs."""
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(made.takes_s)
            if made.status == 200:
                made.take(content)
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()
