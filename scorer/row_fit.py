"""New LLMs join a trained scorer, each by fitting its own row from a few hundred labels; no other score changes by one bit.

The row starts as the mean of the LLMs that are there (what is hard for them is hard for the new one) at a level of its own. From there its
labels move it, each step shrunk by a Gaussian prior: along the differences between the LLMs that are there, with the spread those have
(hierarchical Bayes), then per group of queries and per direction of the shared space. A few hundred labels mostly tell the level, and
part of their noise is in which queries were drawn: what the other LLMs' labels say about a query's luck is taken off first
(a control variate, as in regression estimators of survey sampling).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scorer.errors import TrainingError
from scorer.initialisation import Labels
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights, centred, sigmoid, unit

Values = NDArray[np.float64]
STEPS = 50  # Newton's method needs about five
LONGEST_STEP = 2.0  # in log-odds


@dataclass(frozen=True, slots=True)
class Spread:
    """How far a new LLM is expected to be from the others: standard deviations in log-odds (chosen in docs/results/joining.md).

    level: of its overall log-odds from theirs; differences: along the differences between their rows, in units of the spread those have;
    group, direction: of what no mixture of their rows explains, per group of queries and over the shared space.
    """

    level: float = 1.0
    differences: float = 1.0
    group: float = 0.3
    direction: float = 0.3


@dataclass(frozen=True, slots=True)
class TrainedScorer:
    """A trained scorer and its LLMs' labels (Q, L) on some queries, not necessarily all it was trained on; NaN: unknown."""

    weights: HeadWeights
    calibration: Calibration
    queries_QD: Floats
    labels_QL: Labels


def add_rows(
    scorer: TrainedScorer, newcomers: tuple[str, ...], labels_QN: Labels, spread: Spread | None = None, *, weights_QN: Labels | None = None
) -> tuple[HeadWeights, Calibration]:
    """The scorer with a row for each of `newcomers` after the others, from its labels on the queries of `scorer`.

    Every array of the LLMs it has stays as it is, so their scores do; a newcomer's row does not depend on the other newcomers.
    weights_QN: how many labels each of theirs counts as; None: one.
    Raises TrainingError where the scorer has fewer than two LLMs, or a newcomer is in it already or has no label.
    """
    _check(scorer, newcomers, labels_QN)
    counted_QN = np.ones(labels_QN.shape) if weights_QN is None else weights_QN
    rows = [_row(scorer, labels_Q, counts_Q, spread or Spread()) for labels_Q, counts_Q in zip(labels_QN.T, counted_QN.T, strict=True)]
    weights, calibration = scorer.weights, scorer.calibration
    extended = replace(
        weights,
        roster=weights.roster + newcomers,
        prior_GL=np.column_stack([weights.prior_GL, *(row.prior_G for row in rows)]).astype(np.float32),
        llms_LK=np.vstack([weights.llms_LK, *(row.llm_K for row in rows)]).astype(np.float32),
        temperature_L=np.append(weights.temperature_L, [row.temperature for row in rows]).astype(np.float32),
    )
    if weights.trust is not None:  # nothing tells how far a newcomer is off on kinds nobody knows: as far as the others
        known_L = weights.trust.spread_L
        spread_L = np.append(known_L, np.full(len(newcomers), known_L.mean())).astype(np.float32)
        extended = replace(extended, trust=replace(weights.trust, spread_L=spread_L))
    plain = Calibration.identity(len(newcomers))  # a row is fitted to be a calibrated log-odds
    slopes, intercepts = (calibration.slope_L, plain.slope_L), (calibration.intercept_L, plain.intercept_L)
    return extended, Calibration(np.concatenate(slopes), np.concatenate(intercepts))


def _row(scorer: TrainedScorer, labels_Q: Values, counts_Q: Values, spread: Spread) -> "_Row":
    """Without the queries that only other newcomers are labelled on: even a sum over them would be rounded differently."""
    own_Q = (~np.isnan(scorer.labels_QL)).any(axis=1) | ~np.isnan(labels_Q)
    relevant = replace(scorer, queries_QD=scorer.queries_QD[own_Q], labels_QL=scorer.labels_QL[own_Q])
    return _Features.of(relevant).row(labels_Q[own_Q], counts_Q[own_Q], spread)


@dataclass(frozen=True, slots=True)
class _Row:
    """What `HeadWeights` holds of one LLM."""

    prior_G: Values
    llm_K: Values
    temperature: float


@dataclass(frozen=True, slots=True)
class _Features:
    """What a new row is a linear function of, and what the known LLMs' labels say about luck.

    member_QG, direction_QK: a query's groups and place in the shared space; the known rows in calibrated log-odds are
    prior_GL and llms_KL over these; logits_QL: their log-odds less level_L, their means over queries; luck_Q: by how much the known
    LLMs' labels on a query exceed what was predicted, on average; follows: how many standard deviations of its label an LLM moves with it.
    """

    member_QG: Values
    direction_QK: Values
    prior_GL: Values
    llms_KL: Values
    logits_QL: Values
    level_L: Values
    luck_Q: Values
    follows: float

    @classmethod
    def of(cls, scorer: TrainedScorer) -> "_Features":
        weights, slope_L = scorer.weights, scorer.calibration.slope_L
        centred_QD = centred(scorer.queries_QD, weights.centre_D)
        direction_QK = unit(centred_QD @ weights.projection_DK).astype(np.float64)
        member_QG = weights.member(centred_QD).astype(np.float64)
        if weights.trust is not None:  # what is not believed of a query is shared out over all groups
            share_Q1 = weights.trust.share(centred_QD)[:, None]
            member_QG, direction_QK = share_Q1 * member_QG + (1 - share_Q1) / member_QG.shape[1], share_Q1 * direction_QK
        prior_GL = slope_L * weights.prior_GL + scorer.calibration.intercept_L  # memberships sum to 1: a constant is one per group
        llms_KL = (unit(weights.llms_LK) * (slope_L / weights.temperature_L)[:, None]).T
        logits_QL = member_QG @ prior_GL + direction_QK @ llms_KL
        labelled_Q = (~np.isnan(scorer.labels_QL)).any(axis=1)
        level_L = logits_QL[labelled_Q].mean(axis=0)
        luck_Q, follows = _luck(scorer.labels_QL, sigmoid(logits_QL))
        luck_Q = np.where(labelled_Q, luck_Q - luck_Q[labelled_Q].mean(), 0.0)
        return cls(member_QG, direction_QK, prior_GL, llms_KL, logits_QL - level_L, level_L, luck_Q, follows)

    def row(self, labels_Q: Values, counts_Q: Values, spread: Spread) -> _Row:
        """The row of most posterior probability given one LLM's labels, each counted that many times."""
        labelled_Q = ~np.isnan(labels_Q)
        llms, groups, dims = len(self.level_L), self.member_QG.shape[1], self.direction_QK.shape[1]
        mean_Q = self.logits_QL.mean(axis=1)
        apart_QL = self.logits_QL - mean_Q[:, None]
        design_NF = np.column_stack([np.ones(len(labels_Q)), apart_QL, self.member_QG, self.direction_QK])[labelled_Q]
        spreads_F = np.repeat([spread.level, spread.differences * llms**-0.5, spread.group, spread.direction], [1, llms, groups, dims])
        start_F = np.zeros(len(spreads_F))
        start_F[0] = self.level_L.mean()
        labels_N = labels_Q[labelled_Q]
        lucky_N = self.follows * float(_deviation(labels_N.mean())) * self.luck_Q[labelled_Q]
        fitted_F = _most_probable(design_NF, labels_N - lucky_N, mean_Q[labelled_Q], counts_Q[labelled_Q], (start_F, spreads_F))
        level, apart_L, group_G, direction_K = fitted_F[0], *np.split(fitted_F[1:], [llms, llms + groups])
        share_L = 1 / llms + apart_L - apart_L.mean()  # of each known row in the new one
        llm_K = self.llms_KL @ share_L + direction_K
        length = max(float(np.linalg.norm(llm_K)), 1e-3)
        return _Row(self.prior_GL @ share_L + group_G + level - self.level_L @ share_L, llm_K / length, 1 / length)


def _luck(labels_QL: Labels, predicted_QL: Values) -> tuple[Values, float]:
    """luck_Q, and the slope of one LLM's excess (in standard deviations of its label) on the mean excess of the others."""
    labelled_QL = ~np.isnan(labels_QL)
    excess_QL = np.where(labelled_QL, labels_QL - predicted_QL, 0.0)
    counts_Q1 = labelled_QL.sum(axis=1, keepdims=True)
    total_Q1 = excess_QL.sum(axis=1, keepdims=True)
    others_QL = np.where(labelled_QL & (counts_Q1 > 1), (total_Q1 - excess_QL) / np.maximum(counts_Q1 - 1, 1), 0.0)
    deviation_L = _deviation(np.clip(predicted_QL.mean(axis=0), 0.02, 0.98))
    follows = float((others_QL * excess_QL / deviation_L).sum() / max((others_QL**2).sum(), 1e-9))
    return (total_Q1 / np.maximum(counts_Q1, 1))[:, 0], follows


def _deviation(rate: Values) -> Values:
    """Standard deviation of a label that is 1 with chance `rate`, else 0."""
    return np.sqrt(rate * (1 - rate))


def _most_probable(design_NF: Values, labels_N: Values, offset_N: Values, counts_N: Values, prior: tuple[Values, Values]) -> Values:
    """Logistic regression by Newton's method; a label less its luck may lie outside [0, 1]. prior: a Gaussian's means and spreads."""
    start_F, spreads_F = prior
    at_F = start_F
    for _ in range(STEPS):
        predicted_N = sigmoid(design_NF @ at_F + offset_N)
        slope_F = design_NF.T @ (counts_N * (predicted_N - labels_N)) + (at_F - start_F) / spreads_F**2
        curvature_FF = (design_NF.T * (counts_N * predicted_N * (1 - predicted_N))) @ design_NF + np.diag(spreads_F**-2.0)
        step_F = np.linalg.solve(curvature_FF, slope_F)
        longest = float(np.abs(step_F).max())
        at_F = at_F - step_F * min(1.0, LONGEST_STEP / max(longest, 1e-12))
        if longest < 1e-6:
            break
    return at_F


def _check(scorer: TrainedScorer, newcomers: tuple[str, ...], labels_QN: Labels) -> None:
    if len(scorer.weights.roster) < 2:
        raise TrainingError("a row is fitted beside at least two LLMs.", next_step="Train it jointly (`routemoa retrain --full`).")
    together = scorer.weights.roster + newcomers
    if twice := sorted({llm for llm in newcomers if together.count(llm) > 1}):
        raise TrainingError(f"{', '.join(twice)} would be in the roster twice.", next_step="Join each LLM once.")
    if labels_QN.shape != (len(scorer.queries_QD), len(newcomers)):
        raise TrainingError(
            f"labels of shape {labels_QN.shape} for {len(scorer.queries_QD)} queries and {len(newcomers)} new LLMs.",
            next_step="Give one column a new LLM and one row a query.",
        )
    if unlabelled := [llm for llm, labelled_Q in zip(newcomers, (~np.isnan(labels_QN)).T, strict=True) if not labelled_Q.any()]:
        raise TrainingError(f"no label of {', '.join(unlabelled)} to fit its row from.", next_step="Label some of its answers first.")
    if ((labels_QN < 0) | (labels_QN > 1)).any():
        raise TrainingError("a label outside [0, 1].", next_step="Correct the grader.")
