"""Whether requests are traced: not at all, unless the standard variables name an OTLP endpoint."""

from collections.abc import Callable, Mapping
from typing import Protocol

from starlette.types import Scope

from registry import extras
from serving.errors import ServingError
from serving.tracing.finished import Finished
from serving.worker.metrics import Metrics

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
YES = frozenset({"true", "1", "span_only", "span_and_event"})


class Tracing(Protocol):
    """Traces requests, or does not. Nothing of it raises once a worker runs, and nothing waits."""

    def begin(self, scope: Scope) -> None:
        """A request is here; what is awaited in this context from now on belongs to its trace."""

    def finish(self, finished: Callable[[], Finished]) -> None:
        """The request of this context has ended; `finished` is asked for only where its spans are wanted."""

    async def close(self) -> None:
        """Sends what waits, for a moment."""


class Off:
    """Nobody wants spans."""

    def begin(self, _: Scope) -> None:
        """Nothing begins."""

    def finish(self, _: Callable[[], Finished]) -> None:
        """Nothing is told."""

    async def close(self) -> None:
        """Nothing waits."""


def from_environment(environment: Mapping[str, str], metrics: Metrics) -> Tracing:
    """By OpenTelemetry's own variables. Raises ServingError for a protocol that is not spoken."""
    endpoint = next((name for name in ENDPOINTS if environment.get(name)), None)
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    if endpoint is None or disabled:
        return Off()
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), HTTP)
    if protocol != HTTP:
        raise ServingError(
            f"{endpoint} is set, and spans are sent by {HTTP} only, not {protocol}.", next_step="Name an OTLP/HTTP endpoint."
        )
    extras.need("otel")
    from serving.tracing.otlp import Otlp  # the SDK is in no worker that sends nothing

    return Otlp(metrics.spans, texts=environment.get(CONTENT, "").lower() in YES)
