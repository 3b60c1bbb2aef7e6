"""The scorer beside its baselines on recorded outcomes: `python -m benchmarks.scorer FOLDER [--llms a,b,c] [--most N] [--folds F]`.

FOLDER holds queries.parquet (query_id, dataset, domain, query) and outcomes.parquet (query_id, llm, score), any further columns
ignored. Queries fall into five folds; each of the first F is tested once (20 %) while the others train, calibrate and validate (55 /
10 / 15 %). Figures are means over the folds' test queries, each gain with a paired bootstrap interval over all of them. Embeddings
are fp32, cached in build/embeddings.
"""

import argparse
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.machine import report
from pipelines import comparison, embeddings, params, train
from pipelines.dataset import Dataset, RosterLLM
from scorer import calibration, metrics, training

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scorer.baselines import Embed

SHARES = {"train": 0.55, "calibration": 0.10, "validation": 0.15, "test": 0.20}


def recorded(folder: Path, llms: list[str], most: int | None) -> Dataset:
    """The folder's outcomes as a dataset without splits; costs are unknown."""
    queries = pd.read_parquet(folder / "queries.parquet").drop_duplicates("query").rename(columns={"query": "text"})
    queries = queries.sample(min(most or len(queries), len(queries)), random_state=0).sort_values("query_id", ignore_index=True)
    outcomes = pd.read_parquet(folder / "outcomes.parquet", columns=["query_id", "llm", "score"]).astype({"query_id": str, "llm": str})
    names = llms or sorted(outcomes["llm"].unique())
    grid = outcomes.pivot(index="query_id", columns="llm", values="score").reindex(index=queries["query_id"], columns=names)
    labels_QL = grid.to_numpy(dtype=np.float64)
    unknown_QL = np.full(labels_QL.shape, np.nan)
    roster = tuple(RosterLLM(name, name, "active", 0.0, 0.0) for name in names)
    return Dataset(queries, roster, labels_QL, unknown_QL, unknown_QL, unknown_QL, np.full(len(queries), "train"))


def split(data: Dataset, fold: int) -> dict[str, Dataset]:
    """Four parts; the test parts of folds 0 to 4 share no query."""
    drawn_Q = (np.random.default_rng(0).random(len(data.queries)) + SHARES["test"] * fold) % 1.0
    edges = np.cumsum([0.0, *SHARES.values()])
    parts = zip(SHARES, edges[:-1], edges[1:], strict=True)
    return {name: data.where((drawn_Q >= low) & (drawn_Q < high)) for name, low, high in parts}


def compare(parts: dict[str, Dataset], embed: "Embed", seed: int) -> tuple[dict[str, "NDArray[np.float64]"], dict[str, float]]:
    """Realised quality per test query of every scorer, and our calibration and training time."""
    embedded = {name: embed(part.queries["text"].tolist()) for name, part in parts.items()}
    known = {name: training.Embedded(embedded[name], part.labels_QL) for name, part in parts.items()}
    plan = train.plan_of(params.load().train.model_copy(update={"seed": seed}))
    trained = training.train(parts["train"].roster, known["train"], known["validation"], plan)
    fitted = calibration.fit(trained.weights.logits(embedded["calibration"]), parts["calibration"].labels_QL)
    scores_QL = fitted.probabilities(trained.weights.logits(embedded["test"]))
    test = parts["test"]
    quality = {comparison.OURS: metrics.quality(scores_QL, test.labels_QL)}
    for rival, _ in comparison.rivals(parts["train"], parts["validation"], test, embed, neighbours=50, seed=seed):
        quality[rival.name] = metrics.quality(rival.score(test.queries["text"].tolist()).scores_QL, test.labels_QL)
    return quality, {"ece": calibration.ece(scores_QL, test.labels_QL), "train_cpu_s": trained.cpu_s, "best_epoch": trained.best_epoch}


def main() -> None:
    """Embeds once, trains per fold, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llms", default="", help="comma-separated; all where none is named")
    parser.add_argument("--most", type=int, help="take at most this many queries")
    parser.add_argument("--folds", type=int, default=3, choices=range(1, 6))
    arguments = parser.parse_args()
    data = recorded(arguments.folder, [name for name in arguments.llms.split(",") if name], arguments.most)
    texts = data.queries["text"].tolist()
    vectors = dict(zip(texts, embeddings.trained_on(train.load_encoder(params.load().train), texts), strict=True))
    runs = [compare(split(data, fold), lambda asked: np.stack([vectors[text] for text in asked]), fold) for fold in range(arguments.folds)]
    pooled = {name: np.concatenate([quality[name] for quality, _ in runs]) for name in runs[0][0]}
    ours = pooled[comparison.OURS]
    gains = {name: metrics.difference(ours, values_Q, resamples=1000) for name, values_Q in pooled.items() if name != comparison.OURS}
    report(
        {
            "queries": len(texts),
            "llms": list(data.roster),
            "quality": {name: round(float(np.nanmean(values_Q)), 4) for name, values_Q in pooled.items()},
            "ours_minus": {name: str(gain) for name, gain in gains.items()},
            **{name: round(statistics.mean(facts[name] for _, facts in runs), 4) for name in runs[0][1]},
        },
        ["torch", "scikit-learn", "numpy"],
    )


if __name__ == "__main__":
    main()
