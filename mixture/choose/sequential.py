"""What wins on recorded and live LLMs: the bare question to one LLM after the other, while asking on is expected to pay."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from mixture.choose.lookahead import expected_gain
from mixture.choose.options import Options
from mixture.choose.posterior import AgreementPosterior, Observation
from mixture.choose.ranking import Candidate, Ranked, rank
from mixture.choose.stop_rules import StopReason, exhausted, expected_penalty
from mixture.choose.strategy import AnswersSoFar

LOOKAHEAD = 3  # LLMs: one more answer alone often cannot change the outcome where two or three can


@dataclass(frozen=True, slots=True)
class Sequential:
    """Asks LLMs that have not answered the bare question, as many as are expected to bring more than they cost, `options.k` at once.

    posterior: compares answers. stop_threshold: score in [0, 1] at which nobody else is asked.
    refine_gain: share of what is missing to a certainly right answer that a synthesis is expected to bring.
    """

    name: ClassVar[str] = "sequential"
    shows_answers: ClassVar[bool] = False
    cross_assessment: ClassVar[bool] = False
    posterior: AgreementPosterior = field(default_factory=AgreementPosterior)
    stop_threshold: float = 1.0
    refine_gain: float = 0.0

    @classmethod
    def for_pool(cls, posterior: AgreementPosterior, /, **settings: Any) -> Self:
        """Answers are compared by the pool's own posterior."""
        return cls(posterior=posterior, **settings)

    @property
    def self_assessment(self) -> bool:
        """Only where the posterior counts it."""
        return self.posterior.self_score != 0

    def rank(self, candidates: Sequence[Candidate], options: Options) -> tuple[Ranked, ...]:
        """By value."""
        return rank(candidates, options, refine_gain=self.refine_gain)

    def select(self, so_far: AnswersSoFar, options: Options) -> tuple[Ranked, ...]:
        """The LLMs without an answer; chosen are those to ask next, nobody where it is not expected to pay.

        The next LLMs up to LOOKAHEAD are weighed together. Where asking so many is worth its price, the first `options.k` of them are
        asked, and their answers decide on the others. Where there is no answer yet, at least one is asked. LLMs on the weights of one
        that answered come last: they mostly repeat it.
        """
        by_value = sorted(self.rank(so_far.unasked, options), key=lambda each: -each.value)  # ties stay as ranked
        by_family = self.in_order(by_value, {each.family for each in so_far.observations.values()})
        ordered = sorted(by_family, key=lambda each: each.candidate.silent)
        heard = [each for each in ordered if not each.candidate.silent]
        size = min(self._worthwhile(heard if heard or so_far.observations else ordered, so_far, options), options.k)
        return tuple(replace(each, chosen=at < size) for at, each in enumerate(ordered))

    def stop(self, so_far: AnswersSoFar, upcoming: Sequence[Ranked], options: Options) -> StopReason | None:
        """At the threshold, or where `select` chose nobody."""
        if so_far.best_score >= self.stop_threshold:
            return "threshold"
        nobody_chosen = not any(each.chosen for each in upcoming)
        return exhausted(len(so_far.layers), upcoming, options) or ("gain" if nobody_chosen else None)

    def synthesis_gain(self, best_score: float, options: Options) -> float:
        """Nothing where the best answer is good enough."""
        return 0.0 if best_score >= self.stop_threshold else options.weights.quality * self.refine_gain * (1.0 - best_score)

    def in_order(self, by_value: Sequence[Ranked], answered: set[str]) -> list[Ranked]:
        """Who is asked before whom: the first of each family that has not answered ahead of all others. answered: families that have."""
        seen = set(answered)
        first: list[Ranked] = []
        later: list[Ranked] = []
        for each in by_value:
            (later if each.candidate.family in seen else first).append(each)
            seen.add(each.candidate.family)
        return first + later

    def _worthwhile(self, ordered: Sequence[Ranked], so_far: AnswersSoFar, options: Options) -> int:
        """How many of the next LLMs are worth their price together."""
        answers = so_far.observations
        all_prose = bool(answers) and all(each.final_answer is None for each in answers.values())
        comparable = self.posterior.stated_later if all_prose else 1.0
        most = min(LOOKAHEAD, len(ordered))
        if all_prose and len(answers) > 1:
            most = 0  # a second LLM was asked for a final answer and gave none either
        further = [Observation(each.quality, family=each.candidate.family, easiness=so_far.easiness) for each in ordered[:most]]

        def worth(size: int) -> float:
            gain = comparable * expected_gain(answers, further[:size], self.posterior)
            return options.weights.quality * gain - expected_penalty(ordered[:size], options)

        least = 0 if answers else min(1, len(ordered))
        return max(range(least, max(most, least) + 1), key=lambda size: (worth(size) if size else 0.0, -size))
