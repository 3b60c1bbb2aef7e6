"""Every router that is compared, trained and ready to score: ours, the baselines, RouterDC's recipe."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_set
from benchmarks.rivals import routerdc
from pipelines import comparison, tags
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer import calibration, choosing, text_features, training
from scorer.baselines import Embed
from scorer.choosing import Wanted
from scorer.initialisation import Embedded
from scorer.types import Floats

Rule = Callable[[Sequence[str], Floats], NDArray[np.floating]]  # texts and their embeddings -> raw scores_QL
SINGLE, ORACLE, CHEAPEST, PUBLISHED = "best single", "oracle", "cheapest", "RouterDC's recipe"
ORDER = (OURS, "random", CHEAPEST, SINGLE, "best per dataset", "kNN", "ridge", "matrix factorisation", "cluster lookup", PUBLISHED, ORACLE)
NEIGHBOURS = 100  # and half, and twice as many, are tried


@dataclass(frozen=True, slots=True)
class Router:
    """One row of the tables.

    rules: how it scores, one a seed (one in all where no seed changes it). test_SQL: scores of the test queries by seed.
    heldout_SQL: of the calibration and validation queries, by which a trade of quality for cost is chosen.
    detail: what was chosen for it. cpu_s: CPU seconds of its training.
    """

    name: str
    detail: str
    rules: tuple[Rule, ...]
    test_SQL: NDArray[np.floating]
    heldout_SQL: NDArray[np.floating]
    cpu_s: float | None = None

    def mean(self, figure: Callable[[NDArray[np.floating]], Any]) -> NDArray[np.float64]:
        """`figure` of each seed's test scores, averaged over seeds."""
        return np.asarray(np.mean([figure(scores_QL) for scores_QL in self.test_SQL], axis=0))


@dataclass(frozen=True, slots=True)
class _Run:
    """One seed of a router."""

    rule: Rule
    detail: str = ""
    cpu_s: float | None = None


def split(data: Dataset) -> dict[str, Dataset]:
    """Its parts by name, with `heldout`: what is neither trained on nor the test."""
    return {name: data.take(name) for name in recorded_set.SHARES} | {"heldout": data.take("calibration", "validation")}


def trained(
    parts: dict[str, Dataset],
    labelled: Dataset,
    embed: Embed,
    plans: Iterable[training.Plan],
    *,
    published: bool = True,
    wanted: Wanted | None = None,
) -> list[Router]:
    """Every router, ours by each plan, the others by its seed.

    wanted: what ours leaves to cross-validation, its vectors ending in text features unless it has none; None: nothing.
    labelled: the queries whose dataset names and labels the best-per-dataset row and the oracle are told.
    """
    embedded = {name: embed(part.queries["text"].tolist()) for name, part in parts.items()}
    runs: dict[str, list[_Run]] = {OURS: []}
    for plan in plans:
        runs[OURS].append(_ours(parts, embedded, plan, wanted))
        for rival, detail in comparison.drawn_rivals(parts["train"], parts["validation"], embed, seed=plan.seed):
            runs.setdefault(rival.name, []).append(_Run(rival.rule, detail))
        if published:
            runs.setdefault(PUBLISHED, []).append(_published(parts, embedded, plan.seed))
    for rival, detail in comparison.fixed_rivals(parts["train"], parts["validation"], labelled, embed, neighbours=NEIGHBOURS):
        runs[rival.name] = [_Run(rival.rule, detail)]
    return [_router(name, runs[name], parts, embedded) for name in sorted(runs, key=ORDER.index)]


def _router(name: str, runs: list[_Run], parts: dict[str, Dataset], embedded: dict[str, Floats]) -> Router:
    test, heldout = (
        np.stack([run.rule(parts[part].queries["text"].tolist(), embedded[part]) for run in runs]) for part in ("test", "heldout")
    )
    spent = [run.cpu_s for run in runs if run.cpu_s is not None]
    return Router(name, runs[0].detail, tuple(run.rule for run in runs), test, heldout, float(np.mean(spent)) if spent else None)


def _embedded(name: str, parts: dict[str, Dataset], embedded: dict[str, Floats]) -> Embedded:
    return Embedded(embedded[name], parts[name].labels_QL)


def _ours(parts: dict[str, Dataset], embedded: dict[str, Floats], plan: training.Plan, wanted: Wanted | None) -> _Run:
    began = time.process_time()
    train, validation = (_embedded(name, parts, embedded) for name in ("train", "validation"))
    detail, dims = "", None
    if wanted is not None:
        train = replace(train, tags_Q=tags.of(parts["train"]))
        width = train.queries_QD.shape[1] - len(text_features.NAMES) * (wanted.text_features is not False)
        chosen = choosing.choose(train, width, wanted, plan.shrinkage, plan.seed).settings
        plan, detail, dims = replace(plan, shrinkage=chosen.of(plan.shrinkage)), str(chosen), None if chosen.text_features else width
        train, validation = (replace(part, queries_QD=part.queries_QD[:, :dims]) for part in (train, validation))
    made = training.train(parts["train"].roster, train, validation, plan)
    fitted = calibration.fit(made.weights.logits(embedded["calibration"][:, :dims]), parts["calibration"].labels_QL)
    return _Run(lambda _, queries_QD: fitted.probabilities(made.weights.logits(queries_QD[:, :dims])), detail, time.process_time() - began)


def _published(parts: dict[str, Dataset], embedded: dict[str, Floats], seed: int) -> _Run:
    began = time.process_time()
    rule = routerdc.fitted(_embedded("train", parts, embedded), _embedded("validation", parts, embedded), seed)
    cpu_s = (time.process_time() - began) / len(routerdc.RATES)
    return _Run(lambda _, queries_QD: rule(queries_QD), "on the frozen encoder", cpu_s)
