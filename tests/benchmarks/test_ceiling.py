"""What the ceiling's four looks see in worlds whose ceiling is known."""

import numpy as np
import pytest

from benchmarks import ceiling


def test_a_known_power_law_is_carried_on() -> None:
    """Learning that follows .6 - .05 n^-.5 goes on to it, and to .6 in the end."""
    sizes = [250, 500, 1000, 2000, 4000]
    truth_N = ceiling.power_law(np.array(sizes, dtype=float), 0.6, 0.05, 0.5)
    quality_NQ = np.tile(truth_N[:, None], (1, 50))
    far, limit = ceiling.carried_on(sizes, quality_NQ, [16000.0, np.inf])
    assert far.mean == pytest.approx(0.6 - 0.05 / 4, abs=0.002)
    assert limit.mean == pytest.approx(0.6, abs=0.003)


def test_choices_are_counted() -> None:
    """Lines that begin with A., (B) or C): one alone is no list, prose has none."""
    texts = ["Which?\nA. one\nB. two\nC. three", "Which?\n(A) one\n(B) two", "A. Lincoln was born when?", "What is 2 + 2?"]
    assert ceiling.options(texts).tolist() == [3, 2, 0, 0]


def test_luck_is_bounded_by_what_all_miss() -> None:
    """Six LLMs know 40 % of the questions for certain and guess one of four on the others: the bound finds the 40 %."""
    dice = np.random.default_rng(0)
    known_Q = dice.random(4000) < 0.4
    labels_QL = (known_Q[:, None] | (dice.random((4000, 6)) < 0.25)).astype(float)
    found = ceiling.luck(labels_QL, np.full(4000, 4))
    assert found["oracle"] > 0.85
    assert found["oracle without luck, at least"] == pytest.approx(0.4, abs=0.08)


def test_neighbours_agree_as_far_as_labels_depend_on_the_query() -> None:
    """Near-duplicates with labels of their own by lot do not agree; with the same labels they do."""
    dice = np.random.default_rng(0)
    base_QD = dice.normal(size=(300, 16))
    queries_QD = np.repeat(base_QD, 2, axis=0) + 0.05 * dice.normal(size=(600, 16))
    queries_QD = (queries_QD / np.linalg.norm(queries_QD, axis=1, keepdims=True)).astype(np.float32)
    lot_QL = (dice.random((600, 4)) < 0.5).astype(float)
    same_QL = np.repeat(lot_QL[:300], 2, axis=0)
    *_, (_, _, pairs, by_lot, apart) = ceiling.agreement(queries_QD, lot_QL)
    assert pairs > 500
    assert by_lot.low < 0.05 < by_lot.high + 0.1
    assert abs(apart.mean) < 0.1
    assert ceiling.agreement(queries_QD, same_QL)[-1][4].mean > 0.9


def test_a_panel_that_knows_is_worth_something() -> None:
    """The panel's outcomes decide which LLM is right and the text says nothing: only who is told the panel chooses well."""
    dice = np.random.default_rng(0)
    known_Q2 = dice.integers(2, size=(2, 400, 1)).astype(float)
    labels = [np.concatenate([known_Q1, 1 - known_Q1], axis=1) for known_Q1 in known_Q2]
    nothing = (np.zeros((400, 2)), np.zeros((400, 2)))
    found = ceiling.told((labels[0], labels[1]), nothing, (known_Q2[0], known_Q2[1]))
    assert found.panel_Q.mean() > 0.95
    assert found.text_Q.mean() < 0.6
    assert found.oracle_Q.mean() == 1
