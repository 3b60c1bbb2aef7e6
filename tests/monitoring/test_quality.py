"""Estimated quality: right on average, its interval covers, a broken forecast or judge widens it and does not bend it."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import t

from monitoring.quality import quality, student
from monitoring.quality.answers import Answers
from monitoring.quality.quality import Estimated

SHARES = np.array([0.7, 0.2, 0.1])
BASE = np.array([0.8, 0.5, 0.3])
TRUTH = 0.677  # mean chance of `traffic`, by four million draws of it


def traffic(rng: np.random.Generator, *, n: int = 500, draws: int = 60, forecast: str = "right", judge: float | None = None) -> Answers:
    """N answers in three domains, audits drawn as the monitor does; people grade all of them, or a third where a judge does."""
    domain = rng.choice(3, n, p=SHARES)
    chance = np.clip(BASE[domain] + rng.normal(0, 0.2, n), 0.02, 0.98)
    outcome = (rng.random(n) < chance).astype(float)
    said = {"right": chance, "random": rng.random(n), "too high": np.clip(chance + 0.3, 0, 1)}[forecast]
    wanted = np.sqrt(np.maximum(4 * said * (1 - said), 0.16)) / (3 * SHARES[domain])
    drawn_with = np.minimum(1, draws / n * np.clip(wanted / wanted.mean(), 0.2, 10))
    drawn = rng.random(n) < drawn_with
    graded = drawn & (rng.random(n) < (1.0 if judge is None else 0.3))
    opinion = np.full(n, np.nan) if judge is None else np.where(drawn, np.where(rng.random(n) < judge, outcome, 1.0), np.nan)
    names = domain.astype(np.str_)
    return Answers(
        names, names, names, names, said, said, np.where(drawn, drawn_with, np.nan), np.where(graded, outcome, np.nan), opinion, np.zeros(n)
    )


def repeated(make: Callable[[np.random.Generator], Answers], times: int = 400) -> tuple[float, float, float]:
    """Bias, coverage of the 95 % interval and its mean width."""
    rng = np.random.default_rng(0)
    found = [quality.estimate(*make(rng).summed(), confidence=0.95) for _ in range(times)]
    bounds = [(each.value or 0, each.low, each.high) for each in found if each.low is not None and each.high is not None]
    assert len(bounds) > 0.95 * times
    values, low, high = np.array(bounds).T
    return float(values.mean() - TRUTH), float(((low <= TRUTH) & (high >= TRUTH)).mean()), float((high - low).mean())


def test_students_quantiles_are_scipys() -> None:
    """To a hundredth from three degrees of freedom on, whole or not."""
    for degrees in (3, 4, 5.5, 10, 59, 1000):
        for probability in (0.9, 0.975, 0.995):
            assert student.quantile(probability, degrees) == pytest.approx(t.ppf(probability, degrees), rel=0.01)


@pytest.mark.parametrize("forecast", ["right", "random", "too high"])
def test_sixty_uneven_audits_are_without_bias_and_covered(forecast: str) -> None:
    """Whatever the forecast: within a point of the truth on average, and covered in nine of ten cases or more, .95 being promised."""
    bias, covered, _ = repeated(lambda rng: traffic(rng, forecast=forecast))
    assert abs(bias) < 0.012
    assert 0.9 <= covered <= 0.985


def test_a_right_forecast_narrows_and_a_broken_one_widens() -> None:
    """And a broken one is not believed: the weight that the audits give it is small."""
    widths = {forecast: repeated(lambda rng, said=forecast: traffic(rng, forecast=said), 150)[2] for forecast in ("right", "random")}
    assert widths["right"] < 0.97 * widths["random"]
    rng = np.random.default_rng(1)
    broken = [quality.estimate(*traffic(rng, forecast="random", draws=120).summed(), confidence=0.95).weight for _ in range(20)]
    assert np.mean([each or 0.0 for each in broken]) < 0.25


@pytest.mark.parametrize("judge", [0.9, 0.5])
def test_a_judges_own_error_is_taken_off(judge: float) -> None:
    """One that calls wrong answers right (always .1 to .5 too kind) bends nothing, where people graded a third of what it did."""
    bias, covered, _ = repeated(lambda rng: traffic(rng, draws=120, judge=judge))
    assert abs(bias) < 0.02
    assert covered >= 0.91


def test_a_good_judge_narrows_what_few_people_can_tell() -> None:
    """With people on a third of 120 draws, its grades of the rest make the interval narrower than theirs alone."""
    _, _, with_judge = repeated(lambda rng: traffic(rng, draws=120, judge=0.95), 150)
    _, _, alone = repeated(lambda rng: traffic(rng, draws=36), 150)
    assert with_judge < 0.85 * alone


def test_what_is_missing_is_said() -> None:
    """No answer, no audit, too few audits, a judge that nobody checked: no interval, and why."""
    everything = traffic(np.random.default_rng(2))
    none = everything.of(np.zeros(len(everything), dtype=bool))
    assert quality.estimate(*none.summed(), confidence=0.95).why == "no answer was served"
    drawn = np.flatnonzero(~np.isnan(everything.drawn_with_N))
    rest = np.flatnonzero(np.isnan(everything.drawn_with_N))
    unaudited = quality.estimate(*everything.of(rest).summed(), confidence=0.95)
    assert (unaudited.value, unaudited.low, unaudited.audited, unaudited.why) == (None, None, 0, "no audit")
    assert unaudited.promised is not None
    few = quality.estimate(*everything.of(np.concatenate([rest, drawn[:3]])).summed(), confidence=0.95)
    assert (few.low, few.why) == (None, "3 audits; an interval takes 5")
    unchecked = traffic(np.random.default_rng(3), judge=0.9)
    nobody = Answers(
        **{name: getattr(unchecked, name) for name in Answers.__dataclass_fields__ if name != "grade_N"}, grade_N=np.full(500, np.nan)
    )
    assert "once people have graded 10" in quality.estimate(*nobody.summed(), confidence=0.95).why


def test_like_grades_make_nothing_certain() -> None:
    """Six right answers of six hundred leave room below 1."""
    few = traffic(np.random.default_rng(4), n=600)
    drawn_with, grade = np.full(600, np.nan), np.full(600, np.nan)
    drawn_with[:6], grade[:6] = 0.01, 1.0
    same = Answers(**{**{name: getattr(few, name) for name in Answers.__dataclass_fields__}, "drawn_with_N": drawn_with, "grade_N": grade})
    found: Estimated = quality.estimate(*same.summed(), confidence=0.95)
    assert found.low is not None
    assert found.low < 0.9


def test_groups_are_named_and_their_money_adds_up() -> None:
    """By version, domain, LLM and key, most answers first."""
    answers = traffic(np.random.default_rng(5))
    found = quality.by_group(answers, since=0, until=1, confidence=0.95).as_dict()
    assert list(found["by"]["domain"]) == ["0", "1", "2"]
    assert sum(each["answers"] for each in found["by"]["llm"].values()) == found["all"]["answers"] == 500
