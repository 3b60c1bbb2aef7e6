"""What a newcomer that is good at one kind of query alone brings, by which queries it is asked: `python -m benchmarks.specialist FOLDER`.

FOLDER as for benchmarks.scorer. *Planted*: for each kind of query in turn, thinned out to 2 % of the training, validation and test queries,
a newcomer that answers 92 % of them right, and elsewhere as the best single LLM with a quarter of its labels turned round. *Recorded*: each
LLM of the set is left out and joins. Both join by a row from 260 labels of training queries: a random sample, queries that cover the others
(`pipelines.facility_location`), or fifty that cover and the rest where it might lead (`pipelines.lead`); the last also with the guard of
training (`pipelines.row_guard`), which judges by sixty validation queries drawn at random. Gain: quality of choices on test queries over
the pool without it; planted also on its kind alone, beside choosing it there always.
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
from pipelines.row_guard import Validation, add_guarded
from scorer import calibration, metrics, text_features
from scorer.errors import RouteMoAError
from scorer.initialisation import Embedded, Labels, starting_weights
from scorer.row_fit import TrainedScorer, add_rows
from scorer.types import Floats
from scorer.weights import centred

LABELS = 260
SHARE, RIGHT, TURNED = 0.02, 0.92, 0.25
MOST_TRAINING = 2500  # a matrix of distances between them
MOST_KINDS, MOST_LLMS = 8, 10
ROUNDS = "fifty, then where it may lead"
GUARDED = "the same, guarded"
WAYS = ("random", "covering", ROUNDS, GUARDED)
ALWAYS = "always it"  # what could be gained on its kind
JUDGED = 60  # validation labels of a newcomer


@dataclass(frozen=True, slots=True)
class World:
    """Queries of a set with their vectors and kinds; which train, which judge a row, and which test."""

    queries_QD: Floats
    labels_QL: Labels
    kinds_Q: NDArray[np.str_]
    trains_Q: NDArray[np.bool_]
    judges_Q: NDArray[np.bool_]
    tests_Q: NDArray[np.bool_]

    @classmethod
    def of(cls, data: Dataset, queries_QD: Floats) -> "World":
        """Of a recorded set and its embeddings; at most MOST_TRAINING of its queries train."""
        trains_Q = np.isin(data.splits_Q, ("train", "calibration"))
        spared = np.random.default_rng(0).permutation(np.flatnonzero(trains_Q))[MOST_TRAINING:]
        trains_Q[spared] = False
        kinds_Q = data.queries["dataset"].to_numpy(dtype=np.str_)
        return cls(queries_QD, data.labels_QL, kinds_Q, trains_Q, data.splits_Q == "validation", data.splits_Q == "test")

    def thinned(self, kind: str) -> "World":
        """With so few queries of a kind that they are SHARE of all."""
        masks = []
        for mask_Q in (self.trains_Q, self.judges_Q, self.tests_Q):
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
        """gain_Q on the test queries of each way to ask the newcomer, and of choosing it ALWAYS."""
        queries_QD, known_QL = self.queries_QD[self.trains_Q], self.labels_QL[self.trains_Q][:, columns]
        own_Q = labels_Q[self.trains_Q]
        training = Embedded(queries_QD, known_QL, tags_Q=self.kinds_Q[self.trains_Q].tolist())
        weights = starting_weights(tuple(map(str, columns)), training, train.shrinkage_of(settings), settings.seed)
        fitted = calibration.fit(weights.logits(queries_QD), known_QL)
        known = TrainedScorer(weights, fitted, queries_QD, known_QL)
        promised_Q = fitted.probabilities(weights.logits(queries_QD)).max(axis=1)
        test_QD, test_QL = self.queries_QD[self.tests_Q], self.labels_QL[self.tests_Q][:, columns]
        before_Q = metrics.quality(fitted.probabilities(weights.logits(test_QD)), test_QL)
        judging = self._judging(columns, labels_Q)
        gains = {ALWAYS: labels_Q[self.tests_Q] - before_Q}
        groups_Q = weights.member(centred(queries_QD, weights.centre_D)).argmax(axis=1)
        for way, places in self._asked(queries_QD, groups_Q, own_Q, promised_Q).items():
            seen_Q1 = np.full((len(own_Q), 1), np.nan)
            seen_Q1[places, 0] = own_Q[places]
            row, row_fit = (
                add_guarded(known, ("new",), seen_Q1, None, judging)[:2] if way == GUARDED else add_rows(known, ("new",), seen_Q1)
            )
            after_QL = row_fit.probabilities(row.logits(test_QD))
            gains[way] = metrics.quality(after_QL, np.column_stack([test_QL, labels_Q[self.tests_Q]])) - before_Q
        return gains

    def _judging(self, columns: list[int], labels_Q: NDArray[np.float64]) -> Validation:
        """The validation queries that the newcomer is labelled on."""
        places = np.random.default_rng(2).permutation(np.flatnonzero(self.judges_Q))[:JUDGED]
        return Validation(self.queries_QD[places], self.labels_QL[places][:, columns], labels_Q[places][:, None])

    @staticmethod
    def _asked(queries_QD: Floats, groups_Q: NDArray[np.int64], own_Q: NDArray[np.float64], promised_Q: Floats) -> dict[str, list[int]]:
        """Places of the training queries asked, by way."""
        order = np.random.default_rng(0).permutation(len(own_Q))
        covering = cover(queries_QD, (), LABELS)
        seen_Q, asked_Q = np.full(len(own_Q), np.nan), np.zeros(len(own_Q), dtype=bool)
        first = covering[: lead.FIRST]
        seen_Q[first], asked_Q[first] = own_Q[first], True
        drawn = lead.order(groups_Q[order], seen_Q[order], promised_Q[order], asked_Q[order], count=LABELS - lead.FIRST)
        rounds = [*first, *order[drawn].tolist()]
        return dict(zip(WAYS, (order[:LABELS].tolist(), covering, rounds, rounds), strict=True))


def run(data: Dataset, queries_QD: Floats, folder: Path, out: Path) -> str:
    """The tables, written to `out`. queries_QD: embeddings without text features, which no set's training rows chose."""
    settings = params.load(Project(Path()).params).train
    world = World.of(data, queries_QD)
    llms = np.random.default_rng(1).permutation(len(data.roster))[:MOST_LLMS].tolist()
    kinds = [kind for kind in sorted(set(world.kinds_Q)) if (world.kinds_Q == kind).sum() >= 60][:MOST_KINDS]
    planted: list[tuple[str, dict[str, NDArray[np.float64]], NDArray[np.bool_]]] = []
    for kind in track(kinds, description="planted"):
        thin = world.thinned(kind)
        planted.append((kind, thin.joins(llms, thin.planted(kind, llms), settings), thin.kinds_Q[thin.tests_Q] == kind))
    recorded: list[tuple[str, dict[str, NDArray[np.float64]]]] = []
    for llm in track(llms, description="recorded"):
        others = [other for other in llms if other != llm]
        recorded.append((data.roster[llm], world.joins(others, world.labels_QL[:, llm], settings)))
    shown = (*WAYS, ALWAYS)
    each = [[kind, int(inside_Q.sum()), *(float(np.nanmean(gains[way][inside_Q])) for way in shown)] for kind, gains, inside_Q in planted]
    kinds_all = [np.concatenate([gains[way][inside_Q] for _, gains, inside_Q in planted]) for way in shown]
    everywhere = [np.concatenate([gains[way] for _, gains, _ in planted]) for way in WAYS]
    total = [sum((gains[way] for _, gains in recorded), np.zeros(int(world.tests_Q.sum()))) for way in WAYS]
    rows = [
        ["planted, its kind", *(report.interval(values_Q) for values_Q in kinds_all)],
        ["planted, all queries", *(report.interval(values_Q) for values_Q in everywhere), ""],
        ["recorded, sum over LLMs", *(report.interval(values_Q) for values_Q in total), ""],
        ["recorded, worst LLM", *(min(float(np.nanmean(gains[way])) for _, gains in recorded) for way in WAYS), ""],
    ]
    counts = f"{world.trains_Q.sum()} training, {world.judges_Q.sum()} validation and {world.tests_Q.sum()} test queries"
    blocks = [
        f"`{report.command(folder)}`",
        f"{counts}, {len(llms)} LLMs, {len(kinds)} planted specialists, {LABELS} labels.",
        report.table(["gain", *shown], rows),
        report.table(["planted", "of its kind", *shown], each),
        report.table(["recorded", *WAYS], [[llm, *(report.interval(gains[way]) for way in WAYS)] for llm, gains in recorded]),
    ]
    results = {"summary": [report.as_json(dict(zip(("row", *shown), row, strict=True))) for row in rows], "planted": each}
    report.write(out, blocks, results, ("numpy",))
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    parser = set_file.parser(__doc__, "specialist")
    parser.add_argument("--most", type=int, help="queries of the set, of each split the first by hash")
    arguments = parser.parse_args()
    try:
        data = recorded_set.first_by_hash(recorded_set.read(arguments.folder, set_file.named(arguments)), arguments.most)
        queries_QD = np.ascontiguousarray(recorded_set.embedded(data.queries)[:, : -len(text_features.NAMES)])
        print(run(data, queries_QD, arguments.folder, arguments.out))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
