"""What a newcomer that is good at one kind of query alone brings, by which queries it is asked: `python -m benchmarks.specialist FOLDER`.

FOLDER as for benchmarks.scorer. *Planted*: for each kind of query in turn, thinned out to 2 % of the training and of the test queries, a
newcomer that answers 92 % of them right, and elsewhere as the best single LLM with a quarter of its labels turned round. *Recorded*: each
LLM of the set is left out and joins. Both join by a row from 260 labels of training queries: a random sample, queries that cover the others
(`pipelines.facility_location`), or fifty that cover and the rest where it might lead (`pipelines.lead`). Gain: quality of the choices on
test queries over the pool without it; planted also on its kind alone.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import recorded_set, report, set_file
from pipelines import lead, params, train
from pipelines.dataset import Dataset
from pipelines.facility_location import cover
from pipelines.project import Project
from scorer import calibration, metrics
from scorer.errors import RouteMoAError
from scorer.initialisation import Embedded, Labels, starting_weights
from scorer.row_fit import TrainedScorer, add_rows
from scorer.types import Floats
from scorer.weights import centred

LABELS = 260
SHARE, RIGHT, TURNED = 0.02, 0.92, 0.25
MOST_TRAINING = 2500  # a matrix of distances between them
MOST_KINDS, MOST_LLMS = 8, 10
WAYS = ("random", "covering", "fifty, then where it may lead")


@dataclass(frozen=True, slots=True)
class World:
    """Queries of a set with their vectors and kinds; which train and which test."""

    queries_QD: Floats
    labels_QL: Labels
    kinds_Q: NDArray[np.str_]
    trains_Q: NDArray[np.bool_]
    tests_Q: NDArray[np.bool_]

    @classmethod
    def of(cls, data: Dataset) -> "World":
        """Of a recorded set; at most MOST_TRAINING of its queries train."""
        trains_Q = data.splits_Q != "test"
        spared = np.random.default_rng(0).permutation(np.flatnonzero(trains_Q))[MOST_TRAINING:]
        trains_Q[spared] = False
        kinds_Q = data.queries["dataset"].to_numpy(dtype=np.str_)
        return cls(recorded_set.embedded(data.queries), data.labels_QL, kinds_Q, trains_Q, data.splits_Q == "test")

    def thinned(self, kind: str) -> "World":
        """With so few queries of a kind that they are SHARE of all."""
        masks = []
        for mask_Q in (self.trains_Q, self.tests_Q):
            inside = np.flatnonzero(mask_Q & (self.kinds_Q == kind))
            thinned_Q = mask_Q.copy()
            thinned_Q[inside[max(4, int(SHARE * mask_Q.sum())) :]] = False
            masks.append(thinned_Q)
        return World(self.queries_QD, self.labels_QL, self.kinds_Q, *masks)

    def planted(self, kind: str, columns: list[int]) -> NDArray[np.float64]:
        """labels_Q of the newcomer that is good at `kind` alone."""
        dice = np.random.default_rng(3)
        labels_QL = self.labels_QL[:, columns]
        best_Q = labels_QL[:, np.nanmean(labels_QL[self.trains_Q], axis=0).argmax()]
        turned_Q = np.where(dice.random(len(best_Q)) < TURNED, 1 - best_Q, best_Q)
        return np.where(self.kinds_Q == kind, dice.random(len(best_Q)) < RIGHT, turned_Q)

    def joins(self, columns: list[int], labels_Q: NDArray[np.float64], settings: params.Train) -> dict[str, NDArray[np.float64]]:
        """gain_Q on the test queries of each way to ask the newcomer."""
        queries_QD, known_QL = self.queries_QD[self.trains_Q], self.labels_QL[self.trains_Q][:, columns]
        own_Q = labels_Q[self.trains_Q]
        training = Embedded(queries_QD, known_QL, tags_Q=self.kinds_Q[self.trains_Q].tolist())
        weights = starting_weights(tuple(map(str, columns)), training, train.shrinkage_of(settings), settings.seed)
        fitted = calibration.fit(weights.logits(queries_QD), known_QL)
        known = TrainedScorer(weights, fitted, queries_QD, known_QL)
        promised_Q = fitted.probabilities(weights.logits(queries_QD)).max(axis=1)
        test_QD, test_QL = self.queries_QD[self.tests_Q], self.labels_QL[self.tests_Q][:, columns]
        before_Q = metrics.quality(fitted.probabilities(weights.logits(test_QD)), test_QL)
        gains = {}
        groups_Q = weights.member(centred(queries_QD, weights.centre_D)).argmax(axis=1)
        for way, places in self._asked(queries_QD, groups_Q, own_Q, promised_Q).items():
            seen_Q1 = np.full((len(own_Q), 1), np.nan)
            seen_Q1[places, 0] = own_Q[places]
            row, row_fit = add_rows(known, ("new",), seen_Q1)
            after_QL = row_fit.probabilities(row.logits(test_QD))
            gains[way] = metrics.quality(after_QL, np.column_stack([test_QL, labels_Q[self.tests_Q]])) - before_Q
        return gains

    @staticmethod
    def _asked(queries_QD: Floats, groups_Q: NDArray[np.int64], own_Q: NDArray[np.float64], promised_Q: Floats) -> dict[str, list[int]]:
        """Places of the training queries asked, by way."""
        order = np.random.default_rng(0).permutation(len(own_Q))
        covering = cover(queries_QD, (), LABELS)
        seen_Q, asked_Q = np.full(len(own_Q), np.nan), np.zeros(len(own_Q), dtype=bool)
        first = covering[: lead.FIRST]
        seen_Q[first], asked_Q[first] = own_Q[first], True
        drawn = lead.order(groups_Q[order], seen_Q[order], promised_Q[order], asked_Q[order], count=LABELS - lead.FIRST)
        return dict(zip(WAYS, (order[:LABELS].tolist(), covering, [*first, *order[drawn].tolist()]), strict=True))


def run(data: Dataset, folder: Path, out: Path) -> str:
    """The tables, written to `out`."""
    settings = params.load(Project(Path()).params).train
    world = World.of(data)
    llms = np.random.default_rng(1).permutation(len(data.roster))[:MOST_LLMS].tolist()
    kinds = [kind for kind in sorted(set(world.kinds_Q)) if (world.kinds_Q == kind).sum() >= 60][:MOST_KINDS]
    planted = []
    for kind in track(kinds, description="planted"):
        thin = world.thinned(kind)
        gains = thin.joins(llms, thin.planted(kind, llms), settings)
        inside_Q = thin.kinds_Q[thin.tests_Q] == kind
        planted.append([kind, *(float(np.nanmean(gains[way][inside_Q])) for way in WAYS), *(float(np.nanmean(gains[way])) for way in WAYS)])
    recorded = []
    for llm in track(llms, description="recorded"):
        others = [other for other in llms if other != llm]
        gains = world.joins(others, world.labels_QL[:, llm], settings)
        recorded.append([data.roster[llm], *(report.interval(gains[way]) for way in WAYS)])
    means = ["mean", *np.mean([row[1:] for row in planted], axis=0).tolist()]
    total = ["sum", *(float(sum(row[place].mean for row in recorded)) for place in range(1, len(WAYS) + 1))]
    blocks = [
        f"`{report.command(folder)}`",
        f"{world.trains_Q.sum()} training and {world.tests_Q.sum()} test queries, {len(llms)} LLMs, {LABELS} labels.",
        report.table(["planted", *(f"{way}: its kind" for way in WAYS), *(f"{way}: all" for way in WAYS)], [*planted, means]),
        report.table(["recorded", *WAYS], [*recorded, total]),
    ]
    report.write(out, blocks, {"planted": planted, "recorded": [report.as_json(dict(enumerate(row))) for row in recorded]}, ("numpy",))
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = set_file.parser(__doc__, "specialist")
    parser.add_argument("--most", type=int, help="queries of the set, of each split the first by hash")
    arguments = parser.parse_args()
    try:
        data = recorded_set.first_by_hash(recorded_set.read(arguments.folder, set_file.named(arguments)), arguments.most)
        print(run(data, arguments.folder, arguments.out))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
