"""What our choices would have been on logged calls at a value of a dollar, beside what was done: money and quality, each with its interval.

A session is decided once, by its first call that has a text, and stays with that LLM, so that its cache works as the log's did. A call that
stays with its LLM costs what it cost. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mixture.llm import LLM
from mixture.usage import Usage
from pipelines.certify import choices, expected_costs
from pipelines.what_if import estimate, history
from pipelines.what_if.estimate import Errors
from pipelines.what_if.history import Billed
from pipelines.what_if.knowledge import Knowledge, Texts
from scorer.metrics import Interval

Values = NDArray[np.float64]
FAR = "unlike every query that the scorer was trained on"
MOST_WEIGHT = 20.0  # of one held-out query: where the log is of domains that hardly any is of, a few would say it all
FEWEST_IN_DOMAIN = 30  # held-out labels, from which on a domain's own errors say how wrong forecasts are there


@dataclass(frozen=True, slots=True, eq=False)
class Judgeable:
    """N calls whose texts were scored and whose sessions can be re-routed.

    llms: the candidates, their columns in the roster `columns`. scores_NL: by candidate. baseline_N: column among the candidates of what is
    compared with, baseline_usd_N its cost; stays: whether that is what was logged. session_N: index of the session; first_N: place of the
    call that decides it. expected_NL: USD by which is chosen. length: how much longer the log's answers are than their LLMs' recorded.
    """

    billed: tuple[Billed, ...]
    llms: tuple[LLM, ...]
    columns: tuple[int, ...]
    scores_NL: Values
    domains_N: NDArray[np.str_]
    baseline_N: NDArray[np.intp]
    baseline_usd_N: Values
    stays: bool
    session_N: NDArray[np.intp]
    first_N: NDArray[np.intp]
    expected_NL: Values
    length: float

    @property
    def sessions(self) -> int:
        """How many there are."""
        return len(np.unique(self.session_N))

    def units(self, inside_N: NDArray[np.bool_]) -> float:
        """How many independent calls these are worth: calls of one session go together, and so do those that ask the same (Kish)."""
        if not inside_N.any():
            return 0.0
        texts_N = np.array([each.call.text or "" for each in self.billed])
        counts = [np.unique(names_N[inside_N], return_counts=True)[1] for names_N in (self.session_N, texts_N)]
        return min(float(each.sum() ** 2 / (each**2).sum()) for each in counts)


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
    """One value of a dollar. usd: of all calls under ours. saved: share of the baseline's cost. quality: ours minus the baseline's."""

    value_of_a_dollar: float
    baseline_usd: float
    usd: Interval
    saved: Interval
    quality: Interval
    moved: float
    shares: Mapping[str, float]
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)


def judgeable(
    billed: Sequence[Billed],
    scored: Mapping[int, int],
    texts: Texts,
    known: Knowledge,
    llms: Mapping[str, LLM],
    *,
    baseline: str | None = None,
) -> tuple[Judgeable, Mapping[str, int]]:
    """Who can be judged, and why others cannot, by how many calls.

    scored: place of a call -> its row in `texts`. llms: candidates by id.
    """
    columns = [at for at, llm in enumerate(known.roster) if llm in llms]
    candidates = tuple(llms[known.roster[at]] for at in columns)
    place_of = {llm.id: at for at, llm in enumerate(candidates)}
    why: dict[str, int] = {}
    kept: list[int] = []
    session_of: list[int] = []
    first_of: list[int] = []
    for number, places in enumerate(history.by_session(billed)):
        able = []
        for place in places:
            reason = _why_not(billed[place], scored.get(place), texts, place_of, baseline)
            if reason:
                why[reason] = why.get(reason, 0) + billed[place].requests
            else:
                able.append(place)
        first_of += [len(kept)] * len(able)
        session_of += [number] * len(able)
        kept += able
    rows = [scored[place] for place in kept]
    calls = tuple(billed[place] for place in kept)
    reference = [baseline or (each.llm.id if each.llm else "") for each in calls]
    made = Judgeable(
        billed=calls,
        llms=candidates,
        columns=tuple(columns),
        scores_NL=texts.scores_NL[rows][:, columns],
        domains_N=texts.domains_N[rows],
        baseline_N=np.array([place_of[llm] for llm in reference], dtype=np.intp),
        baseline_usd_N=np.array([_usd_of(each, llms[baseline] if baseline else None) for each in calls], dtype=np.float64),
        stays=baseline is None,
        session_N=np.array(session_of, dtype=np.intp),
        first_N=np.array(first_of, dtype=np.intp),
        expected_NL=expected_costs([each.call.text or "" for each in calls], candidates, known.recorded),
        length=_length(calls, known),
    )
    return made, dict(sorted(why.items(), key=lambda pair: -pair[1]))


def compare(judged: Judgeable, known: Knowledge, usd: float) -> Compared:
    """At one value of a dollar."""
    chosen_N = chosen(judged, usd)
    expected_N = _bills(judged, known, chosen_N)
    held_out = known.held_out
    forecast_N = forecasts(judged, chosen_N)
    same_N = chosen_N == judged.baseline_N
    factor, errors = _held_out(judged, known, usd)
    kept_usd, moved_usd = float(expected_N[same_N].sum()), float(expected_N[~same_N].sum())
    total = float(judged.baseline_usd_N.sum())
    bills = [kept_usd + bound * moved_usd if moved_usd else kept_usd for bound in (factor.mean, factor.low, factor.high)]
    counts = np.bincount(chosen_N, minlength=len(judged.llms)) / max(len(chosen_N), 1)
    adjusted_N = np.where(same_N, expected_N, factor.mean * expected_N)
    domains_M = held_out.scored.domains_N if held_out is not None else np.empty(0, dtype=np.str_)

    def part(name: str, inside_N: NDArray[np.bool_], of: Errors) -> Part:
        quality = estimate.by_held_out(forecast_N[inside_N], judged.units(inside_N), of)
        return Part(name, int(inside_N.sum()), float(judged.baseline_usd_N[inside_N].sum()), float(adjusted_N[inside_N].sum()), quality)

    def of_domain(name: str) -> Errors:
        inside_M = domains_M == name
        return (
            Errors(errors.errors_M[inside_M])
            if inside_M.sum() >= FEWEST_IN_DOMAIN and len(inside_M) == len(errors.errors_M)
            else Errors(np.empty(0))
        )

    names = {"domain": judged.domains_N, **{kind: _named(judged, kind) for kind in ("key", "LLM")}}
    return Compared(
        value_of_a_dollar=usd,
        baseline_usd=total,
        usd=Interval(*bills),
        saved=Interval(*(1 - bills[at] / total if total else 0.0 for at in (0, 2, 1))),
        quality=estimate.by_held_out(forecast_N, judged.units(np.ones(len(chosen_N), dtype=bool)), errors),
        moved=float((~same_N).mean()) if len(same_N) else 0.0,
        shares={llm.id: float(counts[at]) for at, llm in enumerate(judged.llms) if counts[at]},
        parts={
            kind: tuple(
                part(name, np.asarray(names_N == name), of_domain(name) if kind == "domain" else errors)
                for name in sorted(set(names_N.tolist()))
            )
            for kind, names_N in names.items()
        },
    )


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


def _held_out(judged: Judgeable, known: Knowledge, usd: float) -> tuple[Interval, Errors]:
    """How costs and forecasts come out on held-out queries, with the baseline's LLMs in the shares that they have in the log."""
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
    moved = judged.units(chosen(judged, usd) != judged.baseline_N)
    inputs_M, outputs_M = (grid_ML[complete_M][:, columns][rows, chosen_M] for grid_ML in (held_out.inputs_ML, held_out.outputs_ML))
    factor = estimate.ratio(*_answers(judged, known, chosen_M, inputs_M, outputs_M), moved)
    return factor, Errors(errors_M, _mix(judged.domains_N, held_out.scored.domains_N[complete_M]))


def _answers(judged: Judgeable, known: Knowledge, chosen_M: NDArray[np.intp], inputs_M: Values, outputs_M: Values) -> tuple[Values, Values]:
    """USD of held-out answers as long as they were, and as long as they usually are, on the tokens that were read; NaN where unknown."""
    actual, usual = [], []
    for choice, read, written in zip(chosen_M, inputs_M, outputs_M, strict=True):
        llm = judged.llms[choice]
        recorded = known.recorded.get(llm.id)
        told = recorded is not None and np.isfinite(read) and np.isfinite(written)
        actual.append(llm.price.cost(round(read), round(written)) if told else np.nan)
        usual.append(llm.price.cost(round(read), max(1, round(recorded.output_tokens))) if told and recorded is not None else np.nan)
    return np.array(actual, dtype=np.float64), np.array(usual, dtype=np.float64)


def _mix(domains_N: NDArray[np.str_], domains_M: NDArray[np.str_]) -> Values:
    """weight_M: by which held-out queries have the domains that the log has; one that the log lacks counts for nothing."""
    names, places_M, counts = np.unique(domains_M, return_inverse=True, return_counts=True)
    wanted = np.array([(domains_N == name).mean() for name in names])
    weight_M = np.minimum((wanted / (counts / len(domains_M)))[places_M], MOST_WEIGHT)
    return np.asarray(weight_M if weight_M.any() else np.ones(len(domains_M)), dtype=np.float64)


def _bills(judged: Judgeable, known: Knowledge, chosen_N: NDArray[np.intp]) -> Values:
    """usd_N: what each call is expected to cost at its choice; what it cost where nothing changes."""
    usd = []
    for at, (each, choice) in enumerate(zip(judged.billed, chosen_N, strict=True)):
        if choice == judged.baseline_N[at]:
            usd.append(judged.baseline_usd_N[at])
            continue
        llm, used = judged.llms[choice], each.usage or Usage()
        recorded = known.recorded.get(llm.id)
        output = max(1, round(recorded.output_tokens * judged.length)) if recorded is not None else used.output_tokens
        usd.append(history.at(llm.price, each.call, replace(used, output_tokens=output, reasoning=0)))
    return np.array(usd, dtype=np.float64)


def _usd_of(each: Billed, baseline: LLM | None) -> float:
    """What a call cost, or would have with the baseline on the same tokens."""
    if baseline is None or (each.llm is not None and each.llm.id == baseline.id) or each.usage is None:
        return each.usd or 0.0
    return history.at(baseline.price, each.call, each.usage)


def _why_not(each: Billed, row: int | None, texts: Texts, place_of: Mapping[str, int], baseline: str | None) -> str:
    if each.usd is None:
        return each.why_not
    if each.call.requests != 1:
        return "sums of calls: their money is known, what was asked is not"
    if row is None:
        return "no text"
    if baseline is None and (each.llm is None or each.llm.id not in place_of):
        return f"the scorer does not know {each.call.llm}"
    if texts.far_N[row]:
        return FAR
    return ""


def _length(calls: Sequence[Billed], known: Knowledge) -> float:
    """Mean output tokens of the log's answers over the recorded ones of their LLMs; 1 where either is unknown."""
    pairs = [
        (each.usage.output_tokens, known.recorded[each.llm.id].output_tokens)
        for each in calls
        if each.usage is not None and not each.estimated and each.llm is not None and each.llm.id in known.recorded
    ]
    logged, recorded = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0, 0)
    return logged / recorded if logged and recorded else 1.0


def _named(judged: Judgeable, kind: str) -> NDArray[np.str_]:
    named = [(each.call.key if kind == "key" else each.call.llm) or "unknown" for each in judged.billed]
    return np.array(named, dtype=np.str_)
