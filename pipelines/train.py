"""Trains a scorer on the assembled dataset and writes its artifact: `python -m pipelines.train` -> build/scorer, build/train.json."""

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines import dataset, embeddings, params
from pipelines.dataset import Dataset
from pipelines.params import Train
from scorer.errors import RouteMoAError, TrainingError
from scorer.interface import Floats
from scorer.start import Shrinkage

if TYPE_CHECKING:
    from scorer.artifact import Manifest
    from scorer.encoder import Encoder
    from scorer.export import Profile
    from scorer.training import Plan, Trained
    from scorer.weights import Calibration

DATASET = Path("build/dataset")
SCORER = Path("build/scorer")
TRAIN = Path("build/train.json")
PACKAGED = "packaged:"
MOST_REFERENCE = 2000  # queries of each kind in the drift profile: 1.5 MB each at 384 dims


@dataclass(frozen=True, slots=True)
class Parts:
    """The dataset's splits that training reads, for the LLMs of the roster. Held out: calibration and validation."""

    roster: tuple[str, ...]
    train: Dataset
    calibration: Dataset
    validation: Dataset
    held: Dataset


def run(home: Path = Path()) -> dict[str, Any]:
    """Trains, writes build/scorer and build/train.json under `home`, and returns what train.json says.

    Raises TrainingError where the labels do not suffice, and the errors of dataset, params and encoder.
    """
    from scorer import calibration, training

    began = time.process_time()
    settings = params.load(home / "params.yaml").train
    data = dataset.load(home / DATASET)
    parts = split(data, settings.min_labels)
    encoder = load_encoder(settings)
    cache = home / embeddings.CACHE
    train_QD, held_QD = (embeddings.trained_on(encoder, part.queries["text"].tolist(), cache) for part in (parts.train, parts.held))
    chosen = parts.held.splits_Q == "validation"
    trained = training.train(
        parts.roster,
        training.Embedded(train_QD, parts.train.labels_QL, parts.train.weights_QL),
        training.Embedded(held_QD[chosen], parts.validation.labels_QL, parts.validation.weights_QL),
        plan_of(settings),
    )
    logits_CL = trained.weights.logits(held_QD[~chosen])
    calibrated = calibration.fit(logits_CL, parts.calibration.labels_QL, parts.calibration.weights_QL)
    scores_VL = calibrated.probabilities(trained.weights.logits(held_QD[chosen]))
    figures = {
        "best_epoch": float(trained.best_epoch),
        "validation_loss": min(epoch.validation for epoch in trained.history),
        "validation_ece": calibration.ece(scores_VL, parts.validation.labels_QL),
        "validation_brier": calibration.brier(scores_VL, parts.validation.labels_QL),
        "training_queries": float(len(parts.train.queries)),
        "training_labels": float((~np.isnan(parts.train.labels_QL)).sum()),
    }
    manifest = write_artifact(home, parts, encoder, trained=trained, calibration=calibrated, figures=figures)
    report = {
        **figures,
        "cpu_s": {"head": round(trained.cpu_s, 3), "all": round(time.process_time() - began, 3)},
        "content_hash": manifest.content_hash,
        "roster": list(parts.roster),
        "left_out": [llm for llm in data.roster if llm not in parts.roster],
        "history": [_finite(asdict(epoch)) for epoch in trained.history],
    }
    (home / TRAIN).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return report


def split(data: Dataset, min_labels: int) -> Parts:
    """The splits for the LLMs with at least `min_labels` training labels; the others are named on stderr. Raises TrainingError."""
    counts_L = (~np.isnan(data.take("train").labels_QL)).sum(axis=0)
    keep_L = counts_L >= min_labels
    for llm, count in zip(data.roster, counts_L, strict=True):
        if count < min_labels:
            print(f"Left out of the roster: {llm} has {count} training labels, {min_labels} are needed.", file=sys.stderr)
    if not keep_L.any():
        raise TrainingError(f"no LLM has {min_labels} training labels.", next_step="Answer and label more queries (`dvc repro label`).")
    names = ("train", "calibration", "validation")
    train, calibration, validation = (_labelled(columns(data.take(name), keep_L)) for name in names)
    return Parts(train.roster, train, calibration, validation, _labelled(columns(data.take("calibration", "validation"), keep_L)))


def columns(data: Dataset, keep_L: NDArray[np.bool_]) -> Dataset:
    """`data` with only these LLMs."""
    return Dataset(
        queries=data.queries,
        llms=tuple(llm for llm, keep in zip(data.llms, keep_L, strict=True) if keep),
        labels_QL=data.labels_QL[:, keep_L],
        cost_QL=data.cost_QL[:, keep_L],
        latency_QL=data.latency_QL[:, keep_L],
        logprob_QL=data.logprob_QL[:, keep_L],
        splits_Q=data.splits_Q,
        weights_QL=None if data.weights_QL is None else data.weights_QL[:, keep_L],
    )


def _labelled(data: Dataset) -> Dataset:
    """Only queries somebody has a label for: the others teach nothing and cost an embedding."""
    return data.where(np.any(~np.isnan(data.labels_QL), axis=1))


def load_encoder(settings: Train) -> "Encoder":
    """The encoder that `train.encoder` names; `packaged:NAME` is one of pipelines/packages.yaml."""
    from pipelines import packages
    from scorer import encoder

    name = settings.encoder
    place = packages.encoder_folder(name.removeprefix(PACKAGED)) if name.startswith(PACKAGED) else name
    return encoder.load(place, max_tokens=settings.max_tokens)


def plan_of(settings: Train) -> "Plan":
    """The section `train` as the training loop wants it."""
    from scorer.training import Plan

    losses = ("positives", "negatives", "out_group", "sample_sample", "labels", "temperature")
    steps = ("seed", "epochs", "patience", "batch_size", "learning_rate", "weight_decay")
    shrinkage = {name: getattr(settings, name) for name in ("groups", "softness", "pseudo_labels", "ridge", "dims")}
    return Plan(**{name: getattr(settings, name) for name in losses + steps}, shrinkage=Shrinkage(**shrinkage))


def write_artifact(
    home: Path, parts: Parts, encoder: "Encoder", *, trained: "Trained", calibration: "Calibration", figures: dict[str, float]
) -> "Manifest":
    """build/scorer; its drift profile holds the queries as a server embeds them (int8), or serving itself would look like drift."""
    from scorer import artifact, export, runtime

    exported = embeddings.exported(encoder, home / embeddings.CACHE)
    graph = exported / artifact.ENCODERS["int8"]
    tokenizer = (exported / artifact.TOKENIZER).read_bytes()
    served = runtime.OnnxEncoder(graph.read_bytes(), tokenizer, max_tokens=encoder.max_tokens)
    whose = embeddings.identity(artifact.sha256(graph), artifact.sha256(exported / artifact.TOKENIZER), encoder.max_tokens)

    def seen(data: Dataset) -> tuple[Floats, Floats]:
        texts = data.queries["text"].tolist()
        queries_QD = embeddings.served(served, whose, texts, home / embeddings.CACHE)
        return queries_QD, calibration.probabilities(trained.weights.logits(queries_QD))

    train, held = _sample(parts.train), _sample(parts.held)
    (queries_RD, scores_RL), (held_queries_HD, held_scores_HL) = seen(train), seen(held)
    profile: Profile = export.Profile(
        queries_RD=queries_RD,
        scores_RL=scores_RL,
        domains_R=train.queries["domain"].tolist(),
        query_ids_R=train.queries["query_id"].tolist(),
        held_queries_HD=held_queries_HD,
        held_scores_HL=held_scores_HL,
        held_domains_H=held.queries["domain"].tolist(),
        held_query_ids_H=held.queries["query_id"].tolist(),
    )
    name = params.load(home / "params.yaml").train.encoder
    return export.write(
        home / SCORER,
        exported=exported,
        weights=trained.weights,
        calibration=calibration,
        profile=profile,
        encoder={"name": name, "fingerprint": encoder.fingerprint(), "max_tokens": encoder.max_tokens, "dims": encoder.dims},
        data_hash=data_hash(home / DATASET),
        git_commit=git_commit(home),
        metrics=figures,
    )


def _sample(data: Dataset) -> Dataset:
    """At most MOST_REFERENCE queries, always the same ones."""
    if len(data.queries) <= MOST_REFERENCE:
        return data
    keep_Q = np.zeros(len(data.queries), dtype=bool)
    keep_Q[np.random.default_rng(0).permutation(len(keep_Q))[:MOST_REFERENCE]] = True
    return data.where(keep_Q)


def data_hash(folder: Path) -> str:
    """sha256 over the dataset's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def git_commit(home: Path) -> str:
    """The commit the code is at, empty outside a repository."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=home, capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def _finite(row: dict[str, float]) -> dict[str, float]:
    """Without the numbers JSON has no word for (epoch 0 has no training loss)."""
    return {name: value for name, value in row.items() if np.isfinite(value)}


def main() -> None:
    """Trains and says what came of it."""
    try:
        report = run()
    except RouteMoAError as exc:
        sys.exit(str(exc))
    print(
        f"Trained a scorer for {', '.join(report['roster'])} on {report['training_labels']:.0f} labels: "
        f"best epoch {report['best_epoch']:.0f}, validation loss {report['validation_loss']:.4f}, ECE {report['validation_ece']:.3f}, "
        f"{report['cpu_s']['all']:.1f} CPU seconds."
    )


if __name__ == "__main__":
    main()
