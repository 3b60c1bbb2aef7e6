"""The trace of one request: its ids, when it began, and the ids of the calls that were made under it (W3C Trace Context)."""

import re
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

_TRACEPARENT = re.compile(r"(?!ff|00.{53}.)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)


def new_trace_id() -> int:
    """Random, never 0."""
    return secrets.randbits(128) or 1


def new_span_id() -> int:
    """Random, never 0."""
    return secrets.randbits(64) or 1


@dataclass(frozen=True, slots=True)
class Parent:
    """The caller's span. sampled: whether the caller keeps this trace."""

    trace_id: int
    span_id: int
    sampled: bool

    @classmethod
    def of(cls, header: str | None) -> "Parent | None":
        """What `traceparent` says, None where it is missing or malformed, which the standard has one ignore."""
        match = _TRACEPARENT.fullmatch(header or "")
        if match is None:
            return None
        trace_id, span_id = int(match[1], 16), int(match[2], 16)
        return cls(trace_id, span_id, bool(int(match[3], 16) & 1)) if trace_id and span_id else None


@dataclass(slots=True)
class RequestTrace:
    """began_ns: since the epoch; began_at: the same moment on the engine's clock. calls: by LLM, the ids of its calls' spans in order."""

    trace_id: int
    parent: Parent | None
    sampled: bool
    began_ns: int = field(default_factory=time.time_ns)
    began_at: float = field(default_factory=time.monotonic)
    span_id: int = field(default_factory=new_span_id)
    calls: dict[str, list[int]] = field(default_factory=dict)

    def call_begins(self, llm: str) -> Mapping[str, str]:
        """The headers of the next call to this LLM: its span is the parent of what the endpoint traces."""
        span_id = new_span_id()
        self.calls.setdefault(llm, []).append(span_id)
        return {"traceparent": f"00-{self.trace_id:032x}-{span_id:016x}-{int(self.sampled):02x}"}

    def ns(self, at: float) -> int:
        """A moment of the engine's clock, since the epoch."""
        return self.began_ns + max(0, round((at - self.began_at) * 1e9))


CURRENT: ContextVar[RequestTrace | None] = ContextVar("CURRENT", default=None)
