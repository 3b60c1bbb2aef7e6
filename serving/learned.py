"""What was learnt between retrainings, followed from `var/learned.npz` and applied to the scores by which LLMs are chosen.

The file is read beside the requests; on a request's way there is one product with what it holds. Records keep the scorer's own scores.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.learning.table import Table
from serving.state import State


def corrected(state: State, version: str, scores: Mapping[str, float], query_D: NDArray[np.float32]) -> Mapping[str, float]:
    """`scores` of that scorer version with what was learnt of it; they themselves where learning is off or nothing was learnt yet."""
    table = of_version(state, version)
    if table is None or table.roster != tuple(scores) or not len(query_D):
        return scores
    scores_QL = np.array([list(scores.values())])
    return {**scores, **dict(zip(table.roster, map(float, table.learned.corrected(scores_QL, query_D[None, :])[0]), strict=True))}


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
