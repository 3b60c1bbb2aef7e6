"""A log of a kind that nobody labelled is found; a log of labelled kinds, in whatever mix, is not."""

import numpy as np
import pytest

from pipelines.what_if import estimate, likeness
from pipelines.what_if.knowledge import Texts
from scorer.metrics import Interval

DIMS = 16


def kind(rng: np.random.Generator, center: int, count: int, domain: str = "code", far: float = 0.05) -> Texts:
    """Texts of one kind: a ball around a direction of its own, whatever domain they are nearest to."""
    vectors = np.eye(DIMS)[center] + 0.3 * rng.normal(size=(count, DIMS))
    return Texts(np.zeros((count, 2)), rng.random(count) < far, np.full(count, domain), vectors)


def together(*parts: Texts) -> Texts:
    return Texts(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("scores_NL", "far_N", "domains_N", "vectors_ND")))


@pytest.mark.parametrize("seed", range(5))
def test_labelled_kinds_are_known_in_any_mix(seed: int) -> None:
    """Half and half as labelled, or one kind alone: nothing is unlike."""
    rng = np.random.default_rng(seed)
    labelled = together(kind(rng, 0, 150), kind(rng, 1, 150, "law"))
    assert not likeness.unlike(together(kind(rng, 0, 200), kind(rng, 1, 200, "law")), labelled).any()
    assert not likeness.unlike(kind(rng, 0, 300), labelled).any()


@pytest.mark.parametrize("seed", range(5))
def test_a_kind_that_nobody_labelled_is_found(seed: int) -> None:
    """By what its texts are next to, or by how many are far; the labelled kinds of the same log stay known."""
    rng = np.random.default_rng(seed)
    labelled = together(kind(rng, 0, 150), kind(rng, 1, 150, "law"))
    assert likeness.unlike(kind(rng, 2, 300), labelled).all()
    assert likeness.unlike(kind(rng, 0, 300, far=0.5), labelled).all()
    assert likeness.unlike(kind(rng, 2, 100, "medicine"), labelled).all()
    mixed = together(kind(rng, 0, 200), kind(rng, 2, 200, "law"))
    assert likeness.unlike(mixed, labelled)[200:].all()
    assert not likeness.unlike(mixed, labelled)[:200].any()


def test_too_few_texts_are_not_looked_at() -> None:
    """A handful says nothing of its kind, and no text at all is none."""
    rng = np.random.default_rng(0)
    assert not likeness.unlike(kind(rng, 2, 10), kind(rng, 0, 100)).any()
    assert likeness.unlike(kind(rng, 2, 0), kind(rng, 0, 100)).shape == (0,)


def test_what_nothing_is_like_may_be_anything() -> None:
    """A fifth that changes its LLM widens the interval by a fifth to each side; what stays with its LLM by nothing."""
    checked = Interval(-0.01, -0.03, 0.01)
    assert estimate.beside_unchecked(checked, 1.0, 0.0, 0.0) == checked
    widened = estimate.beside_unchecked(checked, 0.8, 0.05, 0.2)
    assert (widened.mean, widened.low, widened.high) == pytest.approx((0.8 * -0.01 + 0.2 * 0.05, 0.8 * -0.03 - 0.2, 0.8 * 0.01 + 0.2))
    assert estimate.beside_unchecked(checked, 0.0, 0.05, 0.3) == Interval(0.05, -0.3, 0.3)
