"""What was learnt between retrainings, followed from `var/learned.npz` and applied to the scores by which LLMs are chosen.

The file is read beside the requests; on a request's way there is one product with what it holds. Records keep the scorer's own scores.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixture.choose.ranking import refusal
from mixture.run.request import Request
from monitoring.learning.learned import Seen
from monitoring.learning.table import Table
from serving.state import State


def applied(
    table: Table, scores: Mapping[str, float], query_D: NDArray[np.float32], asking: Callable[[Mapping[str, float]], Request]
) -> Request:
    """What `asking` makes of `scores` with what was learnt, chance's share divided by it.

    Of `scores` alone where the table is of other LLMs or of another encoder: another registry's version may have the same number.
    """
    if table.roster != tuple(scores) or len(table.learned.features.centre_D) != len(query_D):
        return asking(scores)
    learned = table.learned
    seen = learned.seen(np.array([list(scores.values())]), learned.features(query_D[None, :]))
    request = asking(dict(zip(table.roster, map(float, seen.corrected_QL[0]), strict=True)))
    if not request.explore.share:
        return request
    return replace(request, explore=replace(request.explore, weights=_shares(table, seen, request)))


def _shares(table: Table, seen: Seen, request: Request) -> dict[str, float]:
    """How often each candidate would be worth most under what is known."""
    weights, candidates = request.options.weights, {each.llm.id: each for each in request.candidates}
    price_L = np.full(len(table.roster), np.inf)
    for at, llm in enumerate(table.roster):
        if (each := candidates.get(llm)) is not None and refusal(each, request.options) is None:
            price_L[at] = weights.penalty(each.cost_usd, each.latency_s or 0.0, each.kwh)
    if np.isinf(price_L).all():
        return {}
    shares_L = seen.shares(lambda scores: weights.quality * scores - price_L, np.inf)[0]
    return {llm: float(share) for llm, share in zip(table.roster, shares_L, strict=True) if share > 0}


def of_version(state: State, version: str) -> Table | None:
    """What is in force of this scorer version; None where learning is off, or the file is of another version."""
    table = state.learned.value
    return table if state.settings.learning != "off" and table is not None and table.version == version else None


def shown(state: State) -> dict[str, Any] | None:
    """For /admin/scorer: of each LLM, how many outcomes speak of it, and the chance that it changed; None where nothing was learnt."""
    table = None if state.scorer.value is None else of_version(state, state.scorer.value.version)
    if table is None:
        return None
    columns = zip(table.roster, table.outcomes_L, table.since_L, table.learned.changed_L, strict=True)
    llms = {
        llm: {"outcomes": outcomes, "changed": float(chance), "outcomes_since": since if chance else 0}
        for llm, outcomes, since, chance in columns
    }
    return {"at": table.at, "llms": llms}
