"""Streams for `benchmarks.online`: a scorer trained on some recorded queries, requests drawn from others, and what happens to them."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from monitoring.learning.features import Features
from pipelines.dataset import Dataset
from scorer import calibration
from scorer.initialisation import Embedded, Shrinkage, starting_weights
from scorer.row_fit import TrainedScorer, add_rows
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights

Doubles = NDArray[np.float64]
Rows = NDArray[np.intp]
Scenario = Literal["nothing", "degrades", "joins", "mix"]
SCENARIOS: dict[Scenario, str] = {
    "nothing": "nothing changes",
    "degrades": "an LLM degrades",
    "joins": "an LLM joins",
    "mix": "another mix of domains",
}
REQUESTS = 4_500  # of a stream; after a third of them it happens
DEGRADED = 0.5  # share of its right answers that a degraded LLM keeps
FEW = 30  # labels of an LLM that joins
DEAR = 0.05  # right answers that the usual call of the dearest LLM is worth
NEW_SHARE = 0.7  # of requests after the mix has changed are of the domain that nobody trained on


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """T requests and what L LLMs would make of each: quality_TL, usd_TL; -inf in scores_TL where an LLM is not there yet.

    expected_L: usual USD of a call. value: of a dollar. labels_L: of each LLM in training. vectors_TD, domains_T: of the requests.
    training: queries_RD, utility_RL and domains_R that the scorer was trained on; NaN where an LLM has no label.
    """

    quality_TL: Doubles
    usd_TL: Doubles
    scores_TL: Doubles
    expected_L: Doubles
    value: float
    labels_L: Doubles
    vectors_TD: Floats
    domains_T: NDArray[np.str_]
    texts_T: NDArray[np.str_]
    features: Features
    training: tuple[Floats, Doubles, NDArray[np.str_], NDArray[np.str_]]
    change: int

    @property
    def utility_TL(self) -> Doubles:
        """Quality less what its cost is worth."""
        return np.where(np.isfinite(self.scores_TL), self.quality_TL - self.value * self.usd_TL, -np.inf)

    def values(self, scores: Doubles) -> Doubles:
        """What LLMs are worth at such scores [..., L], as a router knows it."""
        return scores - self.value * self.expected_L


def stream(data: Dataset, queries_QD: Floats, cost_QL: Doubles, scenario: Scenario, seed: int, *, requests: int = REQUESTS) -> Stream:
    """One replay: half of the queries train, a tenth calibrate, requests are drawn from the rest."""
    random = np.random.default_rng(seed)
    domains_Q, texts_Q = (data.queries[name].to_numpy().astype(np.str_) for name in ("dataset", "text"))
    order = random.permutation(len(queries_QD))
    unknown = _largest(domains_Q) if scenario == "mix" else ""
    known = order[domains_Q[order] != unknown]
    train, held, traffic = np.split(known, [int(0.5 * len(known)), int(0.6 * len(known))])
    change = requests // 3
    rows = random.choice(traffic, requests)
    labels_QL = data.labels_QL.astype(np.float64)
    shown_QL, joining = labels_QL.copy(), -1
    if scenario == "joins":  # one of the better half: a poor one would change nothing
        joining = int(random.choice(np.argsort(-labels_QL[train].mean(axis=0))[: max(1, labels_QL.shape[1] // 2)]))
        shown_QL[:, joining] = np.nan
        few = random.choice(train, FEW, replace=False)
        shown_QL[few, joining] = labels_QL[few, joining]
    if scenario == "mix":
        strange = random.random(requests) < NEW_SHARE
        strange[:change] = False
        rows[strange] = random.choice(order[domains_Q[order] == unknown], int(strange.sum()))
    weights, calibrated = _scorer(data.roster, queries_QD, shown_QL, (train, held), joining)
    every = calibrated.probabilities(weights.logits(queries_QD)).astype(np.float64)
    scores_QL = every if joining < 0 else _back(every, joining)
    expected_L = cost_QL[train].mean(axis=0)
    value = DEAR / float(expected_L.max())
    made = Stream(
        quality_TL=labels_QL[rows],
        usd_TL=cost_QL[rows],
        scores_TL=scores_QL[rows],
        expected_L=expected_L,
        value=value,
        labels_L=np.isfinite(shown_QL[train]).sum(axis=0).astype(np.float64),
        vectors_TD=queries_QD[rows],
        domains_T=domains_Q[rows],
        texts_T=texts_Q[rows],
        features=Features.of(weights, queries_QD[train]),
        training=(queries_QD[train], shown_QL[train] - value * expected_L, domains_Q[train], texts_Q[train]),
        change=change,
    )
    if scenario == "joins":
        made.scores_TL[:change, joining] = -np.inf
    return _degraded(made, random) if scenario == "degrades" else made


def _degraded(made: Stream, random: np.random.Generator) -> Stream:
    """The LLM that the scorer chooses most gives half of its right answers from the change on."""
    chosen_T = made.values(made.scores_TL).argmax(axis=1)
    favourite = int(np.bincount(chosen_T, minlength=made.quality_TL.shape[1]).argmax())
    quality_TL = made.quality_TL.copy()
    quality_TL[made.change :, favourite] *= random.random(len(quality_TL) - made.change) < DEGRADED
    return replace(made, quality_TL=quality_TL)


def _scorer(
    roster: tuple[str, ...], queries_QD: Floats, labels_QL: Doubles, rows: tuple[Rows, Rows], joining: int
) -> tuple[HeadWeights, Calibration]:
    """A head as training starts it (tags do not help it), calibrated on held-out queries; who joins has a row, and comes last."""
    train, held = rows
    others = [llm for llm in range(len(roster)) if llm != joining]
    names = tuple(roster[llm] for llm in others)
    weights = starting_weights(names, Embedded(queries_QD[train], labels_QL[train][:, others]), Shrinkage(tags=False), seed=0)
    calibrated = calibration.fit(weights.logits(queries_QD[held]), labels_QL[held][:, others])
    if joining < 0:
        return weights, calibrated
    known = TrainedScorer(weights, calibrated, queries_QD[train], labels_QL[train][:, others])
    return add_rows(known, (roster[joining],), labels_QL[train][:, [joining]])


def _back(scores_QL: Doubles, joining: int) -> Doubles:
    """The last column at its place in the roster."""
    return np.insert(scores_QL[:, :-1], joining, scores_QL[:, -1], axis=1)


def _largest(domains_Q: NDArray[np.str_]) -> str:
    names, sizes = np.unique(domains_Q, return_counts=True)
    return str(names[sizes.argmax()])
