"""Leaves a failing endpoint alone for a while: closed, open after failures in a row, half-open for one trial after a cool-down."""

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """One endpoint's breaker. It reads no clock: `now` is monotonic seconds, given with every call.

    failures: how many in a row open it. cool_down_s: how long it then stays open before one trial call goes through.
    """

    failures: int = 5
    cool_down_s: float = 10.0
    _failed_in_a_row: int = 0
    _opened_at: float | None = None
    _trial_running: bool = False

    def admits(self, now: float) -> bool:
        """Whether a call may go now; after the cool-down exactly one may, until its end is reported."""
        if self._opened_at is None:
            return True
        if self._trial_running or now - self._opened_at < self.cool_down_s:
            return False
        self._trial_running = True
        return True

    def succeeded(self) -> None:
        """A call was answered: closed again."""
        self._failed_in_a_row, self._opened_at, self._trial_running = 0, None, False

    def failed(self, now: float) -> None:
        """A call failed by the endpoint's fault."""
        self._failed_in_a_row += 1
        if self._trial_running or self._failed_in_a_row >= self.failures:
            self._opened_at, self._trial_running = now, False

    def abandoned(self) -> None:
        """A call ended without telling anything of the endpoint (cancelled, refused): the next one may be the trial."""
        self._trial_running = False

    def opens_in(self, now: float) -> float:
        """Seconds until the next trial may go, 0 where it may now."""
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + self.cool_down_s - now)
