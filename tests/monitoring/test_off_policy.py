"""The value of another policy from logged draws: against sums by hand, every possible log, and many logs of a small world."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from monitoring.policies import off_policy
from monitoring.policies.off_policy import Doubles, Logged, as_served, difference, share_needed, value

Ints = np.ndarray[tuple[int], np.dtype[np.intp]]


def logged(**given: object) -> Logged:
    """Requests with the given columns; what is not given is of a log without chance whose outcomes are all known."""
    count = len(np.asarray(given["outcome_N"]))
    columns: dict[str, object] = {
        "propensity_N": np.ones(count),
        "target_N": np.ones(count),
        "supported_N": np.ones(count),
        "differs_N": np.zeros(count),
        "forecast_N": np.zeros(count),
        "logged_N": np.zeros(count),
        "observed_N": np.ones(count),
    }
    columns |= given
    return Logged(**{name: np.asarray(column, dtype=bool if name == "differs_N" else np.float64) for name, column in columns.items()})


class Small:
    """Requests in a log that asks LLM 0, with probability `share` one of three drawn evenly; the target asks LLM 1 in half of them."""

    def __init__(self, requests: int, share: float = 0.3, seed: int = 0) -> None:
        self.random, self.share = np.random.default_rng(seed), share
        self.truth_NL = self.random.random((requests, 3)) * np.array([0.6, 1.0, 0.3])
        self.target_N = (np.arange(requests) % 2).astype(np.intp)

    @property
    def truth(self) -> float:
        """Mean quality of what the target asks."""
        return float(self.truth_NL[np.arange(len(self.target_N)), self.target_N].mean())

    def as_asked(self, asked_N: Ints, observed: float = 1.0, forecast_NL: Doubles | None = None) -> Logged:
        """The log in which these LLMs were asked, an outcome drawn for each."""
        rows = np.arange(len(asked_N))
        forecast_NL = np.zeros_like(self.truth_NL) if forecast_NL is None else forecast_NL
        seen_N = self.random.random(len(rows)) < observed
        outcome_N = (self.random.random(len(rows)) < self.truth_NL[rows, asked_N]).astype(float)
        return logged(
            propensity_N=np.where(asked_N == 0, 1 - self.share + self.share / 3, self.share / 3),
            target_N=asked_N == self.target_N,
            differs_N=self.target_N != 0,
            forecast_N=forecast_NL[rows, self.target_N],
            logged_N=forecast_NL[rows, asked_N],
            outcome_N=np.where(seen_N, outcome_N, np.nan),
            observed_N=np.full(len(rows), observed),
        )

    def log(self, observed: float = 1.0, forecast_NL: Doubles | None = None) -> Logged:
        """A log of chance."""
        drawn_N = np.where(self.random.random(len(self.target_N)) < self.share, self.random.integers(3, size=len(self.target_N)), 0)
        return self.as_asked(drawn_N.astype(np.intp), observed, forecast_NL)


def test_without_chance_and_without_a_forecast_the_value_is_the_mean_outcome() -> None:
    """Where the target does what was done, nothing is weighed."""
    outcomes = np.tile([1.0, 0.0, 0.5, 0.5], 10)
    found = value(logged(outcome_N=outcomes))
    assert found.value == pytest.approx(0.5)
    assert found.effective == pytest.approx(40)
    assert found.low is not None
    assert found.low < 0.5


def test_the_value_is_the_sum_by_hand() -> None:
    """Two strata of 20: the log's own choice (weights 1 / .8 where asked), and another's (weights 1 / .1)."""
    given = logged(
        outcome_N=[1.0] * 12 + [0.0] * 4 + [1.0] * 4 + [1.0] * 3 + [0.0] * 9 + [0.0] * 8,
        propensity_N=[0.8] * 16 + [0.1] * 4 + [0.1] * 12 + [0.8] * 8,
        target_N=[1] * 16 + [0] * 4 + [1] * 12 + [0] * 8,
        differs_N=[0] * 20 + [1] * 20,
    )
    found = value(given)
    assert found.value == pytest.approx(0.5 * 12 / 16 + 0.5 * 3 / 12)
    weights = np.array([1 / 0.8] * 16 + [1 / 0.1] * 12)
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_over_every_log_that_chance_could_bring_the_weights_are_those_of_the_truth() -> None:
    """Every assignment of three LLMs to four requests, each times its chance: the weighted sum is the target's value exactly."""
    world = Small(4)
    expected = 0.0
    for asked in product(range(3), repeat=4):
        asked_N = np.array(asked, dtype=np.intp)
        one = world.as_asked(asked_N)
        chance = float(one.propensity_N.prod())
        truth_N = world.truth_NL[np.arange(4), asked_N]
        expected += chance * float((one.weight_N * truth_N).mean())
    assert expected == pytest.approx(world.truth)


@pytest.mark.parametrize(("observed", "forecast"), [(1.0, "true"), (0.6, "true"), (1.0, "broken")])
def test_over_many_logs_the_bias_is_nothing_and_intervals_cover(observed: float, forecast: str) -> None:
    """Forecasts that are right, outcomes of some, forecasts that are wrong: .95 of intervals hold the truth, the mean is the truth."""
    found, covered = [], []
    for seed in range(300):
        world = Small(1200, seed=seed)
        forecast_NL = world.truth_NL if forecast == "true" else world.truth_NL[:, ::-1]
        one = value(world.log(observed, forecast_NL))
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        found.append(one.value - 0.4)  # the world's: half of .3 and half of .5
        covered.append(one.low <= 0.4 <= one.high)
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)
    assert 0.91 <= np.mean(covered) <= 0.985


def test_a_good_forecast_makes_the_interval_narrower_and_a_broken_one_is_left_out() -> None:
    """The forecast counts by the share of it that outcomes confirm."""
    world = Small(4000)
    asked = np.where(world.random.random(4000) < 0.3, world.random.integers(3, size=4000), 0).astype(np.intp)
    sharp = (world.truth_NL > 0.3).astype(float)
    world.truth_NL = sharp
    plain, good, broken = (value(world.as_asked(asked, 1.0, each)) for each in (None, sharp, 1 - sharp))
    widths = [each.high - each.low for each in (plain, good, broken) if each.high is not None and each.low is not None]
    assert widths[1] < widths[0]
    assert widths[2] == pytest.approx(widths[0], rel=0.05)


def test_a_difference_is_zero_where_both_do_the_same_and_paired_where_they_do_not() -> None:
    """Against what the log does without chance: only requests where the target differs count."""
    covered, found = [], []
    for seed in range(300):
        world = Small(1200, seed=seed)
        log = world.log(0.5)
        usual = replace(
            log,
            target_N=(log.propensity_N > 0.5).astype(float),
            differs_N=np.zeros(1200, dtype=bool),
            forecast_N=np.zeros(1200),
        )
        one = difference(log, usual)
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        found.append(one.value - 0.1)  # half of .5 - .3
        covered.append(one.low <= 0.1 <= one.high)
        assert one.high - one.low < 1
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)
    assert 0.91 <= np.mean(covered) <= 0.985
    same = difference(usual, usual)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_without_overlap_it_is_refused_in_words() -> None:
    """A target that asks what could never have been asked; and one that chance hardly ever asked."""
    never = logged(outcome_N=np.ones(100), supported_N=np.zeros(100), differs_N=np.ones(100), target_N=np.zeros(100))
    found = value(never)
    assert found.value is None
    assert found.why == "No overlap: in 100% of the requests it asks an LLM that could not have been asked."
    target_N = np.zeros(100)
    target_N[:60] = 1
    hardly = logged(outcome_N=np.ones(100), propensity_N=np.full(100, 0.9), target_N=target_N, differs_N=np.r_[np.zeros(60), np.ones(40)])
    assert value(hardly).why == (
        "Too little overlap: in 40% of the requests it asks another LLM, and what chance brought there is worth 0 outcomes of the 10 that"
        " it takes."
    )
    assert difference(hardly, as_served(np.zeros(100), np.ones(100), np.ones(100))).value is None
    assert value(logged(outcome_N=np.full(50, np.nan))).why == "Too few outcomes: they are worth 0 of the 10 that it takes."
    assert value(logged(outcome_N=np.array([]))).why == "There is no request."


def test_a_small_share_without_overlap_widens_the_interval_by_the_worst_case() -> None:
    """Four in a hundred requests could be of any quality; of money, up to twice the forecast."""
    supported_N = np.r_[np.zeros(4), np.ones(96)]
    given = logged(
        outcome_N=np.r_[np.ones(4), np.tile([1.0, 0.0], 48)],
        supported_N=supported_N,
        differs_N=supported_N == 0,
        target_N=supported_N,
        forecast_N=np.full(100, 0.5),
        logged_N=np.full(100, 0.5),
    )
    found, inner = value(given), value(given.of(supported_N > 0))
    assert found.unjudged == pytest.approx(0.04)
    assert found.low is not None
    assert found.high is not None
    assert inner.low is not None
    assert inner.high is not None
    assert found.low == pytest.approx(0.96 * inner.low)
    assert found.high == pytest.approx(0.96 * inner.high + 0.04)
    money = value(given, most=None)
    assert money.high is not None
    assert money.value == pytest.approx(0.96 * 0.5 + 0.04 * 0.5)


def test_money_is_in_its_own_unit() -> None:
    """A thousand times the cost is a thousand times the value and its interval."""
    world = Small(2000)
    log = world.log()
    small, large = (value(replace(log, outcome_N=log.outcome_N * factor), most=None) for factor in (0.001, 1.0))
    for name in ("value", "low", "high"):
        assert 1000 * getattr(small, name) == pytest.approx(getattr(large, name))


def test_money_whose_tail_a_few_draws_seldom_hold_is_covered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer of thirty is ten times as long: two dozen draws often hold none, but the rest of the log says how far costs spread."""

    def covered() -> float:
        held = []
        for seed in range(300):
            random = np.random.default_rng(seed)
            differs_N, drawn_N = np.arange(3000) % 2 > 0, random.random(3000) < 0.05 / 3
            forecast_N = np.full(3000, 0.013)
            log = logged(
                outcome_N=0.01 * np.where(random.random(3000) < 1 / 30, 10.0, 1.0),
                propensity_N=np.where(drawn_N, 0.05 / 3, 1 - 0.05 / 3),
                target_N=np.where(differs_N, drawn_N, ~drawn_N),
                differs_N=differs_N,
                forecast_N=forecast_N,
                logged_N=forecast_N,
            )
            one = value(log, most=None)
            assert one.low is not None
            assert one.high is not None
            held.append(one.low <= 0.013 <= one.high)
        return float(np.mean(held))

    assert covered() >= 0.93
    monkeypatch.setattr(off_policy, "spread", lambda *_: 0.0)
    assert covered() < 0.85


def test_the_spread_is_that_of_all_that_was_asked() -> None:
    """By hand: 1 and 3 where 2 each was expected; none of a quality, nor where nothing was expected."""
    given = logged(outcome_N=[1.0, 3.0, np.nan], logged_N=[2.0, 2.0, 9.0])
    assert off_policy.spread(given, None) == pytest.approx((1 + 1) / 8)
    assert off_policy.spread(given, 1.0) == 0
    assert off_policy.spread(logged(outcome_N=[1.0, 3.0]), None) == 0


def test_the_share_that_it_would_take_is_told() -> None:
    """Twice the outcomes needed, over what a unit of the share brings; none where it takes more than all."""
    given = logged(outcome_N=np.ones(100), differs_N=np.r_[np.zeros(50), np.ones(50)])
    assert share_needed(given, np.full(100, 0.5), observed=1.0) == pytest.approx(2 * off_policy.LEAST_OUTCOMES / 25)
    assert share_needed(given, np.full(100, 0.5), observed=0.1) is None
    assert share_needed(given, np.zeros(100), observed=1.0) is None
