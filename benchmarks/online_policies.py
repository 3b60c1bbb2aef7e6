"""Who chooses in `benchmarks.online`: each policy answers a stream of requests and sees the revealed outcomes of its own choices."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.online_world import Stream
from benchmarks.rivals.bandits import Context, EpsilonGreedy, LinUCB
from monitoring.learning.evidence import HALF_LIFE
from monitoring.learning.learned import Learned, log_odds
from monitoring.learning.residual import MOST_OUTCOMES, Outcomes, Prior, Residual, learn
from monitoring.learning.settled import aged
from scorer.types import Floats

Doubles = NDArray[np.float64]
Chosen = NDArray[np.intp]
Policy = Callable[[Stream, NDArray[np.bool_], np.random.Generator], Chosen]  # (stream, revealed_T, random) -> chosen_T
EVERY = 100  # requests between two updates


def frozen(stream: Stream, _: NDArray[np.bool_], __: np.random.Generator) -> Chosen:
    """The scorer alone."""
    return np.asarray(stream.values(stream.scores_TL).argmax(axis=1))


def oracle(stream: Stream, _: NDArray[np.bool_], __: np.random.Generator) -> Chosen:
    """Knows every outcome beforehand."""
    return np.asarray(stream.utility_TL.argmax(axis=1))


@dataclass(frozen=True, slots=True)
class Bandit:
    """Ours: the residual on the scorer's log-odds, updated every so many requests; chance has a share, which Thompson sampling divides."""

    prior: Prior = field(default_factory=Prior)
    share: float = 0.05
    delta: float = 0.1
    half_life: float = HALF_LIFE

    def __call__(self, stream: Stream, revealed_T: NDArray[np.bool_], random: np.random.Generator) -> Chosen:
        """Answers block by block."""
        features_TF, (total, llms) = stream.features(stream.vectors_TD), stream.scores_TL.shape
        there_TL = np.isfinite(stream.scores_TL)
        scores_TL = np.where(there_TL, stream.scores_TL, 0.5)
        logits_TL = log_odds(scores_TL)
        residuals = [Residual.nothing_seen(self.prior, stream.features.dims, labels) for labels in stream.labels_L]
        chosen_T = np.zeros(total, dtype=np.intp)
        for first in range(0, total, EVERY):
            block = slice(first, min(first + EVERY, total))
            there_QL = there_TL[block]
            seen = Learned.of(stream.features, residuals).seen(scores_TL[block], features_TF[block])

            def values_of(scores: Doubles, there_QL: NDArray[np.bool_] = there_QL) -> Doubles:
                there = there_QL if scores.ndim == 2 else there_QL[:, None]
                return np.where(there, stream.values(scores), -np.inf)

            chances_QL = self.share * seen.shares(values_of, self.delta)
            best_Q = values_of(seen.corrected_QL).argmax(axis=1)
            chances_QL[np.arange(len(best_Q)), best_Q] += 1.0 - self.share
            chosen_T[block] = (chances_QL.cumsum(axis=1) > random.random((len(chances_QL), 1))).argmax(axis=1)
            at_T = np.flatnonzero(revealed_T[: block.stop])
            news = set(chosen_T[block][revealed_T[block]].tolist())
            for llm in range(llms):
                own_T = at_T[chosen_T[at_T] == llm][-MOST_OUTCOMES:]
                if llm in news or (len(own_T) and first % (10 * EVERY) == 0):
                    outcomes = Outcomes(
                        features_TF[own_T], logits_TL[own_T, llm], stream.quality_TL[own_T, llm], aged(block.stop - own_T, self.half_life)
                    )
                    residuals[llm] = learn(outcomes, self.prior, stream.labels_L[llm])
        return chosen_T


@lru_cache(maxsize=1)
def contexts(stream: Stream) -> tuple[Doubles, Doubles]:
    """What rivals see of training queries and then of requests: the same for all of them."""
    context = Context(sorted(set(stream.domains_T) | set(stream.training[2])))
    queries_RD, _, domains_R, texts_R = stream.training

    def vectors(domains: NDArray[np.str_], queries_D: Floats, texts: NDArray[np.str_]) -> Doubles:
        return np.array([context(*each) for each in zip(domains.tolist(), queries_D, texts.tolist(), strict=True)])

    return vectors(domains_R, queries_RD, texts_R), vectors(stream.domains_T, stream.vectors_TD, stream.texts_T)


@dataclass(frozen=True, slots=True)
class Rival:
    """A bandit of `benchmarks.rivals.bandits`, updated after each request.

    warm: it has seen the scorer's training labels before. told: it knows the true task of every query, else it sees what ours sees.
    """

    make: Callable[[int, int], LinUCB | EpsilonGreedy]
    warm: bool = False
    told: bool = True

    def __call__(self, stream: Stream, revealed_T: NDArray[np.bool_], random: np.random.Generator) -> Chosen:
        """Answers request by request."""
        training_RF, contexts_TF = (
            contexts(stream) if self.told else (stream.features(stream.training[0]), stream.features(stream.vectors_TD))
        )
        bandit = self.make(stream.scores_TL.shape[1], contexts_TF.shape[1])
        if self.warm:
            for context_F, utility_L in zip(training_RF, stream.training[1], strict=True):
                for llm in np.flatnonzero(np.isfinite(utility_L)).tolist():
                    bandit.note(llm, context_F, utility_L[llm])
        there_TL, utility_TL = np.isfinite(stream.scores_TL), stream.utility_TL
        chosen_T = np.zeros(len(there_TL), dtype=np.intp)
        for at, context_F in enumerate(contexts_TF):
            llm = bandit.choose(context_F, there_TL[at], random)
            chosen_T[at] = llm
            if revealed_T[at]:
                bandit.note(llm, context_F, utility_TL[at, llm])
        return chosen_T


POLICIES: dict[str, Policy] = {
    "frozen scorer": frozen,
    "ours": Bandit(),
    "ours, no exploration": Bandit(share=0.0),
    "LinUCB": Rival(LinUCB),
    "LinUCB, warm": Rival(LinUCB, warm=True),
    "LinUCB, warm, told no task": Rival(LinUCB, warm=True, told=False),
    "epsilon-greedy": Rival(lambda llms, dims: EpsilonGreedy(llms, dims, contextual=False)),
    "linear epsilon-greedy": Rival(lambda llms, dims: EpsilonGreedy(llms, dims, contextual=True)),
}
