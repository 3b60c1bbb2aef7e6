"""Every system that is compared, trained and ready to score: ours, the baselines, RouterDC's recipe."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import outcomes, routerdc
from pipelines import comparison
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from scorer import calibration, training
from scorer.baselines import Embed
from scorer.types import Floats

Rule = Callable[[Sequence[str], Floats], NDArray[np.floating]]  # texts and their embeddings -> raw scores_QL
SINGLE, ORACLE, CHEAPEST, PUBLISHED = "best single", "oracle", "cheapest", "RouterDC's recipe"
ORDER = (OURS, "random", CHEAPEST, SINGLE, "best per dataset", "kNN", "ridge", "matrix factorisation", "cluster lookup", PUBLISHED, ORACLE)
NEIGHBOURS = 100  # and half, and twice as many, are tried


@dataclass(frozen=True, slots=True)
class System:
    """One row of the tables. rules: how it scores, one a seed (one in all where no seed changes it); scores_SQL: of the test
    queries; held_SQL: of the calibration and validation queries, by which a trade of quality for cost is chosen.
    detail: what was chosen for it; cpu_s: CPU seconds of its training.
    """

    name: str
    detail: str
    rules: tuple[Rule, ...]
    scores_SQL: NDArray[np.floating]
    held_SQL: NDArray[np.floating]
    cpu_s: float | None = None

    def mean(self, figure: Callable[[NDArray[np.floating]], Any]) -> NDArray[np.float64]:
        """`figure` of each seed's scores, averaged over seeds."""
        return np.asarray(np.mean([figure(scores_QL) for scores_QL in self.scores_SQL], axis=0))


def split(data: Dataset) -> dict[str, Dataset]:
    """Its parts by name, with `held`: what is held out of training and is not the test."""
    return {name: data.take(name) for name in outcomes.SHARES} | {"held": data.take("calibration", "validation")}


def trained(
    parts: dict[str, Dataset], told: Dataset, embed: Embed, plans: Iterable[training.Plan], *, published: bool = True
) -> list[System]:
    """Every system, ours by each plan, the others by its seed. `told`: see `comparison.rivals`."""
    embedded = {name: embed(part.queries["text"].tolist()) for name, part in parts.items()}
    found: dict[str, list[tuple[str, Rule, float | None]]] = {OURS: []}
    for plan in plans:
        found[OURS].append(_ours(parts, embedded, plan))
        for rival, detail in comparison.drawn_rivals(parts["train"], parts["validation"], embed, seed=plan.seed):
            found.setdefault(rival.name, []).append((detail, rival.rule, None))
        if published:
            found.setdefault(PUBLISHED, []).append(_published(parts, embedded, plan.seed))
    for rival, detail in comparison.fixed_rivals(parts["train"], parts["validation"], told, embed, neighbours=NEIGHBOURS):
        found[rival.name] = [(detail, rival.rule, None)]
    return [_system(name, found[name], parts, embedded) for name in sorted(found, key=ORDER.index)]


def ours(parts: dict[str, Dataset], embedded: dict[str, Floats], plan: training.Plan) -> System:
    """Ours alone, by one plan, from parts whose embeddings are known."""
    return _system(OURS, [_ours(parts, embedded, plan)], parts, embedded)


def told(name: str, test_QL: NDArray[np.floating], held_QL: NDArray[np.floating]) -> System:
    """A row that is told its scores of the test and the held-out queries."""
    return System(name, "", (), test_QL[None], held_QL[None])


def _system(name: str, runs: list[tuple[str, Rule, float | None]], parts: dict[str, Dataset], embedded: dict[str, Floats]) -> System:
    test, held = (
        np.stack([rule(parts[part].queries["text"].tolist(), embedded[part]) for _, rule, _ in runs]) for part in ("test", "held")
    )
    spent = [cpu_s for _, _, cpu_s in runs if cpu_s is not None]
    return System(name, runs[0][0], tuple(rule for _, rule, _ in runs), test, held, float(np.mean(spent)) if spent else None)


def _known(name: str, parts: dict[str, Dataset], embedded: dict[str, Floats]) -> training.Embedded:
    return training.Embedded(embedded[name], parts[name].labels_QL)


def _ours(parts: dict[str, Dataset], embedded: dict[str, Floats], plan: training.Plan) -> tuple[str, Rule, float]:
    known, chosen_by = (_known(name, parts, embedded) for name in ("train", "validation"))
    made = training.train(parts["train"].roster, known, chosen_by, plan)
    fitted = calibration.fit(made.weights.logits(embedded["calibration"]), parts["calibration"].labels_QL)
    return "", lambda _, queries_QD: fitted.probabilities(made.weights.logits(queries_QD)), made.cpu_s


def _published(parts: dict[str, Dataset], embedded: dict[str, Floats], seed: int) -> tuple[str, Rule, float]:
    began = time.process_time()
    rule = routerdc.fitted(_known("train", parts, embedded), _known("validation", parts, embedded), seed)
    return "on the frozen encoder", lambda _, queries_QD: rule(queries_QD), (time.process_time() - began) / len(routerdc.RATES)
