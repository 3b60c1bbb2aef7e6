"""Strategies that are compared with ours and that the product does not serve."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from mixture.choose.final_answers import agree
from mixture.choose.options import Options
from mixture.choose.posterior import AgreementPosterior, PaperScore, Posterior
from mixture.choose.ranking import Candidate, Order, Ranked, rank
from mixture.choose.stop_rules import StopReason
from mixture.choose.strategy import AnswersSoFar


@dataclass(frozen=True)
class AllAtOnce:
    """The k LLMs that rank first, asked the bare question at once: with k = 1 routing, else a vote."""

    name: ClassVar[str] = "all at once"
    shows_answers: ClassVar[bool] = False
    self_assessment: ClassVar[bool] = False
    cross_assessment: ClassVar[bool] = False
    posterior: Posterior = field(default_factory=PaperScore)
    order: Order = "strict"

    @classmethod
    def for_pool(cls, posterior: AgreementPosterior, /, **settings: Any) -> Self:
        """Scored by the pool's posterior."""
        return cls(posterior, **settings)

    def rank(self, candidates: Sequence[Candidate], options: Options) -> tuple[Ranked, ...]:
        """By `order`; answers are not combined."""
        return rank(candidates, options, order=self.order)

    def select(self, so_far: AnswersSoFar, options: Options) -> tuple[Ranked, ...]:
        """The first k."""
        return self.rank(so_far.candidates, options)

    def stop(self, so_far: AnswersSoFar, _upcoming: Sequence[Ranked], _options: Options) -> StopReason | None:
        """After one layer."""
        return "agreement" if agree(so_far.layers[-1]) else "layers"

    def synthesis_gain(self, _best_score: float, _options: Options) -> float:
        """Nobody writes anew."""
        return 0.0


@dataclass(frozen=True)
class MoA(AllAtOnce):
    """Layers of k LLMs, each shown all answers of the one before (Wang et al. 2024, arXiv 2406.04692)."""

    name: ClassVar[str] = "MoA"
    shows_answers: ClassVar[bool] = True

    def stop(self, _progress: AnswersSoFar, _upcoming: Sequence[Ranked], _options: Options) -> StopReason | None:
        """Only when all layers have run."""
        return None


@dataclass(frozen=True)
class Cascade(AllAtOnce):
    """One LLM after the other, from cheap to dear, until an answer scores `threshold` (Chen et al. 2023, arXiv 2305.05176).

    To be run with no weight but on USD.
    """

    name: ClassVar[str] = "cascade"
    order: Order = "value"
    threshold: float = 1.0

    def select(self, so_far: AnswersSoFar, options: Options) -> tuple[Ranked, ...]:
        """The cheapest that have not answered."""
        return self.rank(so_far.unasked, options)

    def stop(self, so_far: AnswersSoFar, _upcoming: Sequence[Ranked], _options: Options) -> StopReason | None:
        """At the threshold."""
        return "threshold" if so_far.best_score >= self.threshold else None
