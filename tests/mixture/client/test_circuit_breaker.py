"""When an endpoint is left alone: most of its last calls failed, not those of one caller; and for how long."""

import math

from mixture.client.circuit_breaker import LONGEST_COOL_DOWN, REMEMBERED_S, SILENT_S, Breaker


def opened(breaker: Breaker, now: float = 0.0) -> bool:
    return not breaker.admits(now)


def test_it_opens_on_a_rate() -> None:
    """Five failures open it where they are half of what was asked lately, not among twice as many answers."""
    busy = Breaker(failures=5)
    for _ in range(12):
        busy.succeeded(0.0, 1.0)
    for _ in range(6):
        busy.failed(0.0)
    assert not opened(busy)
    quiet = Breaker(failures=5)
    quiet.succeeded(0.0, 1.0)
    for _ in range(4):
        quiet.failed(0.0)
    assert not opened(quiet)
    quiet.failed(0.0)
    assert opened(quiet)
    assert quiet.lately(0.0) == (5, 6)


def test_failures_of_long_ago_do_not_count() -> None:
    """Failures further apart than what is remembered never open it."""
    breaker = Breaker(failures=2)
    for at in range(5):
        now = (REMEMBERED_S + 1) * at
        breaker.failed(now)
        assert not opened(breaker, now)


def test_the_cool_down_doubles_with_each_failed_trial() -> None:
    """A trial costs its caller the wait; after an answer everything is as at first."""
    breaker = Breaker(failures=1, cool_down_s=10.0)
    breaker.failed(0.0)
    now = 0.0
    for cool_down_s in (10.0, 20.0, 40.0, 60.0, 60.0):
        assert opened(breaker, now + cool_down_s - 0.1)
        now += cool_down_s
        assert breaker.admits(now)
        assert opened(breaker, now)  # one trial at a time
        breaker.failed(now)
    assert LONGEST_COOL_DOWN == 6.0
    assert breaker.admits(now + 60.0)
    breaker.succeeded(now + 61.0, 1.0)
    breaker.failed(now + 62.0)
    assert breaker.opens_in(now + 62.0) == 10.0


def test_a_silence_is_a_fault_where_it_is_unusually_long() -> None:
    """Longer than callers' short deadlines, and than twice the slowest answer; or as long as the operator's deadline allows."""
    breaker = Breaker(failures=1)
    breaker.silent(0.0, SILENT_S - 0.1, math.inf)
    assert not opened(breaker)
    breaker.succeeded(0.0, 10.0)
    breaker.silent(0.0, 19.0, math.inf)
    assert breaker.lately(0.0) == (0, 1)
    breaker.silent(0.0, 20.0, math.inf)
    assert opened(breaker)
    strict = Breaker(failures=1)
    strict.silent(0.0, 1.5, 1.5)
    assert opened(strict)
