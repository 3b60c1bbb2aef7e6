"""By what headers an endpoint can tie a call to the trace of its request (W3C Trace Context), where somebody traces it.

Whoever answers a request says so in its context: calls are made in many tasks, and each task has its request's context.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar

NONE: Mapping[str, str] = {}
CALL_BEGINS: ContextVar[Callable[[str], Mapping[str, str]] | None] = ContextVar("CALL_BEGINS", default=None)


def trace_headers(llm: str) -> Mapping[str, str]:
    """The headers of a call to `llm` (its id) that begins now; none where nobody traces."""
    begins = CALL_BEGINS.get()
    return NONE if begins is None else begins(llm)
