"""How costs and forecasts come out on held-out queries, whose labels are known, at a value of a dollar. Pure."""

import numpy as np
from numpy.typing import NDArray

from pipelines.certify import choices, expected_costs
from pipelines.what_if import estimate, lengths
from pipelines.what_if.estimate import Errors
from pipelines.what_if.judgeable import Judgeable, Values
from pipelines.what_if.knowledge import Knowledge
from scorer.metrics import Interval

MOST_WEIGHT = 20.0  # of one held-out query: where the log is of domains that hardly any is of, a few would say it all


def of(judged: Judgeable, known: Knowledge, usd: float, moved: float) -> tuple[Interval, Errors]:
    """The factor of costs and the errors of forecasts, with the baseline's LLMs in the shares that they have in the log.

    moved: how many independent calls change their LLM.
    """
    held_out = known.held_out
    if held_out is None or not judged.billed:
        return Interval(1.0, float("nan"), float("nan")), Errors(np.empty(0))
    columns = list(judged.columns)
    complete_M = np.asarray(np.isfinite(held_out.labels_ML[:, columns]).all(axis=1))
    scores_ML, labels_ML = held_out.scored.scores_NL[complete_M][:, columns], held_out.labels_ML[complete_M][:, columns]
    if not len(scores_ML):
        return Interval(1.0, float("nan"), float("nan")), Errors(np.empty(0))
    texts = [text for text, whole in zip(held_out.texts, complete_M, strict=True) if whole]
    expected_ML = expected_costs(texts, judged.llms, known.recorded)
    chosen_M = choices(scores_ML, expected_ML, np.array([usd]))[0]
    rows = np.arange(len(chosen_M))
    shares_L = np.bincount(judged.baseline_N, minlength=len(judged.llms)) / len(judged.baseline_N)
    off_ML = labels_ML - scores_ML
    errors_M = off_ML[rows, chosen_M] - off_ML @ shares_L
    weight_M = _mix(judged.domains_N[~judged.unlike_N], held_out.scored.domains_N[complete_M])
    inputs_ML, outputs_ML = (grid_ML[complete_M][:, columns] for grid_ML in (held_out.inputs_ML, held_out.outputs_ML))
    changes_M = weight_M * (1 - shares_L[chosen_M])
    factor = estimate.ratio(*_answers(judged, known, chosen_M, inputs_ML, outputs_ML), changes_M, moved)
    return factor, Errors(errors_M, weight_M)


def _answers(
    judged: Judgeable, known: Knowledge, chosen_M: NDArray[np.intp], inputs_ML: Values, outputs_ML: Values
) -> tuple[Values, Values]:
    """USD of held-out answers as long as they were, and as long as `lengths` expects them beside the log's LLMs; NaN where unknown."""
    logged_L = lengths.shares(judged)
    actual, usual = [], []
    for row, choice in enumerate(chosen_M):
        llm, read, written = judged.llms[choice], inputs_ML[row, choice], outputs_ML[row, choice]
        by_others = [
            (share, lengths.expected(known, llm.id, judged.llms[other].id, outputs_ML[row, other]))
            for other, share in enumerate(logged_L)
            if share and np.isfinite(outputs_ML[row, other])
        ]
        told = bool(by_others) and np.isfinite(read) and np.isfinite(written)
        expected = sum(share * tokens for share, tokens in by_others) / sum(share for share, _ in by_others) if told else np.nan
        actual.append(llm.price.cost(round(read), round(written)) if told else np.nan)
        usual.append(llm.price.cost(round(read), max(1, round(expected))) if told else np.nan)
    return np.array(actual, dtype=np.float64), np.array(usual, dtype=np.float64)


def _mix(domains_N: NDArray[np.str_], domains_M: NDArray[np.str_]) -> Values:
    """weight_M: by which held-out queries have the domains that the log has; one that the log lacks counts for nothing."""
    if not len(domains_N):
        return np.ones(len(domains_M))
    names, places_M, counts = np.unique(domains_M, return_inverse=True, return_counts=True)
    wanted = np.array([(domains_N == name).mean() for name in names])
    weight_M = np.minimum((wanted / (counts / len(domains_M)))[places_M], MOST_WEIGHT)
    return np.asarray(weight_M if weight_M.any() else np.ones(len(domains_M)), dtype=np.float64)
