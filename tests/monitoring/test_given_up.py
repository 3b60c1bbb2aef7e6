"""What quality was given up: estimated from audits, with an interval that holds the truth, or said to be unknown."""

import numpy as np
import pytest

from monitoring.given_up import by_name, correction, of_some
from monitoring.quality import Answers
from monitoring.served_answers import Beside

REPLAYS = 200


def served(
    rng: np.random.Generator, n: int = 3000, *, share: float = 0.05, bias: float = 0.0, own: float = 0.3, elsewhere: float = 1.0
) -> tuple[Beside, float]:
    """N answers, a share `own` by the baseline `dear`, and the true change.

    The scorer's promises of `dear` are too high by `bias`, and by a part `elsewhere` of it where others answered.
    """
    score_N, own_N = rng.beta(5, 2, size=n), rng.random(n) < own
    truth_N = np.clip(score_N - bias * np.where(own_N, 1.0, elsewhere), 0, 1)
    cheap_N = np.clip(truth_N - 0.05 + 0.1 * rng.normal(size=n), 0, 1)
    quality_N = np.where(own_N, truth_N, cheap_N)
    drawn_N = rng.random(n) < share
    grade_N = np.where(drawn_N, (rng.random(n) < quality_N).astype(np.float64), np.nan)
    names = np.full(n, "x")
    forecast_N = np.where(own_N, score_N, cheap_N + bias)
    answers = Answers(
        version_N=names,
        domain_N=np.where(rng.random(n) < 0.5, "law", "code").astype(np.str_),
        llm_N=np.where(own_N, "dear", "cheap").astype(np.str_),
        key_N=names,
        forecast_N=forecast_N,
        promised_N=forecast_N,
        drawn_with_N=np.where(drawn_N, share, np.nan),
        grade_N=grade_N,
        opinion_N=np.full(n, np.nan),
        usd_N=np.zeros(n),
    )
    return Beside(answers, np.full(n, "2026-11-02"), score_N), float((quality_N - truth_N).mean())


@pytest.mark.parametrize(("bias", "elsewhere"), [(0.0, 1.0), (0.15, 1.0), (0.15, 0.5), (0.15, 0.0)])
def test_the_interval_holds_the_truth(bias: float, elsewhere: float) -> None:
    """In about 95 of 100 replays at least, whether promises are kept or not, and wherever they are broken."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(REPLAYS):
        found, truth = served(rng, bias=bias, elsewhere=elsewhere)
        change = by_name(found, "dear", "day")[None]
        assert change.low is not None
        assert change.high is not None
        held += change.low <= truth <= change.high
    assert held / REPLAYS >= 0.92


@pytest.mark.parametrize(("by", "names"), [("domain", {"law", "code", None}), ("key", {"x", None}), ("day", {"2026-11-02", None})])
def test_groups_have_their_own(by: str, names: set[str | None]) -> None:
    """By domain, key and day; the whole stands beside them."""
    found, _ = served(np.random.default_rng(1))
    assert set(by_name(found, "dear", by)) == names


def test_who_was_always_the_baseline_gave_nothing_up() -> None:
    """Exactly nothing, with no audit at all."""
    found, _ = served(np.random.default_rng(2), own=1.1, share=0.0)
    change = by_name(found, "dear", "day")[None]
    assert (change.change, change.low, change.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("share", "own", "why"), [(0.0, 0.3, "not known: 0 audits"), (0.05, 0.0, "not known: 0 audits of answers by dear")]
)
def test_too_few_audits_are_said(share: float, own: float, why: str) -> None:
    """A forecast stands there, without an interval."""
    found, _ = served(np.random.default_rng(3), share=share, own=own)
    change = by_name(found, "dear", "day")[None]
    assert (change.low, change.high, change.why) == (None, None, why)
    assert change.change is not None


def test_a_baseline_that_no_scorer_knew_is_not_judged() -> None:
    """Nothing is said of it."""
    found, _ = served(np.random.default_rng(4), n=50)
    blind = Beside(found.answers, found.day_N, np.full(50, np.nan))
    right = correction(blind, "dear", confidence=0.95)
    change = of_some(blind, "dear", np.ones(50, dtype=np.bool_), right, confidence=0.95)
    assert (change.change, change.why) == (None, "not known: no answer whose scorer knew the baseline")
