"""Sends spans to an OTLP endpoint by OpenTelemetry's SDK, in a thread of its own; the one door to it.

Endpoint, headers, time-out, sampler, resource and batches are by the SDK's own variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER,
OTEL_SERVICE_NAME, OTEL_BSP_*). What a collector does not take in time is dropped and counted: it costs no request anything.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence

import structlog
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.types import Scope

from mixture.client.trace_headers import CALL_BEGINS
from serving.tracing.finished import Finished
from serving.tracing.request_trace import CURRENT, Parent, RequestTrace, new_trace_id
from serving.tracing.spans import Span, spans

SERVICE = "routemoa"
MOST_WAITING = 2048  # spans, by OTEL_BSP_MAX_QUEUE_SIZE; the SDK's default
CLOSE_S = 3.0  # that a stopping worker gives a collector
KINDS = {"server": api.SpanKind.SERVER, "client": api.SpanKind.CLIENT, "internal": api.SpanKind.INTERNAL}
log = structlog.get_logger("serving")


class Otlp:
    """Implements `serving.tracing.tracing.Tracing`. counted: spans by `result`: sent, failed (not taken by the endpoint), dropped.

    texts: whether spans hold prompts and answers. exporter: in place of the endpoint that the environment names.
    """

    def __init__(self, counted: Counter, *, texts: bool = False, exporter: SpanExporter | None = None) -> None:
        self._counted, self._texts = counted, texts
        self._exporter = _Counting(exporter or OTLPSpanExporter(), counted)
        self._ids = _Ids()
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
        self._provider = TracerProvider(resource=Resource.create(named), id_generator=self._ids, shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(self._exporter, max_queue_size=_most_waiting())
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer(SERVICE)
        self._handed = 0

    def begin(self, scope: Scope) -> None:
        """Takes up the caller's trace, or begins one."""
        parent = Parent.of(Headers(scope=scope).get("traceparent"))
        trace_id = parent.trace_id if parent else new_trace_id()
        sampled = self._provider.sampler.should_sample(_context(parent), trace_id, SERVICE).decision is Decision.RECORD_AND_SAMPLE
        trace = RequestTrace(trace_id, parent, sampled)
        CURRENT.set(trace)
        CALL_BEGINS.set(trace.call_begins)

    def finish(self, finished: Callable[[], Finished]) -> None:
        """Hands the request's spans to the thread that sends them; drops them where too many wait already."""
        trace = CURRENT.get()
        if trace is None or not trace.sampled:
            return
        CURRENT.set(None)
        try:
            made = spans(trace, finished(), texts=self._texts)
        except Exception:  # an answer is not lost for its trace
            log.exception("a request could not be traced")
            return
        if self._handed - self._exporter.settled + len(made) > _most_waiting():
            self._counted.labels("dropped").inc(len(made))
            return
        self._handed += len(made)
        for span in made:
            self._send(trace, span)

    async def close(self) -> None:
        """Sends what waits if the endpoint takes it in time."""
        flushing = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, CLOSE_S)
        self._exporter.shutdown()

    def _send(self, trace: RequestTrace, span: Span) -> None:
        self._ids.trace_id, self._ids.span_id = trace.trace_id, span.id
        above = trace.parent if span.parent is None else Parent(trace.trace_id, span.parent, sampled=True)
        context = _context(above, remote=span.parent is None)
        started = self._tracer.start_span(
            span.name,
            context,
            KINDS[span.kind],
            {**span.attributes, **({"error.type": span.error} if span.error else {})},
            start_time=span.start_ns,
        )
        if span.error is not None:
            started.set_status(api.StatusCode.ERROR)
        started.end(span.end_ns)


class _Ids(IdGenerator):
    """Gives each span the id it has already: endpoints were told it before there was a span."""

    trace_id = span_id = 0

    def generate_span_id(self) -> int:
        return self.span_id

    def generate_trace_id(self) -> int:
        return self.trace_id


class _Counting(SpanExporter):
    """An exporter whose work is counted. settled: spans that no longer wait, whatever became of them."""

    def __init__(self, exporter: SpanExporter, counted: Counter) -> None:
        self._exporter, self._counted, self.settled = exporter, counted, 0
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """In the sending thread."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.settled += len(spans)
            self._counted.labels("sent" if result is SpanExportResult.SUCCESS else "failed").inc(len(spans))
        return result

    def shutdown(self) -> None:
        """Once."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()


def _context(parent: Parent | None, *, remote: bool = True) -> Context:
    if parent is None:
        return Context()
    flags = api.TraceFlags(api.TraceFlags.SAMPLED if parent.sampled else api.TraceFlags.DEFAULT)
    span = api.NonRecordingSpan(api.SpanContext(parent.trace_id, parent.span_id, remote, flags))
    return api.set_span_in_context(span, Context())


def _most_waiting() -> int:
    written = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "")
    return int(written) if written.isdecimal() and int(written) > 0 else MOST_WAITING
