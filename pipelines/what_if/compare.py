"""What our choices would have been on logged calls at a value of a dollar, beside what was done: money and quality, each with its interval.

A session is decided once, by its first call that has a text, and stays with that LLM, so that its cache works as the log's did. A call that
stays with its LLM costs what it cost. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mixture.usage import Usage
from pipelines.certify import choices
from pipelines.what_if import estimate, held_out, history, lengths, sample
from pipelines.what_if.estimate import Errors
from pipelines.what_if.judgeable import Judgeable, Values
from pipelines.what_if.knowledge import Knowledge
from scorer.metrics import Interval

NOBODY_KNOWS = float("nan")
MOST_UNLIKE = 0.10  # of the cost of what changes its LLM; above, no interval is given for money
FEWEST_IN_DOMAIN = 30  # held-out labels, from which on a domain's own errors say how wrong forecasts are there


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the calls: how many, what they cost and would have, and the difference of qualities."""

    name: str
    calls: int
    baseline_usd: float
    usd: float
    quality: Interval


@dataclass(frozen=True, slots=True)
class Compared:
    """One value of a dollar. usd: of all calls under ours. saved: share of the baseline's cost. quality: ours minus the baseline's.

    draw: half widths of quality and saved that come of judging drawn sessions alone; both intervals hold it.
    """

    value_of_a_dollar: float
    baseline_usd: float
    usd: Interval
    saved: Interval
    quality: Interval
    moved: float
    shares: Mapping[str, float]
    draw: tuple[float, float] = (0.0, 0.0)
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)


def compare(judged: Judgeable, known: Knowledge, usd: float) -> Compared:
    """At one value of a dollar."""
    chosen_N = chosen(judged, usd)
    expected_N = _bills(judged, known, chosen_N)
    forecast_N = forecasts(judged, chosen_N)
    same_N = chosen_N == judged.baseline_N
    factor, errors = held_out.of(judged, known, usd, judged.units(~same_N))
    kept_usd, moved_usd = float(expected_N[same_N].sum()), float(expected_N[~same_N].sum())
    total = float(judged.baseline_usd_N.sum())
    unlike_usd = float(expected_N[~same_N & judged.unlike_N].sum())
    bounds = (factor.mean, factor.low, factor.high) if unlike_usd <= MOST_UNLIKE * moved_usd else (factor.mean, NOBODY_KNOWS, NOBODY_KNOWS)
    bills = [kept_usd + bound * moved_usd if moved_usd else kept_usd for bound in bounds]
    counts = np.bincount(chosen_N, minlength=len(judged.llms)) / max(len(chosen_N), 1)
    adjusted_N = np.where(same_N, expected_N, factor.mean * expected_N)
    domains_M = known.held_out.scored.domains_N if known.held_out is not None else np.empty(0, dtype=np.str_)

    def part(name: str, inside_N: NDArray[np.bool_], of: Errors) -> Part:
        usd_then, usd_ours = float(judged.baseline_usd_N[inside_N].sum()), float(adjusted_N[inside_N].sum())
        return Part(name, int(inside_N.sum()), usd_then, usd_ours, _quality(judged, forecast_N, ~same_N, inside_N, of))

    def of_domain(name: str) -> Errors:
        inside_M = domains_M == name
        return (
            Errors(errors.errors_M[inside_M])
            if inside_M.sum() >= FEWEST_IN_DOMAIN and len(inside_M) == len(errors.errors_M)
            else Errors(np.empty(0))
        )

    names = {"domain": judged.domains_N, **{kind: _named(judged, kind) for kind in ("key", "LLM")}}
    draw = sample.margin(forecast_N, np.ones(len(forecast_N)), judged), sample.margin(adjusted_N, judged.baseline_usd_N, judged)
    return Compared(
        value_of_a_dollar=usd,
        baseline_usd=total,
        usd=sample.widened(Interval(*bills), draw[1] * total),
        saved=sample.widened(Interval(*(1 - bills[at] / total if total else 0.0 for at in (0, 2, 1))), draw[1]),
        quality=_quality(judged, forecast_N, ~same_N, np.ones(len(chosen_N), dtype=bool), errors),
        moved=float((~same_N).mean()) if len(same_N) else 0.0,
        draw=draw,
        shares={llm.id: float(counts[at]) for at, llm in enumerate(judged.llms) if counts[at]},
        parts={
            kind: tuple(
                part(name, np.asarray(names_N == name), of_domain(name) if kind == "domain" else errors)
                for name in sorted(set(names_N.tolist()))
            )
            for kind, names_N in names.items()
        },
    )


def _quality(judged: Judgeable, forecast_N: Values, moved_N: NDArray[np.bool_], inside_N: NDArray[np.bool_], errors: Errors) -> Interval:
    """Of the calls inside: by labelled queries where these are like them, anything at all where not."""
    checked_N, unchecked_N = inside_N & ~judged.unlike_N, inside_N & judged.unlike_N
    checked = estimate.by_held_out(forecast_N[checked_N], judged.units(checked_N), errors)
    unchecked = float(forecast_N[unchecked_N].mean()) if unchecked_N.any() else 0.0
    count = max(int(inside_N.sum()), 1)
    of_all = estimate.beside_unchecked(checked, float(checked_N.sum()) / count, unchecked, float((unchecked_N & moved_N).sum()) / count)
    wide = sample.widened(of_all, sample.margin(forecast_N, inside_N.astype(np.float64), judged))
    return Interval(wide.mean, max(wide.low, -1.0), min(wide.high, 1.0))


def chosen(judged: Judgeable, usd: float) -> NDArray[np.intp]:
    """chosen_N: the candidate that each call's session gets."""
    if not judged.billed:
        return np.empty(0, dtype=np.intp)
    return np.asarray(choices(judged.scores_NL, judged.expected_NL, np.array([usd]))[0][judged.first_N], dtype=np.intp)


def forecasts(judged: Judgeable, chosen_N: NDArray[np.intp]) -> Values:
    """forecast_N: expected quality of the choice minus the baseline's."""
    rows = np.arange(len(chosen_N))
    return judged.scores_NL[rows, chosen_N] - judged.scores_NL[rows, judged.baseline_N]


def uncertain(judged: Judgeable, chosen_N: NDArray[np.intp]) -> Values:
    """uncertain_N: standard deviation of the true difference, as the scores have it; 0 where nothing differs."""
    rows = np.arange(len(chosen_N))
    ours_N, theirs_N = judged.scores_NL[rows, chosen_N], judged.scores_NL[rows, judged.baseline_N]
    return np.where(chosen_N == judged.baseline_N, 0.0, np.sqrt(ours_N * (1 - ours_N) + theirs_N * (1 - theirs_N) + 1e-6))


def _bills(judged: Judgeable, known: Knowledge, chosen_N: NDArray[np.intp]) -> Values:
    """usd_N: what each call is expected to cost at its choice; what it cost where nothing changes."""
    usd = []
    for at, (each, choice) in enumerate(zip(judged.billed, chosen_N, strict=True)):
        if choice == judged.baseline_N[at]:
            usd.append(judged.baseline_usd_N[at])
            continue
        llm, used = judged.llms[choice], each.usage or Usage()
        output = lengths.expected(known, llm.id, each.llm.id if each.llm is not None else None, used.output_tokens)
        usd.append(history.at(llm.price, each.call, replace(used, output_tokens=max(1, round(output)), reasoning=0)))
    return np.array(usd, dtype=np.float64)


def _named(judged: Judgeable, kind: str) -> NDArray[np.str_]:
    named = [(each.call.key if kind == "key" else each.call.llm) or "unknown" for each in judged.billed]
    return np.array(named, dtype=np.str_)
