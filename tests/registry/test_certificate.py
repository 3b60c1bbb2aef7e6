"""A certificate: wrong no more often than it says, its order fixed, its words for a person, and back from a tag."""

import math

import numpy as np
import pytest

from registry import betting, certificate
from registry.betting import Values
from registry.certificate import Measured, Promise

ALPHA = 0.05


def outcomes(rng: np.random.Generator, count: int, lost: float, won: float) -> Values:
    """Differences of -1, 0 and 1 with these chances."""
    dice_N = rng.random(count)
    return np.where(dice_N < lost, -1.0, np.where(dice_N < lost + won, 1.0, 0.0))


def measured(rows: list[Values], domains: list[str] | None = None) -> Measured:
    """Settings of values 1, 2, 3 ..., each cheaper than the one before, on the same queries."""
    difference_SN = np.array(rows)
    settings, queries = difference_SN.shape
    cost_SN = np.repeat(1 / np.arange(2, settings + 2)[:, None], queries, axis=1)
    names_N = np.array(domains or ["maths"] * queries)
    return Measured("best", np.arange(1.0, settings + 1), difference_SN, cost_SN, np.ones(queries), names_N, {"best": (1.0, 2.0)})


@pytest.mark.parametrize(("lost", "won", "floor"), [(0.01, 0.0, 0.01), (0.06, 0.05, 0.01), (0.3, 0.25, 0.05), (0.5, 0.5, 0.0)])
def test_a_mean_at_the_floor_is_rarely_taken_for_one_above(lost: float, won: float, floor: float) -> None:
    """At the edge of the null the test errs in at most alpha of samples."""
    rng = np.random.default_rng(1)
    wrong = [betting.rejects(outcomes(rng, 300, lost, won), floor, ALPHA) for _ in range(1_500)]
    assert np.mean(wrong) <= ALPHA


def test_few_labels_are_enough_where_choices_rarely_differ() -> None:
    """500 queries on which nothing is lost show a point, which Hoeffding's bound would need 60,000 for; 300 do not."""
    assert betting.rejects(np.zeros(500), 0.01, ALPHA)
    assert not betting.rejects(np.zeros(300), 0.01, ALPHA)
    assert 2 * math.log(1 / ALPHA) / 0.01**2 > 59_000


def test_how_many_labels_would_do_is_about_right() -> None:
    """With a third more of the like the test mostly rejects, with a third of them it mostly does not; below the floor none would do."""
    rng = np.random.default_rng(2)
    needed = betting.needed(outcomes(rng, 20_000, 0.05, 0.07), 0.01, ALPHA)
    assert needed is not None
    passed = [np.mean([betting.rejects(outcomes(rng, int(s * needed), 0.05, 0.07), 0.01, ALPHA) for _ in range(100)]) for s in (0.33, 1.4)]
    assert passed[0] < 0.5 < passed[1]
    assert betting.needed(np.full(50, -0.2), 0.1, ALPHA) is None
    assert betting.needed(np.empty(0), 0.1, ALPHA) is None


def test_what_is_no_difference_of_qualities_is_refused() -> None:
    """A bound on [-1, 1] says nothing of other values."""
    with pytest.raises(ValueError, match="must lie in"):
        betting.rejects(np.array([0.0, 1.5]), 0.01, ALPHA)
    with pytest.raises(ValueError, match="must lie in"):
        betting.rejects(np.array([0.0, np.nan]), 0.01, ALPHA)


def test_settings_are_tested_in_order_up_to_the_first_that_fails() -> None:
    """The last before it is certified; one that would pass after it is not looked at."""
    good, bad = np.zeros(600), np.full(600, -0.2)
    found = certificate.certify(measured([good, good, bad, good]), Promise(0.01), Promise(0.05))
    assert found.certified
    assert found.usd == 2.0
    assert found.cost_share == pytest.approx(1 / 3)
    assert "With 95 % confidence at most 1 point below always asking best, at 33% of its cost" in found.sentence()
    assert "600 labels" in found.sentence()
    assert found.sentence().endswith("void on drift.")


def test_what_cannot_be_certified_says_how_many_labels_would_do() -> None:
    """And where the loss itself is too large, that none would."""
    few = certificate.certify(measured([np.zeros(100)]), Promise(0.01), Promise(0.05))
    assert not few.certified
    assert few.sentence() == "Not certifiable with 100 labels as at most 1 point below always asking best; about 400 would do."
    lost = certificate.certify(measured([np.full(100, -0.2)]), Promise(0.01), Promise(0.05))
    assert lost.sentence().endswith("more of the like would not do: -20.0 points were measured.")
    nothing = certificate.certify(measured([np.empty(0)]), Promise(0.01), Promise(0.05))
    assert nothing.sentence() == "Not certifiable: no held-out query is labelled for every LLM that may be chosen."


def test_a_domain_is_certified_by_its_own_labels() -> None:
    """One where the choice loses, and one with few queries, are not; each says so."""
    lost_N = np.concatenate([np.zeros(900), np.full(30, -0.3), np.zeros(10)])
    domains = ["maths"] * 900 + ["law"] * 30 + ["art"] * 10
    found = certificate.certify(measured([lost_N], domains), Promise(0.05), Promise(0.05))
    assert found.certified
    assert {part.domain: part.certified for part in found.domains} == {"maths": True, "law": False, "art": False}
    clauses = found.by_domain()
    assert clauses[2] == "maths (900): at most 5 points below"
    assert clauses[1] == "law (30): not certified at 5 points"
    assert clauses[0].startswith("art (10): not certified at 5 points, about ")


def test_a_certificate_comes_back_from_a_tag() -> None:
    """As it was; what is no certificate of this release is none."""
    found = certificate.certify(measured([np.zeros(600)]), Promise(0.01), Promise(0.05))
    assert certificate.read(found.as_json()) == found
    assert certificate.read("") is None
    assert certificate.read('{"floor": 1}') is None


def test_the_grid_goes_from_almost_nothing_to_always_the_cheapest() -> None:
    """At its end a dollar outweighs any difference of scores."""
    costs_QL = np.array([[0.01, 0.001], [0.03, 0.003]])
    usd_S = certificate.grid(costs_QL)
    assert len(usd_S) == certificate.SETTINGS
    assert (np.diff(usd_S) > 0).all()
    assert usd_S[0] * 0.018 < 0.01
    assert usd_S[-1] * 0.018 > 1


def test_violations_are_as_rare_as_promised_over_whole_certificates() -> None:
    """Settings that lose ever more: the one that is certified loses more than the floor in at most one of twenty samples."""
    rng = np.random.default_rng(3)
    lost_S = np.linspace(0.0, 0.2, 15)
    wrong = 0
    for _ in range(600):
        dice_N, won_N = rng.random(400), rng.random(400) < 0.05
        rows = [np.where(dice_N < lost, -1.0, won_N.astype(float)) for lost in lost_S]
        found = certificate.certify(measured(rows), Promise(0.05), Promise(0.05))
        truth_S = -lost_S + (1 - lost_S) * 0.05
        wrong += found.usd is not None and truth_S[int(found.usd) - 1] < -0.05
    assert wrong / 600 <= ALPHA
