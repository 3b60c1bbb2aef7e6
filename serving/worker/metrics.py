"""Figures for Prometheus: requests, latency, decisions by LLM, cost, swaps, errors. Labels come from closed sets only."""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.events import Event, ScorerSwapped
from serving.settings import MULTIPROCESS_DIR

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Figures of one process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("routemoa_requests", "Answered requests", ["route", "method", "status"], registry=registry)
        self.latency = Histogram("routemoa_request_seconds", "Until the last byte", ["route"], buckets=SECONDS, registry=registry)
        self.scoring = Histogram("routemoa_scoring_seconds", "The scorer's part of a decision", buckets=SECONDS, registry=registry)
        self.answers = Counter("routemoa_answers", "Served answers by whose they are", ["virtual_model", "llm"], registry=registry)
        self.calls = Counter("routemoa_llm_calls", "Answered calls to LLMs, judges and aggregators", ["llm"], registry=registry)
        self.failures = Counter("routemoa_llm_failures", "Calls to LLMs that brought no answer", ["llm", "error"], registry=registry)
        self.cost = Counter("routemoa_cost_usd", "Spent on LLMs", ["llm"], registry=registry)
        self.cost_differs = Counter("routemoa_cost_differs", "Calls whose endpoint states another cost", ["llm"], registry=registry)
        self.unpriced = Counter("routemoa_unpriced_calls", "Answered calls whose cost nobody knows", ["llm"], registry=registry)
        self.energy = Counter("routemoa_energy_kwh", "Energy of calls whose LLM's is known", ["llm"], registry=registry)
        self.unmetered = Counter("routemoa_unmetered_calls", "Answered calls whose energy nobody knows", ["llm"], registry=registry)
        self.unsettled = Counter("routemoa_unsettled_usd", "At most what calls without a reply may cost on top", registry=registry)
        self.tokens = Counter("routemoa_tokens", "Tokens in and out of LLMs", ["direction"], registry=registry)
        self.explored = Counter("routemoa_explored", "Answers by an LLM that chance drew", ["llm"], registry=registry)
        self.exploration = Counter("routemoa_exploration_usd", "Expected cost of drawn LLMs beyond the usual ones", registry=registry)
        self.sessions = Counter("routemoa_session_turns", "Answered requests of sessions", ["why", "stayed"], registry=registry)
        self.errors = Counter("routemoa_errors", "Errors answered", ["code"], registry=registry)
        self.events = Counter("routemoa_events", "What happened to the server", ["event"], registry=registry)
        self.spans = Counter("routemoa_spans", "Spans for OpenTelemetry: sent, failed or dropped", ["result"], registry=registry)
        self.shadowed = Counter(
            "routemoa_shadowed", "Served requests scored by a version beside the one that answered", ["result"], registry=registry
        )
        self.in_flight = Gauge("routemoa_in_flight", "Chat and route requests now", registry=registry, multiprocess_mode="livesum")
        self.version = Gauge(
            "routemoa_scorer_version",
            "1 for the active version, 0 for earlier ones",
            ["version"],
            registry=registry,
            multiprocess_mode="livemax",
        )

    def note(self, event: Event) -> None:
        """Counts an event; handler of `serving.events.Events`."""
        self.events.labels(type(event).__name__).inc()
        if isinstance(event, ScorerSwapped):
            if event.previous is not None:
                self.version.labels(event.previous).set(0)
            self.version.labels(event.version).set(1)

    def text(self) -> bytes:
        """Everything in Prometheus' text format; of all workers where there are several."""
        if MULTIPROCESS_DIR not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
