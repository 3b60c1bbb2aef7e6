"""What the answers so far tell of each LLM's being right; a term nobody gave is left out, never invented.

Two rules with one interface. `PaperScore` is the paper's weighted mean of prior, self- and cross-assessment (METHOD.md §2).
`AgreementPosterior` also reads who says the same as whom: a logit over the distinct final answers and "none of them is right", beside
which each answer in prose stands for itself.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

_LEAST = 0.02  # probabilities are kept off 0 and 1 by this much before their log-odds are taken


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one LLM's answer.

    prior: the scorer's chance in [0, 1] that it is right. said: equal for answers that say the same; None for prose, which is compared
    with nothing. family: whose weights wrote it. self_score, cross_score in [0, 1] and mean_logprob are None where nobody gave them.
    ease: of the query, by the scorer (`query_easiness`), the same for all its answers.
    """

    prior: float
    said: str | None = None
    family: str = ""
    self_score: float | None = None
    cross_score: float | None = None
    mean_logprob: float | None = None
    ease: float = 0.0

    @property
    def lead(self) -> float:
        """By how much the scorer thinks more of this LLM than of the pool, in log-odds."""
        return log_odds(self.prior) - self.ease


@dataclass(frozen=True, slots=True)
class PaperScore:
    """How much prior, self- and cross-assessment count (METHOD.md §2), renormalised over the terms that are known.

    first: (prior, self) for an LLM whose answers no peer has judged. later: (prior, self, cross) for one whose answer was.
    """

    counts_agreement: ClassVar[bool] = False
    reads_logprobs: ClassVar[bool] = False
    first: tuple[float, float] = (0.9, 0.1)
    later: tuple[float, float, float] = (0.25, 0.30, 0.45)

    def scores(self, heard: Mapping[str, Observation]) -> dict[str, float]:
        """s_l in [0, 1] by LLM id."""
        return {llm: self.score(each.prior, each.self_score, each.cross_score) for llm, each in heard.items()}

    def score(self, prior: float, self_score: float | None, cross_score: float | None) -> float:
        """s_l of one LLM."""
        if cross_score is not None:
            prior_weight, self_weight, cross_weight = self.later
        else:
            (prior_weight, self_weight), cross_weight = self.first, 0.0
        terms = ((prior, prior_weight), (self_score, self_weight), (cross_score, cross_weight))
        known = [(score, weight) for score, weight in terms if score is not None and weight > 0]
        total = sum(weight for _, weight in known)
        return sum(score * weight for score, weight in known) / total if total else prior


class Voice(NamedTuple):
    """How strongly an LLM speaks for its answer, in log-odds, and whose weights it is on ("": nobody else's)."""

    strength: float
    family: str = ""


@dataclass(frozen=True, slots=True)
class AgreementPosterior:
    """A conditional logit: P(answer a is right) = e^V_a / (e^V_none + sum over the distinct answers b of e^V_b).

    The answers b are those that state a final answer, of which one is right, or none; an answer in prose may be right beside any other,
    and has only V_none against it.
    Each LLM that gives answer a is a voice for it: base + skill * its lead; self_score, cross_score * log-odds of the assessment;
    logprob * (mean log-probability - logprob_at). V_a sums the voices; of voices below 0 only the strongest counts, and only where none is
    above, for who says a does not speak against it; of LLMs on the same weights the strongest counts whole and each other the share
    `same_weights`. An answer in prose loses `unstated` where another states a final answer.
    V_none = nothing - difficulty * ease + crowd * log(number of answers b, 1 for prose). So what the scorer says of the query, which all
    LLMs share, tells whether any answer is right, and what it says of the LLMs tells which. coincidence: chance that an LLM says what a
    standing answer says though it would not be right by itself. stated_later: chance that a next LLM states a final
    answer where the first gave prose; 0 until a pool's own answers show it.
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
    stated_later: float = 0.0

    @property
    def reads_logprobs(self) -> bool:
        """Whether an answer's log-probability says anything."""
        return self.logprob != 0

    def scores(self, heard: Mapping[str, Observation]) -> dict[str, float]:
        """The chance in [0, 1] that each LLM's answer is right; equal for answers that say the same."""
        standing = self.standing(heard.values())
        stated = [self.together(voices) for voices in standing.values()]
        chances = dict(zip(standing, self.chances(stated, next(iter(heard.values())).ease if heard else 0.0), strict=True))
        return {llm: self.alone(each, rivalled=bool(standing)) if each.said is None else chances[each.said] for llm, each in heard.items()}

    def standing(self, heard: Iterable[Observation]) -> dict[str, list[Voice]]:
        """What speaks for each distinct stated answer."""
        found: dict[str, list[Voice]] = {}
        for each in heard:
            if each.said is not None:
                found.setdefault(each.said, []).append(self.voice(each))
        return found

    def voice(self, heard: Observation) -> Voice:
        """How one LLM speaks for the answer it gives."""
        strength = self.base + self.skill * heard.lead
        if heard.self_score is not None:
            strength += self.self_score * log_odds(heard.self_score)
        if heard.cross_score is not None:
            strength += self.cross_score * log_odds(heard.cross_score)
        if heard.mean_logprob is not None:
            strength += self.logprob * (heard.mean_logprob - self.logprob_at)
        return Voice(strength, heard.family)

    def together(self, voices: Iterable[Voice]) -> float:
        """V of an answer from the voices for it, at least one."""
        ordered = sorted(voices, reverse=True)
        value, kin = min(0.0, ordered[0].strength), set[str]()
        for strength, family in ordered:
            value += max(0.0, strength) * (self.same_weights if family in kin else 1.0)
            if family:
                kin.add(family)
        return value

    def chances(self, values: Sequence[float], ease: float) -> list[float]:
        """The chance of each distinct stated answer of these V; with that of "none of them is right" they sum to 1."""
        if not values:
            return []
        none = self.wrong(ease) + self.crowd * math.log(len(values))
        most = max(none, *values)
        powers = [math.exp(value - most) for value in values]
        total = math.fsum(powers) + math.exp(none - most)
        return [power / total for power in powers]

    def alone(self, heard: Observation, *, rivalled: bool) -> float:
        """The chance of an answer in prose; rivalled: another LLM states a final answer."""
        value = self.voice(heard).strength - (self.unstated if rivalled else 0.0)
        return self.chances([value], heard.ease)[0]

    def wrong(self, ease: float) -> float:
        """V of a single answer's being wrong."""
        return self.nothing - self.difficulty * ease


Posterior = PaperScore | AgreementPosterior


def key(llm: str, heard: Observation) -> str:
    """What stands for an answer: what it says, or the LLM itself where that is prose."""
    return f"={heard.said}" if heard.said is not None else f"@{llm}"


def query_easiness(priors: Iterable[float]) -> float:
    """How easy the scorer thinks a query: the mean log-odds of the priors of all LLMs that can be called; 0 where none has one.

    Those that this request may not use count too. Fitted over the LLMs that could be called then (`pipelines.train`): a pool that loses
    or gains many wants a retraining.
    """
    known = [log_odds(prior) for prior in priors if math.isfinite(prior)]
    return statistics.fmean(known) if known else 0.0


def log_odds(chance: float) -> float:
    """ln(p / (1 - p)), p kept in [.02, .98]."""
    kept = min(max(chance, _LEAST), 1.0 - _LEAST)
    return math.log(kept / (1.0 - kept))
