"""A rival: the same few LLMs for every query, one at a time from cheap to dear, until an answer scores high enough (arXiv 2305.05176).

Which LLMs and how high is chosen on held-out queries, one or two LLMs more as long as they help. The posterior scores the answers, so
that a cascade judges as well as ours does and differs in whom it asks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay import RecordedQuery
from benchmarks.rivals.compositions import BARE, System
from benchmarks.rivals.strategies import Cascade
from mixture.choose.options import Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.ranking import Candidate
from mixture.llm import LLM
from pipelines.fit_posterior import Episode

Floats = NDArray[np.float64]
Aim = Callable[[float, float], tuple[float, float]]  # of mean quality and USD a query: more is better

CASCADE = "cascade, cheap to dear"
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)  # 1: until the last LLM


@dataclass(frozen=True, slots=True)
class Chain:
    """LLM ids from cheap to dear, and the score at which no further one is asked. Where prices are equal the scorer's order decides."""

    llms: tuple[str, ...]
    threshold: float

    def __str__(self) -> str:
        until = f", until a score of {self.threshold:g}" if len(self.llms) > 1 else ""
        return f"{', '.join(self.llms)}{until}"


def best_within(usd: float) -> Aim:
    """The highest quality that costs no more than `usd` a query."""
    enough = usd * (1 + 1e-9)  # a sum of equal costs is not quite their multiple
    return lambda quality, spent: (-max(spent, enough), quality)


def cheapest_with(least: float) -> Aim:
    """The lowest cost with a quality of `least`."""
    return lambda quality, spent: (min(quality, least), -spent)


def choose(
    questions: Sequence[RecordedQuery], episodes: Sequence[Episode], llms: Sequence[LLM], evidence: AgreementPosterior, aim: Aim
) -> Chain:
    """The chain that serves `aim` best on these questions, whose answers are `episodes`.

    Grown by the one or two LLMs that help most, as long as any do: two that agree may end it early where neither does alone.
    """
    usd = {llm.id: Candidate(llm, 0.0).cost_usd for llm in llms}

    def tried(chain: tuple[str, ...]) -> tuple[tuple[float, float], Chain]:
        quality_TQ, spent_TQ = outcomes(chain, questions, episodes, usd, evidence)
        served = [aim(float(quality_TQ[at].mean()), float(spent_TQ[at].mean())) for at in range(len(THRESHOLDS))]
        best = max(range(len(THRESHOLDS)), key=served.__getitem__)
        return served[best], Chain(chain, THRESHOLDS[best])

    found: tuple[tuple[float, float], Chain] | None = None
    while True:
        known = found[1].llms if found else ()
        others = [llm for llm in usd if llm not in known]
        added = [*combinations(others, 1), *combinations(others, 2)]
        longer = [tuple(sorted((*known, *llms), key=lambda each: (usd[each], each))) for llms in added]
        best = max(map(tried, longer), key=lambda each: each[0], default=None)
        if best is None or (found is not None and best[0] <= found[0]):
            break
        found = best
    if found is None:
        raise ValueError("A cascade needs an LLM.")
    return found[1]


def outcomes(
    chain: Sequence[str],
    questions: Sequence[RecordedQuery],
    episodes: Sequence[Episode],
    usd: Mapping[str, float],
    evidence: AgreementPosterior,
) -> tuple[Floats, Floats]:
    """Quality and USD [T, Q] of a chain at each of THRESHOLDS, by the arithmetic that the engine does one query at a time."""
    quality_TQ = np.zeros((len(THRESHOLDS), len(questions)))
    spent_TQ = np.zeros_like(quality_TQ)
    for at, (question, episode) in enumerate(zip(questions, episodes, strict=True)):
        asked, spent, passed = [], 0.0, 0  # passed: thresholds at which it has stopped
        on_record = [llm for llm in chain if llm in episode.observations] or list(episode.observations)
        cheap_first = sorted(on_record, key=lambda each: (usd[each], -episode.observations[each].prior, each))
        for llm in cheap_first[: len(chain)]:
            asked.append(llm)
            spent += question.answers[llm].cost_usd
            scores = evidence.scores(episode.among(asked).observations)
            best = max(scores, key=scores.__getitem__)
            quality_TQ[passed:, at], spent_TQ[passed:, at] = episode.labels[best], spent
            passed += sum(threshold <= scores[best] for threshold in THRESHOLDS[passed:])
    return quality_TQ, spent_TQ


def cascaded(priors_QL: Floats, chain: Chain, evidence: AgreementPosterior) -> System:
    """The row."""
    options = replace(BARE, k=1, max_layers=len(chain.llms), aggregation="vote", weights=Weights(quality=0, usd=1, second=0))
    return System(CASCADE, priors_QL, Cascade(evidence, threshold=chain.threshold), options, chain.llms)
