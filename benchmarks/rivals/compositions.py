"""The systems that are compared, each one small composition of the engine's parts: who is thought to be right, and the options."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay import RecordedQuery, replay
from benchmarks.rivals.strategies import AllAtOnce
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.ranking import Candidate
from mixture.choose.sequential import Sequential
from mixture.choose.strategy import Strategy
from mixture.decision import Decision
from mixture.llm import LLM

Floats = NDArray[np.floating]

BARE = Options(aggregation="best")
OURS, RUN_ON, ROUTED, SINGLE = "ours", "ours, run on", "routed single", "best single"


@dataclass(frozen=True, slots=True)
class System:
    """One row: who is thought to be right (priors_QL), how and within what it is answered, and the only LLMs asked (ids; none: any)."""

    name: str
    priors_QL: Floats
    strategy: Strategy
    options: Options
    only: Collection[str] = ()

    def decisions(self, questions: Sequence[RecordedQuery], llms: Sequence[LLM]) -> list[Decision]:
        """What it does with each of the questions that priors_QL are of."""
        return replay(questions, self.priors_QL, llms, self.options, self.strategy, only=self.only)


def systems(
    priors_QL: Floats, means_L: Floats, llms: Sequence[LLM], evidence: AgreementPosterior, usd: float, *, rivals: Sequence[System] = ()
) -> list[System]:
    """The rows. priors_QL: the scorer's; means_L: of the training labels; usd: what a dollar is worth to ours, in right answers.

    rivals: fitted elsewhere, listed before ours.
    """
    dice, everyone = np.random.default_rng(0), len(llms)
    cheap_L = np.argsort(np.argsort([-Candidate(llm, 0.0).cost_usd for llm in llms])) / everyone
    free = Weights(usd=0, second=0)
    single, routed = replace(BARE, weights=free).as_single(), AllAtOnce(order="value")
    vote, at_once = replace(BARE, max_layers=1, aggregation="vote", weights=free), AllAtOnce()
    ours = replace(BARE, k=1, max_layers=everyone, aggregation="vote", weights=Weights(usd=usd, second=0))
    overall_QL = np.broadcast_to(means_L, priors_QL.shape)
    priced = len({Candidate(llm, 0.0).cost_usd for llm in llms}) > 1
    return [
        *([System("cheapest", np.broadcast_to(cheap_L, priors_QL.shape), routed, single)] if priced else []),
        System("random", dice.random(priors_QL.shape), routed, single),
        System(SINGLE, overall_QL, routed, single),
        System(ROUTED, priors_QL, routed, single),
        System("vote of the best 3 overall", overall_QL, at_once, replace(vote, k=3)),
        System("vote of the best 5 overall", overall_QL, at_once, replace(vote, k=5)),
        System("vote of 3 routed", priors_QL, at_once, replace(vote, k=3)),
        System("vote of 5 routed", priors_QL, at_once, replace(vote, k=5)),
        System("MoA's first layer, a vote of all", priors_QL, at_once, replace(vote, k=everyone)),
        System("RouteMoA as published, its first layer", priors_QL, at_once, replace(vote, k=3, aggregation="best")),
        *rivals,
        System("ours without the prior", priors_QL, Sequential(unprimed(evidence)), ours),
        System("ours without looking ahead: all asked at once", priors_QL, AllAtOnce(evidence), replace(vote, k=3)),
        System(OURS, priors_QL, Sequential(evidence), ours),
        System(RUN_ON, priors_QL, AllAtOnce(evidence), replace(vote, k=everyone)),
    ]


def unprimed(evidence: AgreementPosterior) -> AgreementPosterior:
    """Answers weighed without what the scorer thinks."""
    return replace(evidence, skill=0.0, difficulty=0.0)


def ours(priors_QL: Floats, llms: Sequence[LLM], evidence: AgreementPosterior, usd: float) -> System:
    """Our row alone."""
    return next(each for each in systems(priors_QL, priors_QL.mean(axis=0), llms, evidence, usd) if each.name == OURS)


def mean_usd(llms: Sequence[LLM]) -> float:
    """What a call costs, over the pool."""
    return float(np.mean([Candidate(llm, 0.0).cost_usd for llm in llms]))
