"""One record as a target of evaluation sees it: whom it would have asked first, decided again from what the record holds.

The target decides by the product's own code (`mixture.run.request`), on the recorded candidates, options and session, with its own scores,
value of a dollar, prices or pool. Its action is the one LLM that it asks first; what follows stays as the traffic had it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from mixture.choose.action import OFF, Action
from mixture.choose.options import Options
from mixture.decision import Decision
from mixture.errors import MixtureError
from mixture.price import Price
from mixture.replay.replay import request_again
from mixture.run.request import Request
from mixture.usage import Usage
from monitoring.records.record import Record

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

    @classmethod
    def of(cls, record: Record) -> "Served | str":
        """The record as it can be decided again, or why it cannot."""
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
        return SEVERAL if decision.action.together > 1 else cls(record, decision, decision.action, request)

    @property
    def strategy(self) -> str:
        """The name by which `--strategy` calls how it was answered."""
        options = self.decision.options
        return SINGLE if options.get("k") == 1 and options.get("max_layers") == 1 else str(self.decision.strategy.get("name"))

    @property
    def decided_alike(self) -> bool:
        """Whether this version still decides it as it was decided."""
        found = self.asks(Target("as recorded"), 0.0)
        return found is not None and found[0] == self.action.usual

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
