"""A bound on work that must not grow with the square of its input: an order of magnitude above what is usual. Times are for benchmarks."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """What runs within takes no more of this thread's CPU time; the collector's walks over what other tests left are not counted."""
    gc.disable()
    began = time.thread_time()
    try:
        yield
        took = time.thread_time() - began
    finally:
        gc.enable()
    assert took < seconds, f"{took:.2f} s"
