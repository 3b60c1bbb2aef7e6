"""A newcomer's row never makes the pool worse: where its choices on validation queries surely are, it is shrunk until they are not."""

import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from scorer import metrics
from scorer.initialisation import Labels
from scorer.metrics import Interval
from scorer.row_fit import Spread, TrainedScorer, add_rows
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights

SHRUNK = (1.0, 0.5, 0.25, 0.0)  # of the spread a row may have around the others' mean
LOWERED = (0.25, 0.5, 1.0, 2.0, 4.0)  # log-odds taken off its promises, where no shrinking helps
RESAMPLES = 1000
LEAST = 1e-3  # of a spread: a Gaussian needs some
Row = tuple[HeadWeights, Calibration]  # a scorer whose last LLM is the newcomer


@dataclass(frozen=True, slots=True)
class Guarded:
    """One newcomer's row. gain: over the pool without it, on validation queries that it is labelled on; shrunk, lowered: what that took."""

    labels: int
    gain: Interval
    shrunk: float
    lowered: float

    def as_json(self) -> dict[str, Any]:
        """For the report of a training; a gain that nobody could measure is null."""
        return asdict(self) | {"gain": None if np.isnan(self.gain.mean) else asdict(self.gain)}

    def __str__(self) -> str:
        lowered = f", its promises lowered by {self.lowered:g} in log-odds" if self.lowered else ""
        return f"left {self.shrunk:g} of its freedom{lowered}, which gains {self.gain}"


@dataclass(frozen=True, slots=True)
class Validation:
    """Queries that judge: their vectors, the labels of the LLMs that are there, and of the newcomers."""

    queries_QD: Floats
    labels_QL: Labels
    labels_QN: Labels

    def of(self, column: int) -> "Validation":
        """Those that one newcomer and another LLM are labelled on."""
        compared_Q = ~np.isnan(self.labels_QN[:, column]) & (~np.isnan(self.labels_QL)).any(axis=1)
        return Validation(self.queries_QD[compared_Q], self.labels_QL[compared_Q], self.labels_QN[compared_Q][:, [column]])


def add_guarded(
    trained: TrainedScorer, newcomers: tuple[str, ...], labels_QN: Labels, weights_QN: Labels | None, validation: Validation
) -> tuple[HeadWeights, Calibration, dict[str, Guarded]]:
    """`row_fit.add_rows` of all newcomers, each shrunk where it must be, which is said on stderr."""
    guarded, rows = {}, []
    for column, llm in enumerate(newcomers):
        counts_Q1 = None if weights_QN is None else weights_QN[:, [column]]
        row, found = _Newcomer(llm, labels_QN[:, [column]], counts_Q1, validation.of(column)).guarded(trained)
        rows.append(row)
        guarded[llm] = found
        if found.shrunk < 1:
            print(f"{llm}: the row that its labels give makes choices on validation queries surely worse; {found}.", file=sys.stderr)
    return *_joined(trained, rows), guarded


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """One LLM's labels, and the queries that judge it."""

    llm: str
    labels_Q1: Labels
    counts_Q1: Labels | None
    judging: Validation

    def guarded(self, trained: TrainedScorer) -> tuple[Row, Guarded]:
        """Its row with as much freedom as does no sure harm."""
        before_QL = (
            trained.calibration.probabilities(trained.weights.logits(self.judging.queries_QD)) if len(self.judging.queries_QD) else None
        )
        labels, spread = int((~np.isnan(self.labels_Q1)).sum()), asdict(Spread())
        for shrunk in SHRUNK:
            tighter = Spread(**{name: value if name == "level" else max(value * shrunk, LEAST) for name, value in spread.items()})
            row = add_rows(trained, (self.llm,), self.labels_Q1, tighter, weights_QN=self.counts_Q1)
            found = Guarded(labels, self._gain(before_QL, row), shrunk, 0.0)
            if not found.gain.high < 0:
                return row, found
        for lowered in LOWERED:
            weights, fitted = row
            less_L = np.append(np.zeros(len(fitted.intercept_L) - 1), lowered)
            low = weights, replace(fitted, intercept_L=fitted.intercept_L - less_L)
            found = Guarded(labels, self._gain(before_QL, low), 0.0, lowered)
            if not found.gain.high < 0:
                break
        return low, found

    def _gain(self, before_QL: Floats | None, row: Row) -> Interval:
        """What the pool gains by the row where it is judged; NaN where it is not."""
        if before_QL is None:
            return Interval(float("nan"), float("nan"), float("nan"))
        after_QL = row[1].probabilities(row[0].logits(self.judging.queries_QD))
        labels_QL = np.column_stack([self.judging.labels_QL, self.judging.labels_QN])
        better_Q = metrics.quality(after_QL, labels_QL) - metrics.quality(before_QL, self.judging.labels_QL)
        return metrics.interval(better_Q, resamples=RESAMPLES)


def _joined(trained: TrainedScorer, rows: list[Row]) -> Row:
    """The scorer with the last row of each."""
    weights, fitted = trained.weights, trained.calibration
    for new, calibrated in rows:
        weights = replace(
            weights,
            roster=(*weights.roster, new.roster[-1]),
            prior_GL=np.column_stack([weights.prior_GL, new.prior_GL[:, -1]]),
            llms_LK=np.vstack([weights.llms_LK, new.llms_LK[-1]]),
            temperature_L=np.append(weights.temperature_L, new.temperature_L[-1]),
            trust=weights.trust
            and new.trust
            and replace(weights.trust, spread_L=np.append(weights.trust.spread_L, new.trust.spread_L[-1])),
        )
        fitted = Calibration(np.append(fitted.slope_L, calibrated.slope_L[-1]), np.append(fitted.intercept_L, calibrated.intercept_L[-1]))
    return weights, fitted
