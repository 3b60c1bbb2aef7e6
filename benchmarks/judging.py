"""What the mixture's parts do, measured on replayed decisions: whether scores tell right from wrong, stopping and aggregation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay import RecordedQuery
from mixture.choose.final_answers import final_answers, groups
from mixture.choose.posterior import Observation, Posterior, query_easiness
from mixture.decision import Decision
from pipelines.fit_posterior import RIGHT
from scorer import metrics

Floats = NDArray[np.float64]
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class SystemResult:
    """A system on the test questions."""

    quality_Q: Floats
    calls_Q: Floats
    cost_Q: Floats
    decisions: list[Decision]


def judged(
    questions: Sequence[RecordedQuery], decisions: Sequence[Decision], rules: Mapping[str, Posterior], families: Mapping[str, str]
) -> dict[str, metrics.Interval]:
    """AUROC of each rule's score for "this answer is right" over all answers asked for, and over the prior alone, by query bootstraps."""
    owner, right, prior = list[int](), list[bool](), list[float]()
    given: dict[str, list[float]] = {name: [] for name in rules}
    for at, (question, made) in enumerate(zip(questions, decisions, strict=True)):
        runs = {run.llm: run for layer in made.layers for run in layer.runs}
        stated = final_answers({llm: run.text for llm, run in runs.items()})
        easiness = query_easiness(made.layers[0].before.values())
        observations = {
            llm: Observation(made.layers[0].before[llm], stated[llm], families[llm], mean_logprob=run.mean_logprob, easiness=easiness)
            for llm, run in runs.items()
        }
        scores = {name: rule.scores(observations) for name, rule in rules.items()}
        for llm in runs:
            owner.append(at)
            right.append(question.labels[llm] > RIGHT)
            prior.append(observations[llm].prior)
            for name in rules:
                given[name].append(scores[name][llm])
    return {
        "prior": auroc_by_query(owner, right, prior),
        **{name: auroc_by_query(owner, right, values) for name, values in given.items()},
        **{f"{name} − prior": auroc_by_query(owner, right, values, prior) for name, values in given.items()},
    }


def auroc_by_query(
    owner: Sequence[int], right: Sequence[bool], scores: Sequence[float], less: Sequence[float] | None = None, *, resamples: int = 300
) -> metrics.Interval:
    """AUROC of answers' `scores` (minus that of `less`) for their being `right`; its interval resamples queries (`owner`, in order)."""
    owner_N, right_N, scores_N = np.array(owner), np.array(right), np.array(scores)
    others_N = None if less is None else np.array(less)

    def figure(take: NDArray[np.int64]) -> float:
        own = metrics.auroc(scores_N[take], right_N[take])
        return own if others_N is None else own - metrics.auroc(others_N[take], right_N[take])

    starts = np.searchsorted(owner_N, np.arange(owner_N[-1] + 2))
    dice = np.random.default_rng(0)
    drawn = []
    for _ in range(resamples):
        queries = dice.integers(owner_N[-1] + 1, size=owner_N[-1] + 1)
        drawn.append(figure(np.concatenate([np.arange(starts[query], starts[query + 1]) for query in queries])))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return metrics.Interval(figure(np.arange(len(owner_N))), float(low), float(high))


def stopping(ours: SystemResult, run_on: SystemResult) -> dict[str, Any]:
    """Of the queries that stopped because more was not worth it: what asking everyone would have brought; and where all stopped."""
    stopped_Q = np.array([made.stopped_because == "gain" for made in ours.decisions])
    layers_Q = np.array([len(made.layers) for made in ours.decisions])
    reasons = {
        reason: float(np.mean([made.stopped_because == reason for made in ours.decisions]))
        for reason in sorted({made.stopped_because for made in ours.decisions})
    }
    return {
        "stopped as not worth more": float(stopped_Q.mean()),
        "realised loss against asking all": metrics.difference(run_on.quality_Q[stopped_Q], ours.quality_Q[stopped_Q], resamples=RESAMPLES),
        "reasons": reasons,
        "rounds": {int(count): float(np.mean(layers_Q == count)) for count in np.unique(layers_Q)},
    }


def aggregated(questions: Sequence[RecordedQuery], row: SystemResult) -> dict[str, Any]:
    """Of one row that asked everyone: drift (the answer with the highest score was right, the returned one wrong; none where
    the posterior counts agreement itself, for then that answer is returned) and right minorities.

    A minority is right where fewer LLMs give any right answer than give some wrong one.
    """
    drifted, ours_right, plain_right = [], [], []
    for question, made, own in zip(questions, row.decisions, row.quality_Q, strict=True):
        runs = {run.llm: run.text for layer in made.layers for run in layer.runs}
        before, scores = made.layers[0].before, made.layers[-1].after
        best = min(runs, key=lambda llm: (-scores[llm], llm))
        if question.labels[best] > RIGHT:
            drifted.append(float(own <= RIGHT))
        members = groups(runs)
        right = [len(llms) for llms in members.values() if question.labels[llms[0]] > RIGHT]
        wrong = [len(llms) for llms in members.values() if question.labels[llms[0]] <= RIGHT]
        if right and wrong and max(right) < max(wrong):
            plain = max(members.values(), key=lambda llms: (len(llms), max(before[llm] for llm in llms)))
            ours_right.append(float(own > RIGHT))
            plain_right.append(float(question.labels[plain[0]] > RIGHT))
    return {
        "highest score right": len(drifted),
        "of these returned wrong": metrics.interval(np.array(drifted), resamples=RESAMPLES),
        "right minorities": len(ours_right),
        "recovered": metrics.interval(np.array(ours_right), resamples=RESAMPLES),
        "recovered by a plain vote": metrics.interval(np.array(plain_right), resamples=RESAMPLES),
    }
