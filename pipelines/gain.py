"""What a retraining bought for the groups that caused it: quality of the choices there before and after, on queries kept out of training.

Both scorers choose among the LLMs that are labelled for a query, by their scores alone; the new one was not trained on these queries.
The difference is paired, its interval Student's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.audits.group_actions import Chosen
from monitoring.quality import student
from monitoring.records.redaction import redact
from monitoring.records.store import RecordStore
from pipelines import dataset, query_pool
from pipelines.dataset import Dataset
from pipelines.project import Project
from registry.settings import Settings
from scorer import metrics, runtime

LEAST = 5  # queries, for an interval
TRAINED_ON = frozenset({"train", "calibration"})
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its 95 % interval; bounds are None below LEAST queries."""

    value: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values_N: Doubles, least: float, most: float) -> "Mean":
        """Of N values in [least, most], N > 0; beyond them the interval is cut off."""
        value, n = float(values_N.mean()), len(values_N)
        if n < LEAST:
            return cls(value, None, None)
        half = student.quantile(0.975, n - 1) * float(values_N.std(ddof=1)) / n**0.5
        return cls(value, max(value - half, least), min(value + half, most))

    def __str__(self) -> str:
        return f"{self.value:.2f}" if self.low is None else f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Gain:
    """Of one group: its queries in the dataset, how many were kept out of training, and on those quality and promise of the choices.

    before, after, difference, promised_before, promised_after: None where no labelled query was kept out.
    """

    group: str
    queries: int
    kept_out: int
    before: Mean | None = None
    after: Mean | None = None
    difference: Mean | None = None
    promised_before: float | None = None
    promised_after: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.group}: {self.queries} queries labelled, none kept out of training to tell by."
        promises = f"promised {self.promised_before:.2f} -> {self.promised_after:.2f}"
        return (
            f"{self.group}: quality {self.before} before, {self.after} after, by {self.difference}, on {self.kept_out} queries; {promises}."
        )


def of_groups(project: Project, groups: Sequence[Chosen], before: Path | None) -> list[Gain]:
    """The gain of each group. before: folder of the scorer that served until now, None where there was none.

    Raises ArtifactRefused where a scorer cannot be read, TableRefused where the dataset cannot.
    """
    if not groups or before is None:
        return []
    data = dataset.load(project.dataset)
    by_text = {
        query_pool.identity(text, choices)[0]: row
        for row, (text, choices) in enumerate(zip(data.queries["text"], data.queries["choices"], strict=True))
    }
    old, new = runtime.load(before), runtime.load(project.scorer)
    return [_of(group, _rows(project, group, by_text), data, old, new) for group in groups]


def _rows(project: Project, group: Chosen, by_text: dict[str, int]) -> list[int]:
    """The dataset's queries that the group's decisions asked."""
    texts = [redact(record.text) for record in RecordStore.of(Settings(home=project.home)).of_ids(group.members) if record.text]
    rows = (by_text.get(query_pool.identity(text)[0]) for text in texts)
    return sorted({row for row in rows if row is not None})


def _of(group: Chosen, rows: list[int], data: Dataset, old: runtime.RuntimeScorer, new: runtime.RuntimeScorer) -> Gain:
    labelled = [row for row in rows if not np.isnan(data.labels_QL[row]).all()]
    kept_out = [row for row in labelled if str(data.splits_Q[row]) not in TRAINED_ON]
    both = [llm for llm in data.roster if llm in old.roster and llm in new.roster]
    if not kept_out or not both:
        return Gain(group.name, len(labelled), 0)
    texts = [str(data.queries["text"].iloc[row]) for row in kept_out]
    labels_QL = data.labels_QL[np.ix_(kept_out, [data.roster.index(llm) for llm in both])]
    told = []
    for scorer in (old, new):
        scores_QL = scorer.score(texts).scores_QL[:, [scorer.roster.index(llm) for llm in both]]
        chosen_Q = metrics.choices(scores_QL, labels_QL)
        told.append((metrics.at_choice(labels_QL, chosen_Q), metrics.at_choice(scores_QL.astype(np.float64), chosen_Q)))
    (was_Q, promised_Q), (is_Q, now_promised_Q) = told
    known = ~np.isnan(was_Q)
    if not known.any():
        return Gain(group.name, len(labelled), 0)
    return Gain(
        group.name,
        len(labelled),
        int(known.sum()),
        Mean.of(was_Q[known], 0.0, 1.0),
        Mean.of(is_Q[known], 0.0, 1.0),
        Mean.of(is_Q[known] - was_Q[known], -1.0, 1.0),
        float(promised_Q[known].mean()),
        float(now_promised_Q[known].mean()),
    )
