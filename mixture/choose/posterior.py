"""What the answers so far tell of each LLM's being right; a term that nobody gave is left out, never invented.

Two rules with one interface. `PaperScore` is RouteMoA's weighted mean of prior, self- and cross-assessment (arXiv 2601.18130).
`AgreementPosterior` also reads which answers say the same: a logit over the distinct final answers and "none of them is right".
docs/method.md derives both.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

from scorer.weights import log_odds


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one LLM's answer.

    prior: the scorer's chance in [0, 1] that it is right. final_answer: equal for answers that say the same, None for prose, which is
    compared with nothing. family: whose weights wrote it, "" where they are nobody else's.
    self_score, cross_score in [0, 1] and mean_logprob are None where nobody gave them.
    easiness: of the query (`query_easiness`), the same for all its answers.
    """

    prior: float
    final_answer: str | None = None
    family: str = ""
    self_score: float | None = None
    cross_score: float | None = None
    mean_logprob: float | None = None
    easiness: float = 0.0

    @property
    def lead(self) -> float:
        """By how much the scorer thinks more of this LLM than of the pool, in log-odds."""
        return log_odds(self.prior) - self.easiness


@dataclass(frozen=True, slots=True)
class PaperScore:
    """How much prior, self- and cross-assessment count in the paper, renormalised over the terms that are known.

    first: (prior, self) for an LLM whose answers no peer has judged. later: (prior, self, cross) for one whose answer was.
    """

    counts_agreement: ClassVar[bool] = False
    reads_logprobs: ClassVar[bool] = False
    first: tuple[float, float] = (0.9, 0.1)
    later: tuple[float, float, float] = (0.25, 0.30, 0.45)

    def scores(self, observations: Mapping[str, Observation]) -> dict[str, float]:
        """s_l in [0, 1] by LLM id."""
        return {llm: self.score(each.prior, each.self_score, each.cross_score) for llm, each in observations.items()}

    def score(self, prior: float, self_score: float | None, cross_score: float | None) -> float:
        """s_l of one LLM."""
        if cross_score is not None:
            prior_weight, self_weight, cross_weight = self.later
        else:
            (prior_weight, self_weight), cross_weight = self.first, 0.0
        terms = ((prior, prior_weight), (self_score, self_weight), (cross_score, cross_weight))
        counted = [(score, weight) for score, weight in terms if score is not None and weight > 0]
        total = sum(weight for _, weight in counted)
        return sum(score * weight for score, weight in counted) / total if total else prior


class Voice(NamedTuple):
    """How strongly an LLM speaks for its answer, in log-odds, and whose weights it is on ("": nobody else's)."""

    strength: float
    family: str = ""


@dataclass(frozen=True, slots=True)
class AgreementPosterior:
    """A conditional logit over the distinct final answers a and "none of them is right".

        P(a is right) = exp(V_a) / (exp(V_none) + sum over final answers b of exp(V_b))
        V_none        = nothing - difficulty * easiness + crowd * ln(number of final answers)
        V_a           = sum over LLMs that gave a of share * max(0, voice) + min(0, strongest voice)
        voice         = base + skill * lead
                        + self_score * logodds(self_score) + cross_score * logodds(cross_score)
                        + logprob * (mean_logprob - logprob_at)

    share is 1 for the strongest voice of each family and `same_weights` for its others. A voice below 0 takes nothing from an answer that
    others give: an LLM that says a does not speak against it. lead is `Observation.lead`; so what the scorer says of the query tells
    whether any answer is right, and what it says of the LLMs tells which.

    An answer in prose may be right beside any other. It has only V_none against it, with crowd * ln(1) = 0, and loses `unstated` where
    another LLM states a final answer.

    coincidence: chance that an LLM repeats an answer though it would not be right by itself. kinship: chance that it only repeats what its
    own weights said, asked in another way. stated_later: chance that a next LLM states a final answer where the first gave prose. The last
    two are 0 until a pool's own answers show them.
    The defaults are near those of ten recorded LLMs on choice questions (docs/results/mixture.md).
    """

    counts_agreement: ClassVar[bool] = True
    base: float = 0.47
    skill: float = 0.91
    self_score: float = 0.0
    cross_score: float = 0.0
    logprob: float = 0.0
    logprob_at: float = 0.0
    same_weights: float = 0.3
    unstated: float = 6.2
    nothing: float = 0.52
    difficulty: float = 0.79
    crowd: float = 0.14
    coincidence: float = 0.84
    kinship: float = 0.0
    stated_later: float = 0.0

    @property
    def reads_logprobs(self) -> bool:
        """Whether an answer's log-probability says anything."""
        return self.logprob != 0

    def scores(self, observations: Mapping[str, Observation]) -> dict[str, float]:
        """The chance in [0, 1] that each LLM's answer is right; equal for answers that say the same."""
        standing = self.standing(observations.values())
        values = [self.together(voices) for voices in standing.values()]
        easiness = next((each.easiness for each in observations.values()), 0.0)
        chances = dict(zip(standing, self.chances(values, easiness), strict=True))
        return {
            llm: self.alone(each, rivalled=bool(standing)) if each.final_answer is None else chances[each.final_answer]
            for llm, each in observations.items()
        }

    def standing(self, observations: Iterable[Observation]) -> dict[str, list[Voice]]:
        """The voices for each distinct final answer."""
        voices: dict[str, list[Voice]] = {}
        for each in observations:
            if each.final_answer is not None:
                voices.setdefault(each.final_answer, []).append(self.voice(each))
        return voices

    def voice(self, observation: Observation) -> Voice:
        """How one LLM speaks for the answer it gives."""
        strength = self.base + self.skill * observation.lead
        if observation.self_score is not None:
            strength += self.self_score * log_odds(observation.self_score)
        if observation.cross_score is not None:
            strength += self.cross_score * log_odds(observation.cross_score)
        if observation.mean_logprob is not None:
            strength += self.logprob * (observation.mean_logprob - self.logprob_at)
        return Voice(strength, observation.family)

    def together(self, voices: Iterable[Voice]) -> float:
        """V of an answer from the voices for it, at least one."""
        ordered = sorted(voices, reverse=True)
        value, families = min(0.0, ordered[0].strength), set[str]()
        for strength, family in ordered:
            value += max(0.0, strength) * (self.same_weights if family in families else 1.0)
            if family:
                families.add(family)
        return value

    def chances(self, values: Sequence[float], easiness: float) -> list[float]:
        """The chance of each final answer of these V; with that of "none of them is right" they sum to 1."""
        if not values:
            return []
        none = self.wrong(easiness) + self.crowd * math.log(len(values))
        most = max(none, *values)
        powers = [math.exp(value - most) for value in values]
        total = math.fsum(powers) + math.exp(none - most)
        return [power / total for power in powers]

    def alone(self, observation: Observation, *, rivalled: bool) -> float:
        """The chance of an answer in prose; rivalled: another LLM states a final answer."""
        value = self.voice(observation).strength - (self.unstated if rivalled else 0.0)
        return self.chances([value], observation.easiness)[0]

    def wrong(self, easiness: float) -> float:
        """V of a single answer's being wrong."""
        return self.nothing - self.difficulty * easiness


Posterior = PaperScore | AgreementPosterior


RULES = (PaperScore, AgreementPosterior)


def as_rule(posterior: Posterior) -> dict[str, Any]:
    """JSON-ready: the rule's name and its constants."""
    constants = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(posterior).items()}
    return {"rule": type(posterior).__name__, **constants}


def rule_from(tree: Mapping[str, Any]) -> Posterior:
    """The posterior that `as_rule` wrote. Raises KeyError for an unknown rule, TypeError for constants it does not know."""
    rules: dict[str, Callable[..., Posterior]] = {each.__name__: each for each in RULES}
    constants = {name: tuple(value) if isinstance(value, list) else value for name, value in tree.items() if name != "rule"}
    return rules[str(tree["rule"])](**constants)


def query_easiness(priors: Iterable[float]) -> float:
    """How easy the scorer thinks a query: the mean log-odds of the priors of all LLMs that can be called; 0 where none has one.

    LLMs that this request may not use count too. Constants were fitted over the LLMs that could be called then (`pipelines.train`), so a
    pool that loses or gains many wants a retraining.
    """
    finite = [log_odds(prior) for prior in priors if math.isfinite(prior)]
    return statistics.fmean(finite) if finite else 0.0
