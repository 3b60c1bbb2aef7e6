"""What policies would have brought on recorded traffic, beside what was served: quality and money with intervals, or why not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mixture.choose.action import Unexplored
from monitoring.policies import off_policy
from monitoring.policies.logged_actions import UNSCORED, Target
from monitoring.policies.logged_columns import Seen, seen
from monitoring.policies.logged_traffic import Traffic
from monitoring.policies.off_policy import Value

DELTA = 0.1  # as `ROUTEMOA_EXPLORE__DELTA` has it where the records do not say
MOST_SHARE = 0.5  # that `ROUTEMOA_EXPLORE__SHARE` takes
MOST_GAPS = 0.95  # of the requests where the target differs, that a delta has to reach
NEVER: Mapping[Unexplored, str] = {
    "session": "a session has its LLM",
    "asked not to": "the caller asked for none",
    "certificate": "a certificate says what is served",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One policy. quality in [0, 1] and usd a request; each also less what the log does without chance. usd_weight: value of a dollar."""

    name: str
    usd_weight: float | None
    quality: Value
    usd: Value
    quality_difference: Value
    usd_difference: Value
    advice: str = ""

    def surely_within(self, floor: float) -> bool:
        """Whether its quality is at most `floor` below what the log does without chance, by the interval."""
        low = self.quality_difference.low
        return low is not None and low >= -floor


@dataclass(frozen=True, slots=True)
class Report:
    """requests: judged. explored: of them, by an LLM that chance chose; their extra cost as expected. not_judged: by reason.

    served: as it was, chance included. best: by the floor.
    """

    version: str
    strategy: str
    requests: int
    audited: int
    explored: int
    exploration_usd: float
    not_judged: Mapping[str, int]
    served: tuple[Value, Value] | None = None
    rows: tuple[Row, ...] = ()
    floor: float | None = None
    best: Row | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "assumed": list(ASSUMED)}


ASSUMED = (
    "Only the LLM that is asked first differs: what follows it (another in place of a failed one, asking one more) is as it was.",
    "Sessions are taken as they stood: what an earlier request's other choice would have changed in later ones is not counted.",
    "Requests without an answer are left out of quality and money: where chance chose an LLM that often fails, it looks better than it is.",
    "Only audited answers say something of quality; outcomes that callers report do not, for nobody drew who reports.",
)


def evaluate(traffic: Traffic, targets: Sequence[Target], *, version: str, floor: float | None, notes: tuple[str, ...] = ()) -> Report:
    """The report. Where a floor is given, targets are in the order of falling cost, and the best is the last before the first to fail."""
    made = Report(
        version=version,
        strategy=traffic.strategy,
        requests=len(traffic),
        audited=0,
        explored=traffic.summary.explored,
        exploration_usd=sum(traffic.summary.extra_usd),
        not_judged=dict(traffic.not_judged),
        floor=floor,
        notes=notes,
    )
    if not len(traffic):
        return made
    why, delta = Counter(traffic.not_judged), traffic.summary.delta or DELTA
    asked = [Target("without exploration", as_logged=True), *targets]
    usuals = {id(each.prices): Target("usual", prices=each.prices, as_logged=True) for each in asked}
    found = seen(traffic, [*usuals.values(), *asked], usual_usd=traffic.summary.usual_usd, delta=delta)
    usual_at, ours, rows = dict(zip(usuals, found, strict=False)), found[len(usuals)], []
    for target, whole in zip(asked, found[len(usuals) :], strict=True):
        rows.append(row(target, whole, usual_at[id(target.prices)].of(whole.kept_M), delta))
        why[UNSCORED] = max(why[UNSCORED], int((~whole.kept_M).sum()))
    best = None
    for each in rows[1:] if floor is not None else ():
        if not each.surely_within(floor or 0.0):
            break
        best = each
    graded = int((~np.isnan(ours.quality.outcome_N)).sum())
    return replace(made, audited=graded, not_judged=dict(+why), served=_as_served(ours), rows=tuple(rows), best=best)


def row(target: Target, whole: Seen, usual: Seen, delta: float) -> Row:
    """One policy's figures, on the requests whose query it can score. usual: what the log does there without chance, at its prices."""
    return Row(
        name=target.name,
        usd_weight=target.usd,
        quality=off_policy.value(whole.quality),
        usd=off_policy.value(whole.money, most=None),
        quality_difference=off_policy.difference(whole.quality, usual.quality),
        usd_difference=off_policy.difference(whole.money, usual.money, most=None),
        advice=advice(whole, delta),
    )


def advice(whole: Seen, delta: float) -> str:
    """What exploration it would take, where the estimate of quality is refused; empty where it is not. delta: within which chance drew."""
    logged = whole.quality
    if not len(logged) or not logged.differs_N.any() or off_policy.refusal(logged, off_policy.judged(logged)) is None:
        return ""
    shut = Counter(
        NEVER[why]
        for why, differs, supported in zip(whole.why, logged.differs_N, logged.supported_N, strict=True)
        if differs and not supported and why in NEVER
    )
    if shut.total() > off_policy.MOST_UNJUDGED * len(logged):
        where = ", ".join(f"{why} in {count / len(logged):.0%}" for why, count in shut.most_common())
        return f"Exploring more would not do: nothing is left to chance where {where} of the requests."
    gap_N, chance_N = whole.column("gap_N"), whole.column("chance_N")
    beyond = float((gap_N[logged.differs_N] > delta).mean())
    if beyond > 1 - MOST_GAPS:
        finite_N = gap_N[logged.differs_N & np.isfinite(gap_N)]
        if not len(finite_N):
            return "No exploration would do: the LLMs that it asks were no candidates."
        wanted = float(np.quantile(finite_N, MOST_GAPS))
        return (
            f"It differs by more than delta = {delta:g} in {beyond:.0%} of those requests; ROUTEMOA_EXPLORE__DELTA={wanted:.2g} would do."
        )
    observed = _observed(logged, whole.explored_N)
    share = off_policy.share_needed(logged, chance_N, observed)
    if share is not None and share <= MOST_SHARE:
        return f"ROUTEMOA_EXPLORE__SHARE={_upwards(share)} over as many requests again would bring enough."
    brought = float(chance_N[logged.differs_N].sum()) * observed
    if not brought:
        return "Nothing is audited: set monitor.audit_share, and grade what is drawn."
    times = 2 * off_policy.LEAST_OUTCOMES / (0.1 * brought)
    return f"ROUTEMOA_EXPLORE__SHARE=0.1 over {max(2, round(times))} times as many requests would bring enough."


def _upwards(share: float) -> str:
    """Two digits, never less."""
    return f"{float(np.ceil(share * 100) / 100):g}"


def _observed(logged: off_policy.Logged, explored_N: off_policy.Flags) -> float:
    """The share of explored answers that are audited, of all where none was explored."""
    seen_N = ~np.isnan(logged.outcome_N)
    return float(seen_N[explored_N].mean()) if explored_N.any() else float(seen_N.mean())


def _as_served(usual: Seen) -> tuple[Value, Value]:
    """Quality and USD a request of what was served."""
    quality, money = (off_policy.as_served(each.logged_N, each.outcome_N, each.observed_N) for each in (usual.quality, usual.money))
    return off_policy.value(quality), off_policy.value(money, most=None)
