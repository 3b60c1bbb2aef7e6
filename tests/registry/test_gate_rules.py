"""The promotion gate on synthetic worlds where the better scorer is known."""

import numpy as np
import pytest

from registry import gate_rules
from registry.gate_rules import GateResult, ValidationLabels, ValidationScores
from scorer import metrics

ROSTER = ("cheap", "coder", "strong")


class World:
    """Q queries of two domains by three LLMs; each query has one LLM that answers it, the others mostly fail."""

    def __init__(self, queries: int = 400, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.right_Q = rng.integers(0, 3, queries)
        self.labels_QL = np.zeros((queries, 3))
        self.labels_QL[np.arange(queries), self.right_Q] = 1.0
        self.domains_Q = np.array(["maths" if i % 2 else "coding" for i in range(queries)])
        self.rng = rng

    @property
    def truth(self) -> ValidationLabels:
        return ValidationLabels(ROSTER, self.labels_QL, self.domains_Q)

    def scorer(self, skill: float, **more: object) -> ValidationScores:
        """Puts the right LLM first for a share `skill` of the queries, with calibrated scores."""
        guess_Q = np.where(self.rng.random(len(self.right_Q)) < skill, self.right_Q, (self.right_Q + 1) % 3)
        scores_QL = np.full((len(guess_Q), 3), (1 - skill) / 2)
        scores_QL[np.arange(len(guess_Q)), guess_Q] = skill
        return ValidationScores(ROSTER, scores_QL, **more)  # type: ignore[arg-type]


def judged(challenger: ValidationScores, champion: ValidationScores | None, truth: ValidationLabels) -> GateResult:
    """The gate at the project's margin."""
    return gate_rules.decide(challenger, champion, truth, margin=0.03)


def test_a_better_challenger_passes() -> None:
    """Better overall with an interval above zero, no domain worse, calibrated: passed, with figures."""
    world = World()
    result = judged(world.scorer(0.9), world.scorer(0.6), world.truth)
    assert result.passed
    assert result.figures["overall.low"] > 0.2
    assert result.figures["overall.difference"] == pytest.approx(0.3, abs=0.07)
    assert "better" in result.reasons[0]


def test_a_worse_challenger_fails() -> None:
    """Worse overall fails, and says so."""
    world = World()
    result = judged(world.scorer(0.6), world.scorer(0.9), world.truth)
    assert not result.passed
    assert "worse" in result.reasons[0]


def test_an_equal_challenger_is_not_better() -> None:
    """Two scorers of the same skill: a lucky point estimate does not pass, the interval decides."""
    world = World()
    result = judged(world.scorer(0.8), world.scorer(0.8), world.truth)
    assert not result.passed
    assert "not shown to be better" in result.reasons[0]


def test_promises_that_are_closer_pass_where_the_choices_are_the_same() -> None:
    """The champion promises .99 where .8 comes true, the challenger .8; both choose alike."""
    world = World()
    challenger = world.scorer(0.8)
    proud = ValidationScores(ROSTER, np.where(challenger.scores_QL > 0.5, 0.99, challenger.scores_QL))
    result = judged(challenger, proud, world.truth)
    assert result.passed
    assert result.reasons[0].endswith("better promises.")
    assert not judged(proud, challenger, world.truth).passed


def test_new_domains_pass_where_nothing_is_worse() -> None:
    """A challenger that has seen a domain more is not held to be better on validation queries that hold next to nothing of it."""
    world = World()
    champion = world.scorer(0.8, domains=frozenset({"maths", "coding"}))
    same = ValidationScores(ROSTER, champion.scores_QL, domains=frozenset({"maths", "coding", "law"}))
    result = judged(same, champion, world.truth)
    assert result.passed
    assert "trained on law, which the champion has never seen" in result.reasons[0]
    assert not judged(ValidationScores(ROSTER, champion.scores_QL, domains=champion.domains), champion, world.truth).passed


def test_a_challenger_that_loses_a_domain_fails() -> None:
    """A gain elsewhere does not buy a loss in one domain."""
    world = World(800)
    champion, better = world.scorer(0.6), world.scorer(0.95)
    wrong_QL = np.roll(world.labels_QL, 1, axis=1) * 0.9 + 0.05
    mixed_QL = np.where((world.domains_Q == "maths")[:, None], wrong_QL, better.scores_QL)
    truth = ValidationLabels(ROSTER, world.labels_QL, np.where(np.arange(800) < 500, "coding", world.domains_Q))
    result = judged(ValidationScores(ROSTER, mixed_QL), champion, truth)
    assert not result.passed
    assert any(reason.startswith("maths") and "may be worse" in reason for reason in result.reasons)


def test_a_domain_with_few_queries_is_judged_overall() -> None:
    """Where an interval could not be narrow enough, the gate says that it looked at the overall figure only."""
    world = World(400)
    domains_Q = np.where(np.arange(400) < 10, "law", world.domains_Q)
    result = judged(world.scorer(0.9), world.scorer(0.6), ValidationLabels(ROSTER, world.labels_QL, domains_Q))
    assert result.passed
    assert any("judged within the overall figure only: law (10)" in reason for reason in result.reasons)


def test_a_small_domain_that_is_clearly_worse_fails() -> None:
    """Few queries excuse a wide interval, not one that lies below zero."""
    world = World(400)
    champion, challenger = world.scorer(1.0), world.scorer(1.0)
    champion.scores_QL[40:] = world.rng.random((360, 3))
    challenger.scores_QL[:40] = np.roll(world.labels_QL[:40], 1, axis=1)
    result = judged(challenger, champion, ValidationLabels(ROSTER, world.labels_QL, np.where(np.arange(400) < 40, "law", world.domains_Q)))
    assert any(reason.startswith("law") and "worse" in reason for reason in result.reasons)
    assert not result.passed


def test_an_overconfident_challenger_fails() -> None:
    """Scores that are no probabilities fail, however well they rank."""
    world = World()
    ranked = world.scorer(0.9)
    result = judged(ValidationScores(ROSTER, ranked.scores_QL**0.2), world.scorer(0.5), world.truth)
    assert not result.passed
    assert result.figures["ece"] > 0.2
    assert not any("label about" in reason for reason in result.reasons)


def test_few_queries_are_named_where_calibration_fails() -> None:
    """A pool that has just begun is told what would mend it."""
    world = World(12)
    result = judged(ValidationScores(ROSTER, world.scorer(0.9).scores_QL ** 0.1), None, world.truth)
    assert not result.passed
    assert any(
        "12 validation queries are few, and the calibration queries are fewer: label about 9 times as many." in reason
        for reason in result.reasons
    )


def test_calibration_error_of_calibrated_scores_is_chance() -> None:
    """Scores that are true probabilities have about the error that chance makes at their number."""
    rng = np.random.default_rng(3)
    scores = rng.random(2_000)
    labels = (rng.random(2_000) < scores).astype(float)
    error, chance = metrics.calibration_error(scores, labels), metrics.chance_calibration_error(scores, labels)
    assert error < 2 * chance
    assert chance == pytest.approx(np.sqrt(2 / np.pi) * 0.41 / np.sqrt(200), rel=0.15)


def test_a_grown_pool_is_compared_by_what_each_choice_brought() -> None:
    """The champion that never heard of the new LLM is held to its own choice among the LLMs it knows."""
    world = World()
    champion = world.scorer(0.9)
    narrow = ValidationScores(ROSTER[:2], champion.scores_QL[:, :2])
    result = judged(world.scorer(0.95), narrow, world.truth)
    assert result.passed
    assert result.figures["overall.difference"] > 0.2


def test_missing_labels_never_count_as_wrong() -> None:
    """A choice is realised among the LLMs labelled for the query; a query nobody labelled is left out."""
    truth = ValidationLabels(("a", "b"), np.array([[np.nan, 0.8], [1.0, 0.0], [np.nan, np.nan]]), np.array(["x", "x", "x"]))
    quality_Q = gate_rules.realised_quality(ValidationScores(("b", "a"), np.array([[0.1, 0.9], [0.1, 0.9], [0.5, 0.5]])), truth)
    assert quality_Q.tolist()[:2] == [0.8, 1.0]
    assert np.isnan(quality_Q[2])


def test_the_first_scorer_is_held_against_the_best_single_llm() -> None:
    """Without a champion: clearly worse than always asking one LLM fails, anything else passes and reports."""
    world = World()
    good = judged(world.scorer(0.9), None, world.truth)
    assert good.passed
    assert "No champion yet" in good.reasons[0]
    bad = judged(ValidationScores(ROSTER, 0.5 - 0.2 * world.labels_QL), None, world.truth)
    assert not bad.passed
    assert "worse by more than 0.03" in bad.reasons[0]


def test_int8_must_choose_as_fp32_does() -> None:
    """What is served is the int8 encoder: choosing differently and worse fails."""
    world = World()
    full, served = world.scorer(0.95), world.scorer(0.5)
    result = judged(ValidationScores(ROSTER, served.scores_QL, full.scores_QL), None, world.truth)
    assert not result.passed
    assert result.figures["int8.agreement"] < 0.7


def test_the_gate_says_on_which_machine_int8_agrees() -> None:
    """Its arithmetic depends on the processor; where it is wrong fp32 is served, and that is said instead."""
    world = World()
    served = world.scorer(0.95)
    on = ValidationScores(ROSTER, served.scores_QL, served.scores_QL, machine="EPYC (AVX2, onnxruntime 1.2)")
    assert any(reason.startswith("On EPYC (AVX2, onnxruntime 1.2) int8 puts") for reason in judged(on, None, world.truth).reasons)
    fp32 = ValidationScores(ROSTER, served.scores_QL, served.scores_QL, precision_note="int8 is off: served in fp32.")
    result = judged(fp32, None, world.truth)
    assert result.passed
    assert "int8 is off: served in fp32." in result.reasons


def test_a_slow_challenger_fails() -> None:
    """More than half as slow again as the champion is too slow, unless that is less than a millisecond."""
    world = World()
    champion = world.scorer(0.6, decision_ms=5.0)
    assert judged(world.scorer(0.9, decision_ms=7.0), champion, world.truth).passed
    assert not judged(world.scorer(0.9, decision_ms=8.0), champion, world.truth).passed
    quick = world.scorer(0.6, decision_ms=0.2)
    assert judged(world.scorer(0.9, decision_ms=0.9), quick, world.truth).passed
    assert not judged(world.scorer(0.9, decision_ms=1.3), quick, world.truth).passed


def test_no_shared_label_is_no_pass() -> None:
    """Nothing to compare is a failed gate, not a silent pass."""
    truth = ValidationLabels(("a",), np.full((3, 1), np.nan), np.array(["x"] * 3))
    candidate = ValidationScores(("a",), np.full((3, 1), 0.5))
    result = judged(candidate, candidate, truth)
    assert not result.passed
    assert any("nothing can be compared" in reason for reason in result.reasons)


def test_the_gate_repeats_itself() -> None:
    """The same inputs give the same result: resampling is seeded."""
    world = World()
    challenger, champion = world.scorer(0.8), world.scorer(0.75)
    assert judged(challenger, champion, world.truth) == judged(challenger, champion, world.truth)
