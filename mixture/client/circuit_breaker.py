"""Leaves a failing endpoint alone for a while: closed, open once most of its last calls failed, half-open for a trial after a cool-down."""

from collections import deque
from dataclasses import dataclass, field

REMEMBERED = 20  # calls; older ones say little about now
REMEMBERED_S = 900.0  # five calls that hang for the two minutes of the default deadline, one after the other, are within it
OPENS_AT = 0.5  # share of failures: one caller's bad requests are not most of them where others are answered
LONGEST_COOL_DOWN = 6.0  # times the first one: a trial costs its caller the wait
SILENT_S = 4.0  # a shorter silence is never held against an endpoint: callers choose their deadlines
USUAL = 2.0  # times the slowest of its lately answered calls, that an endpoint may be silent
FADES = 0.9  # of that slowest call's time, with each further answer


@dataclass(slots=True)
class Breaker:
    """One endpoint's breaker; it counts calls, not attempts. It reads no clock: `now` is monotonic seconds, given with every call.

    failures: how many of the last calls, and at least half of them, open it. cool_down_s: how long it then stays open before one trial
    call goes through; twice as long after each trial that fails.
    """

    failures: int = 5
    cool_down_s: float = 10.0
    _ended: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # when, and whether it failed
    _opened_at: float | None = None
    _trials: int = 0
    _trial_running: bool = False
    _slowest_s: float = 0.0

    def admits(self, now: float) -> bool:
        """Whether a call may go now; after the cool-down exactly one may, until its end is reported."""
        if self._opened_at is None:
            return True
        if self._trial_running or self.opens_in(now) > 0:
            return False
        self._trial_running = True
        return True

    def succeeded(self, now: float, took_s: float) -> None:
        """A call was answered: closed again. took_s: until the endpoint's first sign of life."""
        if self._opened_at is not None:
            self._ended.clear()
        self._ended.append((now, False))
        self._slowest_s = max(took_s, FADES * self._slowest_s)
        self._opened_at, self._trials, self._trial_running = None, 0, False

    def failed(self, now: float) -> None:
        """A call failed by the endpoint's fault."""
        self._ended.append((now, True))
        if self._trial_running:
            self._trials += 1
        failed, ended = self.lately(now)
        if self._trial_running or (failed >= self.failures and failed >= OPENS_AT * ended):
            self._opened_at, self._trial_running = now, False

    def silent(self, now: float, waited_s: float, fault_after_s: float) -> None:
        """A call was ended from our side after the endpoint had shown nothing for `waited_s`: its fault where that is unusually long.

        fault_after_s: the silence that is its fault in any case.
        """
        if waited_s >= min(max(SILENT_S, USUAL * self._slowest_s), fault_after_s):
            self.failed(now)
        else:
            self.abandoned()

    def abandoned(self) -> None:
        """A call ended without telling anything of the endpoint (cancelled, refused): the next one may be the trial."""
        self._trial_running = False

    def lately(self, now: float) -> tuple[int, int]:
        """How many of the last calls failed, and how many there were."""
        ended = [failed for at, failed in self._ended if now - at <= REMEMBERED_S]
        return sum(ended), len(ended)

    def opens_in(self, now: float) -> float:
        """Seconds until the next trial may go, 0 where it may now."""
        cool_down_s = self.cool_down_s * min(2.0**self._trials, LONGEST_COOL_DOWN)
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + cool_down_s - now)
