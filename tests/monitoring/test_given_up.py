"""What quality was given up: estimated from audits, with an interval that holds the truth, or said to be unknown."""

import numpy as np
import pytest

from benchmarks.ledger import World, beside, world
from monitoring.quality.given_up import by_name, correction, of_some
from tests.monitoring.row_by_row import Rows, change

REPLAYS = 200
EVERY = slice(None)


@pytest.mark.parametrize(("bias", "elsewhere"), [(0.0, 1.0), (0.15, 1.0), (0.15, 0.5), (0.15, 0.0)])
def test_the_interval_holds_the_truth(bias: float, elsewhere: float) -> None:
    """In about 95 of 100 replays at least, whether promises are kept or not, and wherever they are broken."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(REPLAYS):
        found = world(rng, bias=bias, elsewhere=elsewhere)
        told = by_name(found.of(EVERY))[None]
        assert told.low is not None
        assert told.high is not None
        held += told.low <= found.change_N.mean() <= told.high
    assert held / REPLAYS >= 0.92


def test_a_period_of_many_answers_is_told_whole() -> None:
    """What was given up changes in it: the interval of all its answers holds the truth, that of the newest 20,000 does not."""
    found = world(np.random.default_rng(6), 60_000, worse=0.25, until=0.6)
    truth = float(found.change_N.mean())
    whole, newest = (by_name(found.of(rows))[None] for rows in (EVERY, slice(-20_000, None)))
    assert whole.low is not None
    assert whole.high is not None
    assert whole.low <= truth <= whole.high
    assert newest.low is not None
    assert newest.low > truth


@pytest.mark.parametrize("seed", range(12))
def test_sums_and_audits_say_what_every_answer_says(seed: int) -> None:
    """The same figures for every group; domains with few audits, judges beside people, and scorers that did not know the baseline, too."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 1500))
    found = world(rng, n, bias=0.1, share=float(rng.choice([0.02, 0.1, 0.4])))
    answers, name_N = found.answers, rng.choice(["a", "b", "c"], size=n)
    answers.domain_N[:] = rng.choice(["law", "code", "rare"], size=n, p=[0.6, 0.35, 0.05])
    drawn_N = ~np.isnan(answers.drawn_with_N)
    answers.drawn_with_N[drawn_N] = rng.uniform(0.05, 1.0, size=int(drawn_N.sum()))
    if seed % 2:
        judged_N = drawn_N & (rng.random(n) < 0.8)
        answers.opinion_N[judged_N] = np.clip(np.nan_to_num(answers.grade_N[judged_N]) * 0.8 + rng.random(int(judged_N.sum())) * 0.2, 0, 1)
        answers.grade_N[rng.random(n) < 0.4] = np.nan
    found.score_N[rng.random(n) < 0.1] = np.nan
    told, rows = by_name(beside(answers, found.score_N, name_N)), Rows(answers, found.score_N, name_N)
    assert set(told) == {None, *map(str, name_N)}
    for name, each in told.items():
        expected = change(rows, "dear", name)
        assert (each.audits, each.baseline_audits, each.why) == (expected.audits, expected.baseline_audits, expected.why)
        for one, other in ((each.change, expected.change), (each.low, expected.low), (each.high, expected.high)):
            assert one == (None if other is None else pytest.approx(other, abs=1e-9))


def test_groups_have_their_own() -> None:
    """And the whole stands beside them."""
    found = world(np.random.default_rng(1))
    assert set(by_name(beside(found.answers, found.score_N, found.answers.domain_N))) == {"law", "code", None}


def test_who_was_always_the_baseline_gave_nothing_up() -> None:
    """Exactly nothing, with no audit at all."""
    told = by_name(world(np.random.default_rng(2), own=1.1, share=0.0).of(EVERY))[None]
    assert (told.change, told.low, told.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("share", "own", "why"), [(0.0, 0.3, "not known: 0 audits"), (0.05, 0.0, "not known: 0 audits of answers by dear")]
)
def test_too_few_audits_are_said(share: float, own: float, why: str) -> None:
    """A forecast stands there, without an interval."""
    told = by_name(world(np.random.default_rng(3), share=share, own=own).of(EVERY))[None]
    assert (told.low, told.high, told.why) == (None, None, why)
    assert told.change is not None


def test_a_baseline_that_no_scorer_knew_is_not_judged() -> None:
    """Nothing is said of it."""
    found = world(np.random.default_rng(4), 50)
    blind = World(found.answers, np.full(50, np.nan), found.change_N).of(EVERY)
    right = correction(blind, confidence=0.95)
    told = of_some(blind, None, right, confidence=0.95)
    assert (told.change, told.why) == (None, "not known: no answer whose scorer knew the baseline")
