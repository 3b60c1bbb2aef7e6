"""What outcomes say of one LLM beyond the scorer: a Bayesian linear residual on its log-odds, in case nothing changed and in case it did.

    chance that an answer is right = sigmoid(scorer's log-odds + features . w)

Unchanged, w ~ N(0, what the scorer's own labels left open), and every outcome speaks of it. Changed since one of a few moments, w ~ N(0, a
wide prior), and only the outcomes since then do. Evidence by Laplace's approximation weighs these against each other (Bayesian online
change points, Adams and MacKay 2007, arXiv 0710.3742, on a grid of moments): a scorer that is right stays in force, a broken promise is
learnt from as soon as outcomes say so beyond the odds against it, and nobody has to say how fast to forget.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.weights import sigmoid

Doubles = NDArray[np.float64]
STEPS = 40  # Newton's method needs about five
LONGEST_STEP = 2.0  # in log-odds
INFORMATION = 0.2  # p (1 - p) of a label, about
MOST_OUTCOMES = 500  # of one LLM, the newest
FEWEST_SINCE = 8  # outcomes since a change; the other moments are twice as many outcomes ago each


@dataclass(frozen=True, slots=True)
class Prior:
    """Spreads of a residual, in log-odds (chosen in docs/results/online.md).

    level, direction: of a changed LLM, overall and over queries. unsure: of a scorer that has many labels of it, the same in both.
    changed: chance that an LLM is another one than the scorer was trained on.
    """

    level: float = 2.0
    direction: float = 1.0
    unsure: float = 0.05
    changed: float = 0.02

    def variance_F(self, dims: int) -> Doubles:
        """Of a changed LLM; features are 1 and `dims` others, whose squares sum to 1 on average."""
        return np.array([self.level**2, *[self.direction**2] * dims])

    def unchanged_F(self, dims: int, labels: float) -> Doubles:
        """Of an LLM as the scorer was trained on it, from so many labels, each of which tells INFORMATION about its level."""
        told_F = INFORMATION * labels * np.array([1.0, *[1.0 / max(dims, 1)] * dims])
        return np.asarray(self.unsure**2 + 1.0 / (1.0 / self.variance_F(dims) + told_F))


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """N outcomes of one LLM, the oldest first: features_NF, the scorer's log-odds, labels in [0, 1], and how much each counts."""

    features_NF: Doubles
    offset_N: Doubles
    label_N: Doubles
    count_N: Doubles

    def __len__(self) -> int:
        return len(self.label_N)


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """The posterior of one LLM's w: N(mean, covariance) unchanged, and changed, which it is with probability `changed`.

    since: outcomes since the likeliest change, 0 where there are none to tell by.
    """

    unchanged: tuple[Doubles, Doubles]
    moved: tuple[Doubles, Doubles]
    changed: float
    since: int

    @classmethod
    def nothing_seen(cls, prior: Prior, dims: int, labels: float) -> "Residual":
        """Before the first outcome: the scorer as it is."""
        zero_F = np.zeros(dims + 1)
        return cls((zero_F, np.diag(prior.unchanged_F(dims, labels))), (zero_F, np.diag(prior.variance_F(dims))), 0.0, 0)


def learn(outcomes: Outcomes, prior: Prior, labels: float, *, odds: float = 1.0) -> Residual:
    """The residual given these outcomes, of an LLM that the scorer was trained on with so many labels.

    odds: how much likelier a change is than `prior.changed` says, where something else speaks for one (a verdict).
    """
    dims = outcomes.features_NF.shape[1] - 1 if outcomes.features_NF.ndim == 2 else 0
    total = len(outcomes)
    if not total:
        return Residual.nothing_seen(prior, dims, labels)
    moments = moments_of(total)
    ages_N = np.arange(total, 0, -1)
    since_MN = ages_N <= np.array(moments)[:, None]
    masks_BN = np.concatenate([np.ones((1, total), dtype=bool), ~since_MN, since_MN])
    narrow_F, wide_F = prior.unchanged_F(dims, labels), prior.variance_F(dims)
    variances_BF = np.stack([narrow_F] * (1 + len(moments)) + [wide_F] * len(moments))
    mean_BF, covariance_BFF, evidence_B = posteriors(outcomes, masks_BN, variances_BF)
    before_M, since_M = np.split(evidence_B[1:], 2)
    changed_M = before_M + since_M - evidence_B[0] + np.log(odds * prior.changed / (1 - prior.changed) / len(moments))
    chance_M = np.exp(changed_M - np.logaddexp(0.0, np.logaddexp.reduce(changed_M)))
    likeliest = int(chance_M.argmax())
    at = 1 + len(moments) + likeliest
    return Residual(
        unchanged=(mean_BF[0], covariance_BFF[0]),
        moved=(mean_BF[at], covariance_BFF[at]),
        changed=min(1.0, float(chance_M.sum())),
        since=moments[likeliest],
    )


def moments_of(total: int) -> list[int]:
    """How many outcomes ago an LLM may have changed: FEWEST_SINCE, twice that, and so on; at last before the first of them."""
    moments: list[int] = []
    while (size := FEWEST_SINCE * 2 ** len(moments)) < total:
        moments.append(size)
    return [*moments, total]


def posteriors(outcomes: Outcomes, masks_BN: NDArray[np.bool_], variances_BF: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Of B subsets of the outcomes, each under its own prior N(0, variances): means_BF, covariances_BFF, log evidence_B.

    Logistic regression by Newton's method, the covariance and the evidence by Laplace's approximation.
    """
    features_NF, offset_N, label_N = outcomes.features_NF, outcomes.offset_N, outcomes.label_N
    counts_BN = masks_BN * outcomes.count_N
    at_BF: Doubles = np.zeros(variances_BF.shape)
    identity_FF = np.eye(features_NF.shape[1])
    for _ in range(STEPS):
        chance_BN = sigmoid(at_BF @ features_NF.T + offset_N)
        slope_BF = (counts_BN * (chance_BN - label_N)) @ features_NF + at_BF / variances_BF
        step_BF = np.linalg.solve(_curvature(features_NF, counts_BN, chance_BN, variances_BF), slope_BF[:, :, None])[:, :, 0]
        longest_B = np.abs(step_BF).max(axis=1, keepdims=True)
        at_BF = np.asarray(at_BF - step_BF * np.minimum(1.0, LONGEST_STEP / np.maximum(longest_B, 1e-12)))
        if longest_B.max() < 1e-6:
            break
    logits_BN = at_BF @ features_NF.T + offset_N
    curvature_BFF = _curvature(features_NF, counts_BN, sigmoid(logits_BN), variances_BF)
    likelihood_B = (counts_BN * (label_N * logits_BN - np.logaddexp(0.0, logits_BN))).sum(axis=1)
    penalty_B = 0.5 * (at_BF**2 / variances_BF + np.log(variances_BF)).sum(axis=1) + 0.5 * np.linalg.slogdet(curvature_BFF)[1]
    covariance_BFF = np.linalg.solve(curvature_BFF, np.broadcast_to(identity_FF, curvature_BFF.shape))
    return at_BF, np.asarray(covariance_BFF, dtype=np.float64), np.asarray(likelihood_B - penalty_B)


def _curvature(features_NF: Doubles, counts_BN: Doubles, chance_BN: Doubles, variances_BF: Doubles) -> Doubles:
    weighted_BNF = (counts_BN * chance_BN * (1 - chance_BN))[:, :, None] * features_NF
    curvature_BFF = np.matmul(features_NF.T, weighted_BNF)
    every = np.arange(features_NF.shape[1])
    curvature_BFF[:, every, every] += 1.0 / variances_BF
    return np.asarray(curvature_BFF)
