"""What the console reads out of a version's gate."""

import numpy as np
import pytest

from console import versions
from registry.gate_rules import ValidationLabels, ValidationScores, decide
from registry.version import GATE_REASONS, Version


def version(*reasons: str) -> Version:
    """A version whose gate said so."""
    return Version("2", (), {GATE_REASONS: "\n".join(reasons)}, "", "", "", 0.0)


def test_gains_by_domain_are_those_that_the_gate_computed() -> None:
    """Read from the gate's own reasons, whatever domains are called."""
    rng = np.random.default_rng(0)
    names = np.array(["law: taxes", "maths"] * 100)
    labels = ValidationLabels(("a", "b"), np.column_stack([rng.random(200) < 0.5, rng.random(200) < 0.9]).astype(np.float64), names)
    best, worst = (ValidationScores(("a", "b"), np.tile(row, (200, 1))) for row in ([0.1, 0.9], [0.9, 0.1]))
    result = decide(best, worst, labels, margin=0.02)
    gains = {gain.name: gain for gain in versions.by_domain(version(*result.reasons))}
    for name in ("law: taxes", "maths"):
        gain = gains[name]
        assert gain.queries == 100
        figures = [result.figures[f"{name}.{figure}"] for figure in ("difference", "low", "high")]
        assert [gain.mean, gain.low, gain.high] == pytest.approx(figures, abs=1e-3)


def test_a_join_says_it_in_its_own_words() -> None:
    """Before and after, with the interval of the gain; what is said of all domains together is no domain."""
    joined = version(
        "specialist joined by its row, every other score is unchanged.",
        "Overall: realised quality +0.130 against the champion, 95 % interval [+0.053, +0.178]: better.",
        "mathematics: 0.40 -> 1.00 [+0.24, +0.82] on 15 queries: better.",
    )
    (gain,) = versions.by_domain(joined)
    assert (gain.name, gain.low, gain.high, gain.queries) == ("mathematics", 0.24, 0.82, 15)
    assert gain.mean == pytest.approx(0.6)
