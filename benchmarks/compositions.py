"""The systems that are compared, each one small composition of the engine's parts: who is thought to be right, and the options."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay import Question, replay
from mixture.choose.options import Options, Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.ranking import Candidate
from mixture.decision import Decision
from mixture.llm import LLM

Floats = NDArray[np.floating]

BARE = Options(self_assessment=False, cross_assessment=False, aggregation="best", refine_gain=0.0, stop_threshold=1.0)
OURS, RUN_ON, ROUTED, SINGLE = "ours", "ours, run on", "routed single", "best single"


@dataclass(frozen=True, slots=True)
class System:
    """One row: who is thought to be right (priors_QL), how the engine goes about it, and the only LLMs it asks (ids; none: any)."""

    name: str
    priors_QL: Floats
    options: Options
    only: Collection[str] = ()

    def decisions(self, questions: Sequence[Question], llms: Sequence[LLM]) -> list[Decision]:
        """What it does with each of the questions that priors_QL are of."""
        return replay(questions, self.priors_QL, llms, self.options, only=self.only)


def systems(
    priors_QL: Floats, means_L: Floats, llms: Sequence[LLM], evidence: AgreementPosterior, usd: float, *, rivals: Sequence[System] = ()
) -> list[System]:
    """The rows. priors_QL: the scorer's; means_L: of the training labels; usd: what a dollar is worth to ours, in right answers.

    rivals: fitted elsewhere, listed before ours.
    """
    dice, everyone = np.random.default_rng(0), len(llms)
    cheap_L = np.argsort(np.argsort([-Candidate(llm, 0.0).cost_usd for llm in llms])) / everyone
    free = Weights(usd=0, second=0)
    single = replace(BARE, weights=free).as_single()
    vote = replace(BARE, max_layers=1, aggregation="vote", weights=free, ranking="strict")
    ours = replace(
        BARE, k=1, max_layers=everyone, deepen="widen", aggregation="vote", posterior=evidence, weights=Weights(usd=usd, second=0)
    )
    flat = unprimed(evidence)
    overall_QL = np.broadcast_to(means_L, priors_QL.shape)
    priced = len({Candidate(llm, 0.0).cost_usd for llm in llms}) > 1
    return [
        *([System("cheapest", np.broadcast_to(cheap_L, priors_QL.shape), single)] if priced else []),
        System("random", dice.random(priors_QL.shape), single),
        System(SINGLE, overall_QL, single),
        System(ROUTED, priors_QL, single),
        System("vote of the best 3 overall", overall_QL, replace(vote, k=3)),
        System("vote of the best 5 overall", overall_QL, replace(vote, k=5)),
        System("vote of 3 routed", priors_QL, replace(vote, k=3)),
        System("vote of 5 routed", priors_QL, replace(vote, k=5)),
        System("MoA's first layer, a vote of all", priors_QL, replace(vote, k=everyone)),
        System("RouteMoA as published, its first layer", priors_QL, replace(vote, k=3, aggregation="best", stopping="threshold")),
        *rivals,
        System("ours without the prior", priors_QL, replace(ours, posterior=flat)),
        System("ours without looking ahead: all asked at once", priors_QL, replace(vote, k=3, posterior=evidence)),
        System(OURS, priors_QL, ours),
        System(RUN_ON, priors_QL, replace(vote, k=everyone, posterior=evidence)),
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
