"""A few hundred simulated requests keep every limit; `python -m benchmarks.mixture_limits` runs ten thousand."""

import pytest

from benchmarks import mixture_limits
from mixture.run import calls
from mixture.run.ledger import Ledger

QUERIES = range(400)


def test_no_limit_is_passed() -> None:
    """Faults, garbled judgements, budgets below one call: nothing overspent or late, nothing left running, the best answer returned."""
    found = mixture_limits.limits(mixture_limits.simulate(1, QUERIES))
    assert found["violations"] == {}
    assert found["worst beyond the budget of the others, usd"] == 0
    assert found["worst beyond the deadline, s"] < 1e-9
    assert {"budget", "deadline", "no answer: budget", "no answer: deadline", "the caller hung up"} <= found["ended"].keys()


def test_the_simulation_notices_a_budget_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that finds room for every call is caught."""
    monkeypatch.setattr(Ledger, "_fits", lambda _ledger, _most_usd: True)
    found = mixture_limits.limits(mixture_limits.simulate(1, range(100)))
    assert found["violations"]["over its budget"] > 0


def test_the_simulation_notices_retries_that_nobody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tries again without asking spends more than the record says."""
    monkeypatch.setattr(calls, "_never", lambda _failed: True)
    found = mixture_limits.limits(mixture_limits.simulate(1, range(200)))
    assert found["violations"]["the record says less than was spent"] > 0


def test_requests_at_once_change_nothing_for_each_other() -> None:
    """Each gets the decision it gets alone, to the order of its failures."""
    assert mixture_limits.sharing(2, 60)["differ"] == 0


def test_a_request_of_seven_calls_takes_little_of_its_own() -> None:
    """CPU outside the calls, with answers of 1,200 characters, within twice the benchmark's bar: a slow machine passes that alone."""
    assert mixture_limits.own_work(0, 25, 1200)["mean cpu ms"][0] <= 2 * mixture_limits.CPU_BAR_MS
