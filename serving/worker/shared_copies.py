"""What a server copies from the database that hosts share, again and again, and whether that answers.

Keys and what the monitor found lie in files of each host: they are in force while the database is away. Nothing else is then: a record that
is not kept may not be acknowledged, so `/readyz` takes the host out, and requests are refused before an LLM is paid.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from monitoring import looks
from monitoring.errors import RecordNotKept, RecordsRefused
from serving.access import shared_keys
from serving.errors import KeysRefused
from serving.events import Events, KeysFileRefused
from serving.settings import ServingSettings

NEXT_STEP = "Ask again: a balancer that follows /readyz sends it to another host. This one comes back by itself."


class SharedCopies:
    """Of one worker. clock: seconds. Without a shared database there is nothing to copy, and nothing that could not answer."""

    def __init__(self, settings: ServingSettings, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._events, self._clock = settings, events, clock
        self._shares = bool(settings.database_url.get_secret_value())
        self._failure: str | None = None
        self._answered_at = clock()
        # a thread of its own: those of requests may all wait for a database that does not answer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="copies") if self._shares else None

    @property
    def refusal(self) -> RecordNotKept | None:
        """Why nothing can be kept, None where the database answers, or none is shared."""
        if not self._shares:
            return None
        if self._failure is not None:
            return RecordNotKept(self._failure, next_step=NEXT_STEP)
        silent_s = self._clock() - self._answered_at
        if silent_s > self._settings.database_silent_s:
            return RecordNotKept(f"The database has not answered for {silent_s:.0f} s.", next_step=NEXT_STEP)
        return None

    async def first(self) -> None:
        """Before the first request. Raises KeysRefused where there is no copy of the keys to go on with."""
        if self._thread is not None:
            try:
                await self._copied(self._thread)
            except (KeysRefused, RecordsRefused) as exc:
                if not self._settings.keys_file.exists():
                    raise
                self._fails(exc)

    async def follow(self) -> None:
        """Until cancelled; says once that the database is away."""
        while self._thread is not None:
            await asyncio.sleep(self._settings.poll_s)
            try:
                await self._copied(self._thread)
            except (KeysRefused, RecordsRefused) as exc:
                self._fails(exc)

    def close(self) -> None:
        """Waits for nothing."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _copied(self, thread: ThreadPoolExecutor) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(thread, _copy, self._settings)
        except (KeysRefused, RecordsRefused):
            raise
        except Exception as exc:  # a full disk, or what a newer host wrote: following goes on
            what = f"What hosts share is not copied here: {type(exc).__name__}: {exc}."
            next_step = f"See whether {self._settings.var} can be written, and whether all hosts run one release."
            raise KeysRefused(what, next_step=next_step) from exc
        self._answered_at, self._failure = self._clock(), None

    def _fails(self, error: KeysRefused | RecordsRefused) -> None:
        if self._failure is None:
            self._events.emit(KeysFileRefused(str(error)))
        self._failure = error.what


def _copy(settings: ServingSettings) -> None:
    shared_keys.refresh(settings)
    looks.refresh(settings)
