"""Ours against the best single LLM on every query of a small set: `python -m benchmarks.cross_fit FOLDER [--set ...]`.

A fifth of some hundred queries is too small a test split for a few points. Here each query is a test query once: of five folds by hash,
each is tested by routers that were trained on the other four, whose own splits say what trains, calibrates and chooses. Out-of-domain
queries stay out, and those with a label of one LLM alone. Differences are on queries that the best single LLM is labelled on.
"""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import recorded_set, report, set_file
from benchmarks.rivals import routers
from benchmarks.rivals.routers import SINGLE
from benchmarks.scorer import PACKAGES, plans
from pipelines import embeddings, params, train
from pipelines.comparison import OURS
from pipelines.dataset import Dataset
from pipelines.project import Project
from scorer import metrics
from scorer.baselines import Embed
from scorer.errors import RouteMoAError

FOLDS = 5
SHOWN = (OURS, "kNN", "ridge", "cluster lookup", SINGLE, routers.ORACLE)


def fold_of(query_id: str) -> int:
    """By a hash of its own, so that folds have nothing to do with splits."""
    return int.from_bytes(hashlib.sha256(f"fold:{query_id}".encode()).digest()[:8]) % FOLDS


def with_test_fold(data: Dataset, fold: int) -> Dataset:
    """`data` with one fold as its test queries; those that were test queries train where they are in another fold."""
    folds_Q = np.array([fold_of(query_id) for query_id in data.queries["query_id"]])
    trains_Q = np.where(data.splits_Q == "test", "train", data.splits_Q)
    return replace(data, splits_Q=np.where(folds_Q == fold, "test", trains_Q))


def cross_fitted(data: Dataset) -> dict[str, tuple[metrics.Values, metrics.Values]]:
    """Quality and cost of each router's choice on every query, by name; each from a router that has not seen the query."""
    project = Project(Path())
    settings = params.load(project.params).train
    texts = data.queries["text"].tolist()
    vectors = dict(zip(texts, embeddings.trained_on(embeddings.load_encoder(settings), texts, project.embeddings), strict=True))
    found: dict[str, tuple[metrics.Values, metrics.Values]] = {}
    for fold in track(range(FOLDS), description="folds"):
        parts = routers.split(with_test_fold(data, fold))
        test, inside_Q = parts["test"], np.isin(data.queries["query_id"], parts["test"].queries["query_id"])
        embed: Embed = lambda some: np.stack([vectors[text] for text in some])  # noqa: E731
        trained = routers.trained(parts, data, embed, plans(settings, 1), published=False, wanted=train.wanted(settings))
        for router in (each for each in trained if each.name in SHOWN):
            chosen_Q = metrics.choices(router.test_SQL[0], test.labels_QL)
            quality_Q, cost_Q = found.setdefault(router.name, (_unknown(data), _unknown(data)))
            quality_Q[inside_Q], cost_Q[inside_Q] = (metrics.at_choice(values, chosen_Q) for values in (test.labels_QL, test.cost_QL))
    return found


def _unknown(data: Dataset) -> NDArray[np.float64]:
    return np.full(len(data.queries), np.nan)


def run(data: Dataset, folder: Path, out: Path) -> str:
    """The table, written to `out` with its results."""
    labelled = data.where(data.splits_Q != "ood").labelled(2)
    found = cross_fitted(labelled)
    single_Q, single_cost_Q = found[SINGLE]
    rows, results = [], {}
    for name in (name for name in SHOWN if name in found):
        quality_Q, cost_Q = found[name]
        gain, share = report.difference(quality_Q, single_Q), report.ratio(cost_Q, single_cost_Q)
        rows.append([name, str(report.interval(quality_Q)), "" if name == SINGLE else str(gain), "" if name == SINGLE else str(share)])
        results[name] = {"quality": report.as_json({"quality": report.interval(quality_Q), "gain": gain, "cost": share})}
    blocks = [
        f"`{report.command(folder)}`",
        f"{len(data.roster)} LLMs; {len(labelled.queries)} queries with labels of two or more, each tested once, in {FOLDS} folds.",
        report.table(["system", "quality", "over best single", "times its cost"], rows),
    ]
    report.write(out, blocks, results, PACKAGES)
    return "\n\n".join(blocks)


def main() -> None:
    """Reads the command line, runs, prints."""
    arguments = set_file.parser(__doc__, "cross-fit").parse_args()
    try:
        print(run(recorded_set.read(arguments.folder, set_file.named(arguments)), arguments.folder, arguments.out))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
