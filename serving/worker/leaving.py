"""SIGTERM behind a balancer: first `/readyz` says no, then, when nothing comes any more, the server closes and ends what is in flight.

A server that closed at once would refuse what the balancer sends until its next check. uvicorn's own way of ending begins `leave_s` later.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Leaving:
    """begun: whether the server was told to end. said: called once, in the event loop."""

    def __init__(self, leave_s: float, said: Callable[[float], None]) -> None:
        self.begun = False
        self._leave_s, self._said = leave_s, said

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """In the event loop of a server: its SIGTERM takes effect later. A second one, and Ctrl-C, are heeded at once."""
        if self._leave_s <= 0 or threading.current_thread() is not threading.main_thread():
            yield
            return
        loop, end = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

        def leave(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGTERM, end)
            loop.call_soon_threadsafe(self._leave, lambda: end(number, frame) if callable(end) else None)

        signal.signal(signal.SIGTERM, leave)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, end)

    def _leave(self, end: Callable[[], None]) -> None:
        self.begun = True
        self._said(self._leave_s)
        asyncio.get_running_loop().call_later(self._leave_s, end)
