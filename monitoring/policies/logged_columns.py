"""Requests as a target sees them, in the arrays of `off_policy`: one row of numbers each, whatever else a record holds."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from mixture.choose.action import Unexplored
from monitoring.policies.logged_actions import Served, Target
from monitoring.policies.off_policy import Doubles, Flags, Logged
from monitoring.records.record import is_audited

COLUMNS = (
    *("propensity_N", "target_N", "supported_N", "differs_N", "promised_N", "promised_asked_N", "grade_N", "drawn_with_N"),
    *("usd_N", "usd_asked_N", "cost_N", "chance_N", "gap_N", "explored_N"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The N requests whose query a target can score. kept_M: which of the traffic's M they are. columns_NC: their COLUMNS.

    why: why nothing was left to chance, of each. Audits alone are outcomes of quality: who reports otherwise was not drawn.
    """

    columns_NC: Doubles
    kept_M: Flags
    why: Sequence[Unexplored]

    def of(self, kept_M: Flags) -> "Seen":
        """Some of the traffic's, where the target can score all of it."""
        return Seen(self.columns_NC[kept_M], kept_M, tuple(compress(self.why, kept_M)))

    def column(self, name: str) -> Doubles:
        """One of COLUMNS.

        chance_N: the propensity that a unit of exploration within `delta` gives the LLM that the target asks; gap_N: how much less it is
        worth than the usual one by the log's own reckoning, in the unit of the weights' quality.
        """
        return self.columns_NC[:, COLUMNS.index(name)]

    @property
    def explored_N(self) -> Flags:
        """Where chance chose another LLM than the usual one."""
        return self.column("explored_N").astype(bool)

    @property
    def quality(self) -> Logged:
        """With a quality as outcome."""
        return self._logged("promised_N", "promised_asked_N", "grade_N", self.column("drawn_with_N"))

    @property
    def money(self) -> Logged:
        """With USD as outcome."""
        return self._logged("usd_N", "usd_asked_N", "cost_N", np.ones(len(self.columns_NC)))

    def _logged(self, forecast: str, logged: str, outcome: str, observed_N: Doubles) -> Logged:
        return Logged(
            propensity_N=self.column("propensity_N"),
            target_N=self.column("target_N"),
            supported_N=self.column("supported_N"),
            differs_N=self.column("differs_N").astype(bool),
            forecast_N=self.column(forecast),
            logged_N=self.column(logged),
            outcome_N=self.column(outcome),
            observed_N=observed_N,
        )


def seen(traffic: Iterable[Served], targets: Sequence[Target], *, usual_usd: float, delta: float) -> list[Seen]:
    """What each target sees, in one passage through the traffic, of which no request is held. usual_usd: as `Served.asks` has it."""
    rows = [array("d") for _ in targets]
    kept = [array("b") for _ in targets]
    why: list[list[Unexplored]] = [[] for _ in targets]
    once: dict[Unexplored, Unexplored] = {}  # each record was parsed anew, and brings words of its own
    for each in traffic:
        for at, target in enumerate(targets):
            choice = each.asks(target, usual_usd)
            kept[at].append(choice is not None)
            if choice is not None:
                rows[at].extend(_row(each, target, *choice, delta))
                why[at].append(once.setdefault(each.action.why, each.action.why))
    return [
        Seen(np.asarray(numbers).reshape(-1, len(COLUMNS)), np.asarray(flags).astype(bool), reasons)
        for numbers, flags, reasons in zip(rows, kept, why, strict=True)
    ]


def _row(served: Served, target: Target, first: str, costs: Mapping[str, float], delta: float) -> tuple[float, ...]:
    record, action = served.record, served.action
    propensity, promised = served.candidates.get(first, (0.0, 0.0))
    graded = is_audited(record) and record.drawn_with is not None
    values = {each.llm: each.value for each in action.candidates}
    quality = served.request.options.weights.quality or 1.0
    gaps = {llm: (values[action.usual] - value) / quality for llm, value in values.items()}
    near = sum(gap <= delta for gap in gaps.values())
    return (
        action.propensity,
        float(first == action.first),
        float(propensity > 0),
        float(first != action.usual),
        promised,
        served.candidates[action.first][1],
        record.outcome.score if graded and record.outcome is not None else float("nan"),
        record.drawn_with if graded and record.drawn_with is not None else 1.0,
        costs.get(first, 0.0),
        costs.get(action.first, served.cost_usd(target)),
        served.cost_usd(target),
        1 / near if gaps.get(first, float("inf")) <= delta else 0.0,
        gaps.get(first, float("inf")),
        float(action.explored),
    )
