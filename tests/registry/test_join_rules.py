"""The gate of a join, in synthetic worlds where the newcomer's worth is known."""

import numpy as np
import pytest

from registry import join_rules
from registry.gate_rules import GateResult, ValidationLabels, ValidationScores
from scorer.metrics import Interval

OLD = ("cheap", "strong")
QUERIES = 300


class World:
    """Validation queries of mathematics (one in five) and reading; the old LLMs know reading, the newcomer some mathematics."""

    def __init__(self, skill: float, *, asked: int | None = None, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.maths_Q = np.arange(QUERIES) % 5 == 0
        chance_QL = np.where(self.maths_Q[:, None], [0.3, 0.6], [0.5, 0.8])
        self.old_QL = (rng.random((QUERIES, 2)) < chance_QL).astype(float)
        new_Q = (rng.random(QUERIES) < np.where(self.maths_Q, skill, 0.2)).astype(float)
        unasked_Q = np.zeros(QUERIES, dtype=bool)
        if asked is not None:
            unasked_Q[np.flatnonzero(self.maths_Q)[asked:]] = True
        self.labels = ValidationLabels(
            (*OLD, "solver"),
            np.column_stack([self.old_QL, np.where(unasked_Q, np.nan, new_Q)]),
            np.where(self.maths_Q, "mathematics", "reading"),
            np.array([1e-6, 4e-6, 8e-6]),
        )
        self.champion = ValidationScores(OLD, chance_QL)
        self.promised = skill

    def joined(self, promised: float) -> ValidationScores:
        """The champion with the newcomer's row: `promised` on mathematics, little elsewhere."""
        return ValidationScores((*OLD, "solver"), np.column_stack([self.champion.scores_QL, np.where(self.maths_Q, promised, 0.2)]))

    def judged(self, promised: float = 0.9) -> GateResult:
        """The gate at the project's margin."""
        return join_rules.decide(self.joined(promised), self.champion, self.labels, margin=0.03)


def test_a_specialist_passes_and_the_sentence_says_where_it_is_better() -> None:
    """Right on .95 of a fifth of the queries, elsewhere never chosen: passed, with the domain, both qualities, the count and the cost."""
    world = World(0.95)
    result = world.judged()
    assert result.passed
    assert result.figures["changed"] == result.figures["measured"] == 60
    assert result.figures["overall.low"] > 0
    before, after = world.old_QL[world.maths_Q, 1].mean(), world.labels.labels_QL[world.maths_Q, 2].mean()
    assert result.summary == f"better in mathematics ({before:.2f} -> {after:.2f}, 60 queries), elsewhere as before, +20% cost"


def test_a_join_is_not_refused_for_the_champions_calibration() -> None:
    """Old scores that promise .25 too much stay as they are; a newcomer that makes it no worse comes in, one that does is refused."""
    world = World(0.95)
    world.champion = ValidationScores(OLD, np.minimum(0.97, world.champion.scores_QL + 0.25))
    kept, worse = world.judged(0.95 + 0.03), world.joined(0.98)
    assert kept.passed
    assert any("The champion's is 0." in reason and reason.endswith("no worse.") for reason in kept.reasons)
    everywhere = ValidationScores(worse.roster, np.where(np.arange(3) == 2, np.where(world.maths_Q, 0.98, 0.9)[:, None], worse.scores_QL))
    refused = join_rules.decide(everywhere, world.champion, world.labels, margin=0.03)
    assert any("The champion's is 0." in reason and reason.endswith(" worse.") and "no worse" not in reason for reason in refused.reasons)


def test_only_queries_where_the_choice_changes_count() -> None:
    """What the newcomer got wrong where it is never chosen is nobody's loss."""
    world = World(0.95)
    assert world.judged().figures["overall.difference"] == pytest.approx(0.2 * world.judged().figures["chosen.difference"])


def test_a_newcomer_that_is_worse_where_chosen_fails() -> None:
    """Promised much, right seldom: surely worse on what it takes, and the domain is named."""
    result = World(0.1).judged()
    assert not result.passed
    assert any(reason.startswith("mathematics: ") and reason.endswith("worse.") for reason in result.reasons)


def test_three_labels_are_too_few_and_the_reasons_say_what_would_decide() -> None:
    """A fifth of the choices rests on three labels: not shown, and it is said how many more would do and that 57 lack one."""
    result = World(0.95, asked=3).judged()
    assert not result.passed
    assert result.figures["measured"] == 3
    [undecided] = [reason for reason in result.reasons if "would decide" in reason]
    assert "57 of these queries lack a label" in undecided


def test_a_newcomer_that_is_chosen_nowhere_changes_nothing() -> None:
    """It may come in: every score and choice is as before."""
    result = World(0.1).judged(promised=0.1)
    assert result.passed
    assert result.summary == "solver is put first nowhere: every choice is as before, +0% cost"


def test_what_little_it_changes_cannot_be_worse_than_the_margin() -> None:
    """Chosen on 2 of 300 queries, without a label: at worst .7 points, less than the margin."""
    world = World(0.95, asked=0)
    scores_Q = np.where(np.arange(QUERIES) < 10, np.where(world.maths_Q, 0.9, 0.1), 0.1)
    challenger = ValidationScores((*OLD, "solver"), np.column_stack([world.champion.scores_QL, scores_Q]))
    result = join_rules.decide(challenger, world.champion, world.labels, margin=0.03)
    assert result.figures["changed"] == 2
    assert result.figures["overall.low"] == pytest.approx(-2 / 300)
    assert result.passed or not any("may be worse" in reason for reason in result.reasons)


def test_a_join_is_told_by_its_unchanged_scores() -> None:
    """One bit of another LLM's score makes it a training like any other; so does an LLM that went."""
    world = World(0.9)
    challenger = world.joined(0.9)
    assert join_rules.newcomers(challenger, world.champion) == ("solver",)
    assert join_rules.newcomers(world.champion, challenger) == ()
    challenger.scores_QL[0, 0] = np.nextafter(challenger.scores_QL[0, 0], 1.0)
    assert join_rules.newcomers(challenger, world.champion) == ()


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1.0, 1.0, 1.0], Interval(1.0, -0.101, 1.0)),  # by hand: mean .6, deviation .8 of five
        ([], Interval(0.0, -1.0, 1.0)),
    ],
)
def test_few_pairs_make_a_wide_interval(differences: list[float], expected: Interval) -> None:
    """One win and one loss are added to what was seen."""
    found = join_rules.paired(np.array(differences))
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high), abs=1e-3)


def test_the_interval_covers_what_is_true() -> None:
    """In 1,000 small worlds with a true difference of .1, it is within the interval in at least 95 of 100."""
    rng = np.random.default_rng(0)
    draws = rng.choice([1.0, 0.0, -1.0], p=[0.3, 0.5, 0.2], size=(1_000, 20))
    inside = [(found := join_rules.paired(row)).low <= 0.1 <= found.high for row in draws]
    assert np.mean(inside) >= 0.94
