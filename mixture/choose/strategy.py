"""How the LLMs of one request are asked: what a strategy is, and what it gets to see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from mixture.choose.options import Options
from mixture.choose.posterior import AgreementPosterior, Observation, Posterior
from mixture.choose.ranking import Candidate, Ranked
from mixture.choose.stop_rules import StopReason


@dataclass(frozen=True, slots=True)
class AnswersSoFar:
    """One request so far.

    candidates: LLMs that have not failed, those that answered among them. observations: what is known of each answer, by LLM id.
    scores: in [0, 1], of every LLM: of one that answered by the strategy's posterior, of any other its prior.
    layers: each layer's answers, by LLM id. easiness: of the query (`mixture.choose.posterior.query_easiness`).
    """

    candidates: Sequence[Candidate]
    observations: Mapping[str, Observation]
    scores: Mapping[str, float]
    layers: Sequence[Mapping[str, str]]
    easiness: float

    @property
    def best_score(self) -> float:
        """The highest score of an answer, 0 where there is none."""
        return max((self.scores[llm] for llm in self.observations), default=0.0)

    @property
    def unasked(self) -> list[Candidate]:
        """The LLMs without an answer."""
        return [each for each in self.candidates if each.llm.id not in self.observations]


class Strategy(Protocol):
    """Decides whom to ask, when to stop and what answers are worth; it is pure and keeps nothing between requests.

    A frozen dataclass whose fields are numbers, texts, truth values or a posterior; `mixture.choose.strategies` lists them by name.
    """

    name: ClassVar[str]

    @classmethod
    def for_pool(cls, posterior: AgreementPosterior, /, **settings: Any) -> Self:
        """For a pool to whose answers `posterior` was fitted. settings: further fields. Raises TypeError for one it does not have."""

    @property
    def posterior(self) -> Posterior:
        """The rule by which answers are scored."""

    @property
    def shows_answers(self) -> bool:
        """Whether a layer is shown the answers of the one before."""

    @property
    def self_assessment(self) -> bool:
        """Whether LLMs are asked how sure they are of their own answer."""

    @property
    def cross_assessment(self) -> bool:
        """Whether LLMs are asked to score the answers they are shown."""

    def rank(self, candidates: Sequence[Candidate], options: Options) -> tuple[Ranked, ...]:
        """Those that may answer, in the order in which they are asked where one LLM answers alone."""

    def select(self, so_far: AnswersSoFar, options: Options) -> tuple[Ranked, ...]:
        """Whom to ask next: `chosen` ones at once, at most `options.k`; the others stand in for them in this order."""

    def stop(self, so_far: AnswersSoFar, upcoming: Sequence[Ranked], options: Options) -> StopReason | None:
        """Why no further layer runs, None where `upcoming` are to be asked.

        It need not look at max_layers or at an empty `upcoming`: the layer loop does (`mixture.choose.stop_rules.exhausted`).
        """

    def synthesis_gain(self, best_score: float, options: Options) -> float:
        """What an answer written from all answers is expected to be worth beyond the best one, in the unit of the weights."""
