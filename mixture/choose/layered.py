"""RouteMoA: layers of k LLMs that see and score each other's answers (arXiv 2601.18130)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from mixture.choose.final_answers import agree
from mixture.choose.options import Options
from mixture.choose.posterior import AgreementPosterior, PaperScore, Posterior
from mixture.choose.ranking import Candidate, Order, Ranked, rank, with_quality
from mixture.choose.stop_rules import StopReason, exhausted, expected_penalty
from mixture.choose.strategy import AnswersSoFar


@dataclass(frozen=True, slots=True)
class Layered:
    """Asks the k LLMs that rank first now, shows them the last layer's answers, and has them assess those and their own.

    order: "strict" is the paper's priority, performance > output price > input price > latency, and stops at the threshold only.
    "value" weighs quality against price and latency instead, in whom it asks and in when it stops.
    stop_threshold: score in [0, 1] at which no further layer runs.
    refine_gain: share of what is missing to a certainly right answer that combining answers once more is expected to bring.
    self_assessment, cross_assessment: whether LLMs assess their own and their peers' answers.
    """

    name: ClassVar[str] = "layered"
    shows_answers: ClassVar[bool] = True
    order: Order = "strict"
    stop_threshold: float = 0.85
    refine_gain: float = 0.15
    self_assessment: bool = True
    cross_assessment: bool = True
    posterior: Posterior = field(default_factory=PaperScore)

    @classmethod
    def for_pool(cls, _posterior: AgreementPosterior, /, **settings: Any) -> Self:
        """The paper's weights hold for any pool."""
        return cls(**settings)

    def rank(self, candidates: Sequence[Candidate], options: Options) -> tuple[Ranked, ...]:
        """By `order`."""
        return rank(candidates, options, order=self.order, refine_gain=self.refine_gain)

    def select(self, so_far: AnswersSoFar, options: Options) -> tuple[Ranked, ...]:
        """All LLMs by their scores now; those that answered may be asked again."""
        return self.rank(with_quality(so_far.candidates, so_far.scores), options)

    def stop(self, so_far: AnswersSoFar, upcoming: Sequence[Ranked], options: Options) -> StopReason | None:
        """At the threshold; by value also where answers agree, did not change, or a layer is not worth its price."""
        by_value = self.order == "value"
        if by_value and (settled := _settled(so_far)) is not None:
            return settled
        if so_far.best_score >= self.stop_threshold:
            return "threshold"
        if (end := exhausted(len(so_far.layers), upcoming, options)) is not None or not by_value:
            return end
        penalty = expected_penalty([each for each in upcoming if each.chosen], options)
        return "gain" if self._gain(so_far.best_score, options) <= penalty else None

    def synthesis_gain(self, best_score: float, options: Options) -> float:
        """Nothing where the best answer is good enough."""
        return 0.0 if best_score >= self.stop_threshold else self._gain(best_score, options)

    def _gain(self, best_score: float, options: Options) -> float:
        return options.weights.quality * self.refine_gain * (1.0 - best_score)


def _settled(so_far: AnswersSoFar) -> StopReason | None:
    """Why the next layer would change nothing."""
    last, before = so_far.layers[-1], so_far.layers[-2:-1]
    if agree(last):
        return "agreement"
    unchanged = bool(before) and set(last.values()) == set(before[0].values())  # the next layer would be shown what this one was
    return "unchanged" if unchanged else None
