"""Ours beside simple rows on several recorded sets, defaults only: `python -m benchmarks.scorer_sets FOLDER [--assembled build/dataset]`.

FOLDER holds the recorded outcomes of docs/results/data.md, a folder each. Nothing is tuned: ours is what params.yaml says, the others have
one setting for all sets. Every row but the first two stands twice, on bare embeddings and with text features behind them. `in`: test
queries, by routers trained on all kinds of queries; `out`: the same queries, by routers that have seen no query of their kind (three folds
of whole kinds). Differences are paired bootstraps over queries. `--most`: of a set only so many queries, the first by hash. `--only NAME`:
one set. A set that was measured stands in `--out` and is not measured again.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import promises, recorded_set, report, scorer_sets_tables, set_file
from benchmarks.scorer_sets_tables import OURS, SINGLE, TOLD
from pipelines import embeddings, params, tags, train
from pipelines.dataset import Dataset
from pipelines.project import Project
from scorer import baselines, calibration, choosing, folds, metrics, text_features, training
from scorer.baselines import Baseline, TrainingSet
from scorer.errors import RouteMoAError
from scorer.initialisation import Embedded, by_tags, group_rates, known_tags
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights, centred

SETS = {
    "9 LLMs, 14 tasks": ("llmrouter_dc", "llmrouter-dc"),
    "10 LLMs, choice questions": ("mmlu_pro", "mmlu-pro-b"),
    "28 LLMs, mathematics and code": ("zeroeval", "zeroeval-no-o1"),
    "24 LLMs, 345 questions in Chinese": ("halluqa", "halluqa"),
}
ASSEMBLED = "the default pool"
NAMES = (*SETS, ASSEMBLED)
NEIGHBOURS, CLUSTERS, PENALTY = 100, 16, 100.0
Rule = Callable[[Dataset, Floats], NDArray[np.floating]]  # queries and their vectors -> scores_QL
ALTERNATIVES: dict[str, Callable[[choosing.Settings], choosing.Settings]] = {
    "text features": lambda at: replace(at, text_features=True),
    "clusters instead of tags": lambda at: replace(at, tags=False),
    "8 clusters": lambda at: replace(at, tags=False, groups=8),
    "32 clusters": lambda at: replace(at, tags=False, groups=32),
    "ridge 30": lambda at: replace(at, ridge=30.0),
    "ridge 300": lambda at: replace(at, ridge=300.0),
}


@dataclass(frozen=True, slots=True)
class Learnt:
    """Ours: the head, its calibration, and how many numbers of a vector it reads."""

    weights: HeadWeights
    calibration: Calibration
    dims: int | None
    said: str

    def scores(self, queries_QD: Floats, *, trust: bool = True) -> Floats:
        """Calibrated scores_QL; without trust every score is believed."""
        weights = self.weights if trust else replace(self.weights, trust=None)
        return self.calibration.probabilities(weights.logits(queries_QD[:, : self.dims]))

    def doubts(self, queries_QD: Floats) -> Floats:
        """doubts_QL of these scores."""
        return self.calibration.doubts(self.scores(queries_QD), self.weights.doubt(queries_QD[:, : self.dims]))


def learn(data: Dataset, vectors_QD: Floats, settings: params.Train) -> Learnt:
    """Ours as `pipelines.train` trains it."""
    parts = {name: _embedded(data, vectors_QD, name) for name in ("train", "validation", "calibration")}
    dims = vectors_QD.shape[1] - len(text_features.NAMES)
    seen = replace(parts["train"], tags_Q=tags.of(data.take("train")))
    chosen = choosing.choose(seen, dims, train.wanted(settings), train.shrinkage_of(settings), settings.seed)
    width = None if chosen.settings.text_features else dims
    fitting, validation = (replace(part, queries_QD=part.queries_QD[:, :width]) for part in (seen, parts["validation"]))
    plan = replace(train.plan_of(settings), shrinkage=chosen.settings.of(train.shrinkage_of(settings)))
    weights = training.train(data.roster, fitting, validation, plan).weights
    held = parts["calibration"]
    return Learnt(weights, calibration.fit(weights.logits(held.queries_QD[:, :width]), held.labels_QL), width, str(chosen.settings))


def simple(data: Dataset, vectors_QD: Floats) -> Iterator[tuple[str, Rule]]:
    """The other rows, on these vectors."""
    seen_Q = data.splits_Q == "train"
    known = data.where(seen_Q)
    told_Q = known_tags(known.queries["dataset"].tolist())
    learnt = TrainingSet(known.roster, vectors_QD[seen_Q], known.labels_QL, told_Q)
    ridge = baselines.linear_fit(learnt, PENALTY)
    yield "ridge", lambda _, queries_QD: ridge.rule([], queries_QD)
    for name, row in (
        ("kNN", baselines.nearest_neighbours(learnt, _unused, neighbours=NEIGHBOURS)),
        ("k-means", baselines.cluster_lookup(learnt, _unused, groups=CLUSTERS)),
    ):
        yield name, _by(row)
    if len(set(told_Q)) > 1:
        centre_D = learnt.queries_QD.mean(axis=0)
        groups = by_tags(centred(learnt.queries_QD, centre_D), told_Q)
        rates_GL = group_rates(groups.counted_QG, known.labels_QL, 1.0)
        yield "lookup by tag, guessed", lambda _, queries_QD: groups.member(centred(queries_QD, centre_D)) @ rates_GL


def _by(row: Baseline) -> Rule:
    return lambda _, queries_QD: row.rule([], queries_QD)


def told(data: Dataset) -> Iterator[tuple[str, Rule]]:
    """The rows that need no vectors."""
    known = data.take("train")
    means_L: NDArray[np.float64] = np.nanmean(known.labels_QL, axis=0)
    yield SINGLE, lambda queries, _: np.tile(means_L, (len(queries.queries), 1))
    names_Q = known.queries["dataset"].to_numpy(dtype=np.str_)
    kinds = sorted(set(names_Q.tolist()))
    member_QK = (names_Q[:, None] == np.array(kinds)).astype(np.float32)
    rates: dict[str, NDArray[np.float64]] = dict(zip(kinds, group_rates(member_QK, known.labels_QL, 1.0), strict=True))

    def rule(queries: Dataset, _: Floats) -> NDArray[np.floating]:
        asked: list[str] = queries.queries["dataset"].tolist()
        return np.stack([rates.get(name, means_L) for name in asked])

    yield TOLD, rule


def measured(data: Dataset, vectors_QD: Floats, settings: params.Train) -> dict[str, Any]:
    """Everything about one set: quality of every row in and out of domain, the promises of ours, what each default gains here."""
    dims = vectors_QD.shape[1] - len(text_features.NAMES)
    test_Q = data.splits_Q == "test"
    test = data.where(test_Q)
    found: dict[str, dict[str, NDArray[np.float64]]] = {"in": {}, "out": {}}
    scored: dict[str, dict[str, Floats]] = {}
    said = []
    for where, leaves_out in (("in", [None]), ("out", list(range(folds.FOLDS)))):
        kinds_Q = folds.shared_out(np.array(data.queries["dataset"]))
        for left in leaves_out:
            kept = data if left is None else data.where(test_Q | (kinds_Q != left))
            kept_QD = vectors_QD if left is None else vectors_QD[test_Q | (kinds_Q != left)]
            asked_Q = np.ones(len(test.queries), dtype=bool) if left is None else kinds_Q[test_Q] == left
            if not asked_Q.any() or len(kept.take("train").queries) < folds.FEWEST:
                continue
            asked, asked_QD = test.where(asked_Q), vectors_QD[test_Q][asked_Q]
            rows: dict[str, NDArray[np.floating]] = {name: rule(asked, asked_QD) for name, rule in told(kept)}
            for suffix, width in ((", bare", dims), (", text features", None)):
                rows |= {name + suffix: rule(asked, asked_QD[:, :width]) for name, rule in simple(kept, kept_QD[:, :width])}
            ours = learn(kept, kept_QD, settings)
            said.append(ours.said)
            rows[OURS] = ours.scores(asked_QD)
            for name, scores_QL in rows.items():
                found[where].setdefault(name, np.full(len(asked_Q), np.nan))[asked_Q] = metrics.quality(scores_QL, asked.labels_QL)
            for name, values_QL in {
                "promised": rows[OURS],
                "without trust": ours.scores(asked_QD, trust=False),
                "doubt": ours.doubts(asked_QD),
            }.items():
                scored.setdefault(where, {}).setdefault(name, np.full(test.labels_QL.shape, np.nan, np.float32))[asked_Q] = values_QL
    tags_Q = test.queries["dataset"].to_numpy(dtype=np.str_)
    return {
        "queries": {name: int((data.splits_Q == name).sum()) for name in recorded_set.SHARES},
        "LLMs": len(data.roster),
        "chosen": said,
        **{where: {name: _row(values_Q, rows[OURS]) for name, values_Q in rows.items()} for where, rows in found.items()},
        "promises": {where: promises.checked(values, test.labels_QL, tags_Q) for where, values in scored.items()},
        "defaults": defaults(_embedded(data, vectors_QD, "train"), tags.of(data.take("train")), dims, settings),
    }


def defaults(seen: Embedded, tags_Q: list[str] | None, dims: int, settings: params.Train) -> dict[str, list[float]]:
    """What each other value gains by cross-validation on the training queries, with standard errors: random folds; kinds left out too."""
    shrinkage = train.shrinkage_of(settings)
    seen = replace(seen, tags_Q=tags_Q)
    first = choosing.Settings(text_features=False, tags=tags_Q is not None, groups=shrinkage.groups, ridge=shrinkage.ridge)
    held_out = folds.Folds.of(seen, dims, shrinkage.groups, settings.seed)
    base_QW = choosing.quality(held_out, first, shrinkage, dims)
    gains = {}
    for name, other in ALTERNATIVES.items():
        gain_QW = choosing.quality(held_out, other(first), shrinkage, dims) - base_QW
        gains[name] = [*choosing.gained(gain_QW, held_out.kinds_Q, tags=True), *choosing.gained(gain_QW, held_out.kinds_Q)]
    return gains


def _row(values_Q: NDArray[np.float64], ours_Q: NDArray[np.float64]) -> list[Any]:
    return [report.as_json(report.interval(values_Q)), report.as_json(report.difference(ours_Q, values_Q))]


def _embedded(data: Dataset, vectors_QD: Floats, split: str) -> Embedded:
    inside_Q = data.splits_Q == split
    return Embedded(vectors_QD[inside_Q], data.labels_QL[inside_Q])


def _unused(_: Any) -> Floats:
    raise AssertionError("rules are given vectors")


def parser(description: str | None, names: Sequence[str], out: str) -> argparse.ArgumentParser:
    """Of a benchmark that measures these sets, each by itself."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path)
    made.add_argument("--assembled", type=Path, help="the default pool's build/dataset")
    made.add_argument("--most", type=int, help="queries of a set, the first by hash")
    made.add_argument("--only", choices=names, help="measure this set alone")
    made.add_argument("--out", type=Path, default=report.BUILT / out)
    return made


def each(arguments: argparse.Namespace, names: Sequence[str], measure: Callable[[Dataset], Any]) -> dict[str, Any]:
    """What is measured on each set: kept in `--out` as it comes, and not measured again."""
    places = {name: (arguments.folder / folder, file) for name, (folder, file) in SETS.items()}
    if arguments.assembled:
        places[ASSEMBLED] = (arguments.assembled, "default-pool")
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in filter(places.__contains__, names):
        folder, file = places[name]
        kept = arguments.out / f"{file}.json"
        if not kept.is_file() and arguments.only in (None, name):
            reading = set_file.read_reading(Path(f"benchmarks/sets/{file}.yaml"))
            data = recorded_set.first_by_hash(recorded_set.read(folder, reading), arguments.most)
            kept.write_text(json.dumps(measure(data), indent=1) + "\n", encoding="utf-8")
        if kept.is_file():
            found[name] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def run(arguments: argparse.Namespace) -> str:
    """Measures what is not there yet; returns the tables."""
    project = Project(Path())
    settings = params.load(project.params).train

    def measure(data: Dataset) -> Any:
        vectors_QD = embeddings.trained_on(embeddings.load_encoder(settings), data.queries["text"].tolist(), project.embeddings)
        return report.as_json(measured(data, vectors_QD, settings))

    results = each(arguments, NAMES, measure)
    blocks = [f"`{report.command(arguments.folder)}`", *scorer_sets_tables.table(results)]
    report.write(arguments.out, blocks, results, ("torch", "scikit-learn", "numpy"))
    for name, opening in (("summary", scorer_sets_tables.summary(results)), ("unseen", scorer_sets_tables.unseen(results))):
        report.write(arguments.out.with_name(f"{arguments.out.name}-{name}"), [opening], {})
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    try:
        print(run(parser(__doc__, NAMES, "scorer-sets").parse_args()))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
