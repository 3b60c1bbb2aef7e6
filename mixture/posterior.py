"""Combines prior, self- and cross-assessment into one score per LLM; a term nobody gave is left out, never invented."""

from mixture.options import PosteriorWeights


def posterior(prior: float, self_score: float | None, cross_score: float | None, weights: PosteriorWeights) -> float:
    """s_l in [0, 1] of one LLM (METHOD.md §2): the published weights, renormalised over the terms that are known.

    An LLM that never ran has neither self- nor cross-assessment: its prior stands.
    """
    if cross_score is not None:
        prior_weight, self_weight, cross_weight = weights.later
    else:
        (prior_weight, self_weight), cross_weight = weights.first, 0.0
    terms = ((prior, prior_weight), (self_score, self_weight), (cross_score, cross_weight))
    known = [(score, weight) for score, weight in terms if score is not None and weight > 0]
    total = sum(weight for _, weight in known)
    return sum(score * weight for score, weight in known) / total if total else prior
