"""Served answers, as what their quality is estimated from: one by one, or all of them in sums beside those that were audited."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.records.record import Record, is_audited

Doubles = NDArray[np.float64]
Names = NDArray[np.str_]
Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]
SEVERAL, NOBODY = "several", "(no key)"  # stand for the LLM of a synthesis, and for who asked before keys were recorded


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """N served answers. forecast_N in [0, 1]; drawn_with_N: the probability of the draw, NaN where not drawn.

    grade_N: by a person or by code, NaN where none; opinion_N: by a judge or reward model. usd_N: what the answers cost.
    """

    version_N: Names
    domain_N: Names
    llm_N: Names
    key_N: Names
    forecast_N: Doubles
    promised_N: Doubles
    drawn_with_N: Doubles
    grade_N: Doubles
    opinion_N: Doubles
    usd_N: Doubles

    def of(self, rows: Bools | Rows) -> "Answers":
        """Some of them."""
        return Answers(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def __len__(self) -> int:
        return len(self.forecast_N)

    def summed(self) -> "tuple[Sums, Audits]":
        """What `estimate` takes of them."""
        domain_D, place_N = np.unique(self.domain_N, return_inverse=True)
        sums = Sums(
            domain_D=domain_D,
            answers_D=np.bincount(place_N, minlength=len(domain_D)),
            forecast_D=np.bincount(place_N, self.forecast_N, minlength=len(domain_D)).astype(np.float64),
            promised=float(self.promised_N.sum()),
            cost_usd=float(self.usd_N.sum()),
        )
        read_N = ~np.isnan(self.drawn_with_N) & ~(np.isnan(self.grade_N) & np.isnan(self.opinion_N))
        return sums, Audits(**{name: getattr(self, name.replace("_M", "_N"))[read_N] for name in Audits.__dataclass_fields__})


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """All of some answers, in D domains: how many, and their forecasts added up. promised, cost_usd: over all of them."""

    domain_D: Names
    answers_D: Rows
    forecast_D: Doubles
    promised: float = 0.0
    cost_usd: float = 0.0

    @property
    def answers(self) -> int:
        """How many."""
        return int(self.answers_D.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Audits:
    """Those M of them that were drawn and have a grade or an opinion; each as in `Answers`. Their domains are among those of `Sums`."""

    domain_M: Names
    forecast_M: Doubles
    drawn_with_M: Doubles
    grade_M: Doubles
    opinion_M: Doubles

    def of(self, rows_M: Bools) -> "Audits":
        """Some of them."""
        return Audits(**{name: getattr(self, name)[rows_M] for name in self.__dataclass_fields__})


def of_records(records: Sequence[Record], domains: Sequence[str]) -> Answers:
    """Served answers with what their records say of them; machines' opinions are not among it."""
    drawn = [np.nan if record.drawn_with is None else record.drawn_with for record in records]
    grades = [record.outcome.score if is_audited(record) and record.outcome is not None else np.nan for record in records]
    return Answers(
        version_N=np.array([record.scorer_version for record in records], dtype=np.str_),
        domain_N=np.array(domains, dtype=np.str_),
        llm_N=np.array([record.llm or SEVERAL for record in records], dtype=np.str_),
        key_N=np.array([record.asked_by or NOBODY for record in records], dtype=np.str_),
        forecast_N=np.array([record.expected for record in records], dtype=np.float64),
        promised_N=np.array([record.predicted for record in records], dtype=np.float64),
        drawn_with_N=np.array(drawn, dtype=np.float64),
        grade_N=np.array(grades, dtype=np.float64),
        opinion_N=np.full(len(records), np.nan),
        usd_N=np.array([record.cost_usd for record in records], dtype=np.float64),
    )
