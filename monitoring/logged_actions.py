"""Records as a target of evaluation sees them: whom it would have asked first, decided again from what each record holds.

The target decides by the product's own code (`mixture.run.request`), on the recorded candidates, options and session, with its own scores,
value of a dollar, prices or pool. Its action is the one LLM that it asks first; what follows stays as the traffic had it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mixture.choose.action import OFF, Action
from mixture.choose.options import Options
from mixture.decision import Decision
from mixture.errors import MixtureError
from mixture.price import Price
from mixture.replay.replay import request_again
from mixture.run.request import Request
from mixture.usage import Usage
from monitoring.off_policy import Doubles, Logged
from monitoring.record import Record, is_audited

SINGLE = "single"
NO_ANSWER = "no answer was given"
NO_ANSWER_DRAWN = "no answer was given, and chance had chosen the LLM"
NAMED = "the caller named the LLM"
OLD = "recorded before propensities were"
UNREADABLE = "the record cannot be decided again"
SEVERAL = "several LLMs were asked at once"
CHANGED = "this version decides otherwise on the same record"
STRATEGY = "answered by the strategy {}"
UNSCORED = "its query cannot be scored: no text is kept, and its embedding is of another encoder"


@dataclass(frozen=True, slots=True)
class Target:
    """A policy to evaluate. scores: by record id, of each LLM; None: as recorded. usd: value of a dollar; None: as recorded.

    prices: in place of the recorded ones, by LLM id. without: LLMs that it never asks. as_logged: asks whom the log asked without chance.
    asked: by record id, whom it asks, where that is known: nothing is decided again then; "" is nobody.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]] | None = None
    usd: float | None = None
    prices: Mapping[str, Price] | None = None
    without: frozenset[str] = frozenset()
    as_logged: bool = False
    asked: Mapping[str, str] | None = None

    def knows(self, record_id: str) -> bool:
        """Whether it can say whom it asks there."""
        return all(record_id in known for known in (self.scores, self.asked) if known is not None)

    @property
    def decided(self) -> bool:
        """Whether it is known whom it asks, so that nothing has to be decided again."""
        return self.as_logged or self.asked is not None

    def price(self, llm: str, recorded: Price) -> Price:
        """What it reckons with."""
        return recorded if self.prices is None else self.prices.get(llm, recorded)


@dataclass(frozen=True)
class Served:
    """One record that can be decided again. usual: whom the log asks without chance."""

    record: Record
    decision: Decision
    action: Action
    request: Request

    @cached_property
    def candidates(self) -> Mapping[str, tuple[float, float]]:
        """Propensity and promised quality of each LLM that might have answered."""
        return {each.llm: (each.propensity, each.quality) for each in self.action.candidates}

    def asks(self, target: Target, usual_usd: float) -> tuple[str, Mapping[str, float]] | None:
        """Whom the target asks first, and what it expects each LLM's call to cost; None where it cannot score the query.

        usual_usd: the log's own value of a dollar; a request that asked for a dearer one keeps that.
        """
        if not target.knows(self.record.id):
            return None
        if target.decided and target.prices is None:
            return self._decided(target), self.usual_costs
        scores = None if target.scores is None else target.scores[self.record.id]
        candidates = tuple(
            replace(
                each,
                prior=each.prior if scores is None else scores[each.llm.id],
                llm=replace(each.llm, price=target.price(each.llm.id, each.llm.price)),
            )
            for each in self.request.candidates
            if (scores is None or each.llm.id in scores) and each.llm.id not in target.without
        )
        costs = {each.llm.id: each.cost_usd for each in candidates}
        if target.decided:
            return self._decided(target), costs
        request = replace(self.request, candidates=candidates, options=self._options(target, usual_usd), explore=OFF)
        try:
            return request.opened()[1].usual, costs
        except MixtureError:  # nobody of its pool may answer
            return "", costs

    @cached_property
    def usual_costs(self) -> Mapping[str, float]:
        """What a call of each LLM was expected to cost, at the prices of then."""
        return {each.llm.id: each.cost_usd for each in self.request.candidates}

    def _decided(self, target: Target) -> str:
        return target.asked[self.record.id] if target.asked is not None else self.action.usual

    def _options(self, target: Target, usual_usd: float) -> Options:
        options = self.request.options.as_single()  # the first of all that may answer is the same, and no lookahead is needed
        if target.usd is None:
            return options
        own = options.weights.usd
        usd = max(own, target.usd) if own > usual_usd else target.usd
        return replace(options, weights=replace(options.weights, usd=usd))

    def cost_usd(self, target: Target) -> float:
        """What the request cost, its answered calls at the target's prices; NaN where nobody knows."""
        if self.decision.unpriced:
            return float("nan")
        if target.prices is None:
            return self.record.cost_usd
        runs = [run for layer in self.decision.layers for run in layer.runs]
        runs += [self.decision.synthesis] if self.decision.synthesis is not None else []
        again = [
            target.prices[run.llm].bill(run.usage or Usage(run.input_tokens, run.output_tokens))
            if run.llm in target.prices
            else run.cost_usd
            for run in runs
        ]
        return self.record.cost_usd - sum(run.cost_usd for run in runs) + sum(again)


def strategy_of(decision: Decision) -> str:
    """The name by which `--strategy` calls how it was answered."""
    options = decision.options
    return SINGLE if options.get("k") == 1 and options.get("max_layers") == 1 else str(decision.strategy.get("name"))


def read(records: Sequence[Record], strategy: str | None) -> tuple[list[Served], str, Counter[str]]:
    """Records that can be decided again, by which strategy they were answered, and how many cannot, by reason.

    strategy: None takes the one that answered most.
    """
    why: Counter[str] = Counter()
    found: list[tuple[str, Served]] = []
    for record in records:
        one = _served(record)
        if isinstance(one, str):
            why[one] += 1
        else:
            found.append((strategy_of(one.decision), one))
    counts = Counter(name for name, _ in found)
    wanted = strategy or (counts.most_common(1)[0][0] if counts else SINGLE)
    why.update(STRATEGY.format(name) for name, _ in found if name != wanted)
    kept = [served for name, served in found if name == wanted]
    alike = [served for served in kept if _usual_again(served)]
    why[CHANGED] += len(kept) - len(alike)
    return alike, wanted, +why


def _served(record: Record) -> Served | str:
    if record.status != "ok":
        return NO_ANSWER_DRAWN if record.explored else NO_ANSWER
    if not record.roster:
        return NAMED
    if not record.decision.get("action"):
        return OLD
    try:
        decision = Decision.from_dict(record.decision)
        request = request_again(decision).with_requirements()
    except (MixtureError, TypeError, KeyError):
        return UNREADABLE
    if decision.action is None:
        return OLD
    return SEVERAL if decision.action.together > 1 else Served(record, decision, decision.action, request)


def _usual_again(served: Served) -> bool:
    found = served.asks(Target("as recorded"), 0.0)
    return found is not None and found[0] == served.action.usual


def usual_usd(served: Sequence[Served]) -> float:
    """The value of a dollar that most requests were decided with: the operator's."""
    return Counter(each.request.options.weights.usd for each in served).most_common(1)[0][0]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Requests as a target sees them, for quality and for money; `unscored` ones are left out. chance_N, gap_N: see `near`."""

    quality: Logged
    money: Logged
    kept_N: np.ndarray[tuple[int], np.dtype[np.bool_]]
    chance_N: Doubles
    gap_N: Doubles


def seen(served: Sequence[Served], target: Target, *, delta: float) -> Seen:
    """The arrays of `monitoring.off_policy`. Audits alone are outcomes of quality: who reports otherwise was not drawn.

    chance_N: the propensity that a unit of exploration within `delta` gives the LLM that the target asks; gap_N: how much less it is worth
    than the usual one by the log's own reckoning, in the unit of the weights' quality.
    """
    usd = usual_usd(served)
    asked = [each.asks(target, usd) for each in served]
    rows = [_row(each, target, *choice, delta) for each, choice in zip(served, asked, strict=True) if choice is not None]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS)).T
    of = dict(zip(COLUMNS, columns, strict=True))
    shared = {name: of[name] for name in ("propensity_N", "target_N", "supported_N")} | {"differs_N": of["differs_N"].astype(bool)}
    quality = Logged(
        **shared, forecast_N=of["promised_N"], logged_N=of["promised_asked_N"], outcome_N=of["grade_N"], observed_N=of["drawn_with_N"]
    )
    money = Logged(**shared, forecast_N=of["usd_N"], logged_N=of["usd_asked_N"], outcome_N=of["cost_N"], observed_N=np.ones(len(rows)))
    return Seen(quality, money, np.array([choice is not None for choice in asked]), of["chance_N"], of["gap_N"])


COLUMNS = (
    *("propensity_N", "target_N", "supported_N", "differs_N", "promised_N", "promised_asked_N", "grade_N", "drawn_with_N"),
    *("usd_N", "usd_asked_N", "cost_N", "chance_N", "gap_N"),
)


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
    )
