"""What was learnt, applied to a query: corrected scores, Thompson's shares, and a file that holds it."""

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from monitoring.errors import LearnedRefused
from monitoring.learning import table
from monitoring.learning.features import DIMS, Features
from monitoring.learning.learned import DRAWS, Doubles, Learned, log_odds
from monitoring.learning.residual import Prior, Residual
from monitoring.learning.settled import aged, drawn
from monitoring.learning.table import Table
from scorer.types import Floats
from scorer.weights import HeadWeights, sigmoid, unit

D, L = 12, 3
RANDOM = np.random.default_rng(0)


def weights() -> HeadWeights:
    normal = lambda *shape: RANDOM.normal(size=shape).astype(np.float32)  # noqa: E731
    return HeadWeights(
        roster=("a", "b", "c"),
        centre_D=normal(D + 2),  # two text features follow the embedding
        groups_GD=normal(4, D + 2),
        bias_G=normal(4),
        prior_GL=normal(4, L),
        softness=0.1,
        projection_DK=normal(D + 2, 6),
        llms_LK=normal(L, 6),
        temperature_L=np.ones(L, dtype=np.float32),
    )


QUERIES = unit(RANDOM.normal(size=(40, D)))
FEATURES = Features.of(weights(), QUERIES)


def learned(**changed: Residual) -> Learned:
    """Of a, b and c, about whom nothing is known but what `changed` says."""
    nothing = Residual.nothing_seen(Prior(), FEATURES.dims, 1_000)
    return Learned.of(FEATURES, [changed.get(name, nothing) for name in "abc"])


def corrected(of: Learned, scores_QL: Doubles, queries_QD: Floats = QUERIES) -> Doubles:
    """The scores with what was learnt."""
    return of.seen(scores_QL, of.features(queries_QD)).corrected_QL


def shifted(by: float, changed: float = 1.0, spread: float = 0.1) -> Residual:
    """An LLM whose log-odds are off by so much everywhere."""
    mean_F = np.zeros(FEATURES.dims + 1)
    mean_F[0] = by
    covariance_FF = np.diag([spread**2, *[1e-12] * FEATURES.dims])
    return Residual((np.zeros_like(mean_F), covariance_FF), (mean_F, covariance_FF), changed, 32)


def test_features_are_few_centred_and_of_one_size() -> None:
    """A one, then directions in which training queries differ; an embedding is enough to tell them."""
    features_QF = FEATURES(QUERIES)
    assert FEATURES.dims <= min(DIMS, 6)
    np.testing.assert_array_equal(features_QF[:, 0], 1.0)
    np.testing.assert_allclose(features_QF[:, 1:].mean(axis=0), 0.0, atol=1e-6)
    assert np.square(features_QF[:, 1:]).sum(axis=1).mean() == pytest.approx(1.0)


def test_nothing_learnt_changes_no_score_by_a_bit() -> None:
    """Not even by the way to log-odds and back."""
    scores_QL = RANDOM.random((40, L)).astype(np.float32).astype(np.float64)
    np.testing.assert_array_equal(corrected(learned(), scores_QL), scores_QL)


def test_a_change_moves_its_llm_alone_as_far_as_it_is_believed() -> None:
    """Between the scorer's score and the changed one, by its probability."""
    scores_QL = np.full((40, L), 0.7)
    corrected_QL = corrected(learned(b=shifted(-2.0, changed=0.5)), scores_QL)
    np.testing.assert_array_equal(corrected_QL[:, [0, 2]], 0.7)
    np.testing.assert_allclose(corrected_QL[:, 1], 0.5 * 0.7 + 0.5 * sigmoid(log_odds(np.array(0.7)) - 2.0))


def test_shares_are_those_of_the_posterior() -> None:
    """Two LLMs a step apart, one of them unsure: how often it wins is what the normal law says, within what DRAWS tell."""
    made = learned(a=shifted(0.0, spread=1e-6), b=shifted(0.0, spread=1.0), c=shifted(-9.0, spread=1e-6))
    scores_QL = np.array([[0.6, 0.5, 0.5]])
    seen = made.seen(scores_QL, FEATURES(QUERIES[:1]))
    shares_L = seen.shares(lambda scores: scores, 0.3)[0]
    wins = 1 - NormalDist().cdf(log_odds(np.array(0.6)) - log_odds(np.array(0.5)))
    assert shares_L.sum() == 1.0
    assert shares_L[1] == pytest.approx(wins, abs=3 * (wins * (1 - wins) / DRAWS) ** 0.5)
    np.testing.assert_array_equal(shares_L, seen.shares(lambda scores: scores, 0.3)[0])  # the same query, the same shares


def test_who_is_too_far_or_may_not_be_asked_has_no_share() -> None:
    """Delta is of the corrected value; -inf is nobody."""
    made = learned(b=shifted(0.0, spread=3.0), c=shifted(0.0, spread=3.0))
    seen = made.seen(np.array([[0.6, 0.5, 0.58]]), FEATURES(QUERIES[:1]))
    shares_L = seen.shares(lambda scores: scores, 0.05)[0]
    assert shares_L[1] == 0.0
    assert shares_L[2] > 0.1
    assert seen.shares(lambda scores: scores + np.array([0.0, -np.inf, -np.inf]), 1.0)[0].tolist() == [1.0, 0.0, 0.0]


def test_outcomes_fade_and_likelier_audits_speak_for_fewer() -> None:
    """A half every half-life; weights of audits sum to what they are worth together."""
    np.testing.assert_allclose(aged(np.array([0, 100, 200]), 100.0), [1.0, 0.5, 0.25])
    np.testing.assert_allclose(drawn(np.full(5, 0.03)), 1.0)
    unequal_N = drawn(np.array([0.5, 0.1, 0.1]))
    assert unequal_N[1] == pytest.approx(5 * unequal_N[0])
    assert unequal_N.sum() < 3


def stored() -> Table:
    return Table("7", ("a", "b", "c"), 12.5, learned(b=shifted(-1.0, 0.25)), (0, 40, 3), (0, 32, 0))


def test_what_was_learnt_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Every number to the last bit, so that a server corrects as the monitor would; no file is nothing learnt."""
    path, scores_QL = tmp_path / "var" / table.NAME, RANDOM.random((40, L))
    assert table.read(path) is None
    table.write(path, stored())
    again = table.read(path)
    assert again is not None
    assert replace(again, learned=stored().learned) == stored() or (again.version, again.roster, again.at) == ("7", ("a", "b", "c"), 12.5)
    assert (again.outcomes_L, again.since_L) == ((0, 40, 3), (0, 32, 0))
    np.testing.assert_array_equal(corrected(again.learned, scores_QL), corrected(stored().learned, scores_QL))


@pytest.mark.parametrize("fault", ["no zip", "short", "shape", "nan", "chance", "pickle"])
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, fault: str) -> None:
    """With its name and what to do; nothing in it is executed."""
    path = tmp_path / table.NAME
    table.write(path, stored())
    with np.load(path) as arrays:
        content = dict(arrays)
    if fault == "no zip":
        path.write_bytes(b"learned")
    else:
        content |= {
            "short": {},
            "shape": {"changed_L": np.zeros(2)},
            "nan": {"mean_K": np.full_like(content["mean_K"], np.nan)},
            "chance": {"changed_L": np.array([0.0, 1.5, 0.0])},
            "pickle": {"at": np.array([Path], dtype=object)},
        }[fault]
        if fault == "short":
            del content["basis_PK"]
        np.savez(path, **content)
    with pytest.raises(LearnedRefused, match=r"learned.npz: cannot be used .* Delete the file"):
        table.read(path)
