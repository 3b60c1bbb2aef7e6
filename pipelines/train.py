"""Trains a scorer on the assembled dataset and writes its artifact: `python -m pipelines.train` -> build/scorer, build/train.json."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mixture.choose.posterior import AgreementPosterior
from pipelines import dataset, embeddings, fit_posterior, params
from pipelines.dataset import Dataset
from pipelines.params import Train
from scorer import text_features
from scorer.errors import RouteMoAError, TrainingError
from scorer.initialisation import Shrinkage
from scorer.types import Floats

if TYPE_CHECKING:
    from scorer.encoder import Encoder
    from scorer.export import Profile
    from scorer.manifest import Manifest
    from scorer.training import Plan
    from scorer.weights import Calibration, Weights

DATASET = Path("build/dataset")
SCORER = Path("build/scorer")
TRAIN = Path("build/train.json")
PACKAGED = "packaged:"
LEAST_KNOWN = 2  # a row is fitted beside the rows of others
MOST_REFERENCE = 2000  # queries of each kind in the drift profile: 1.5 MB each at 384 dims


@dataclass(frozen=True, slots=True)
class Parts:
    """The dataset's splits that training reads, for the LLMs trained together. Held out: calibration and validation."""

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
    whole, by_row = apart(data, settings.min_labels)
    parts = split(whole)
    encoder = load_encoder(settings)

    def embed(part: Dataset) -> Floats:
        return embeddings.trained_on(encoder, part.queries["text"].tolist(), home / embeddings.CACHE)

    # first, and without those only a newcomer answered: an embedding may round by its batch, and nobody's batch may change by a joining
    train_QD, held_QD = embed(parts.train), embed(parts.held)
    chosen = parts.held.splits_Q == "validation"
    trained = training.train(
        parts.roster,
        training.Embedded(train_QD, parts.train.labels_QL, parts.train.weights_QL),
        training.Embedded(held_QD[chosen], parts.validation.labels_QL, parts.validation.weights_QL),
        plan_of(settings),
    )
    logits_CL = trained.weights.logits(held_QD[~chosen])
    calibrated = calibration.fit(logits_CL, parts.calibration.labels_QL, parts.calibration.weights_QL)
    weights, calibrated, rows = with_rows(trained.weights, calibrated, whole, by_row, embed)
    held = _labelled(beside(whole, by_row).take("calibration", "validation"))
    scores_HL = calibrated.probabilities(weights.logits(embed(held)))
    evidence = answers_weighed(home, held, scores_HL)
    judged, scores_VL = held.take("validation"), scores_HL[held.splits_Q == "validation"]
    figures = {
        "best_epoch": float(trained.best_epoch),
        "validation_loss": min(epoch.validation for epoch in trained.history),
        "validation_ece": calibration.ece(scores_VL, judged.labels_QL),
        "validation_brier": calibration.brier(scores_VL, judged.labels_QL),
        "training_queries": float(len(parts.train.queries)),
        "training_labels": float((~np.isnan(parts.train.labels_QL)).sum()),
    }
    manifest = write_artifact(home, parts, encoder, weights=weights, calibration=calibrated, evidence=evidence, figures=figures)
    report = {
        **figures,
        "cpu_s": {"head": round(trained.cpu_s, 3), "all": round(time.process_time() - began, 3)},
        "content_hash": manifest.content_hash,
        "roster": list(weights.roster),
        "joined_by_row": rows,
        "left_out": [llm for llm in data.roster if llm not in weights.roster],
        "history": [_finite(asdict(epoch)) for epoch in trained.history],
    }
    (home / TRAIN).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return report


def answers_weighed(home: Path, held: Dataset, scores_HL: Floats) -> AgreementPosterior:
    """How this pool's answers are weighed in a mixture, fitted on the queries that calibrate and choose, not on those that train.

    Only answers of LLMs that can be called count, for a mixture hears no others; all do where fewer than two can.
    """
    served_L = np.array([llm.served for llm in held.llms])
    if served_L.sum() >= 2:
        held, scores_HL = columns(held, served_L), scores_HL[:, served_L]
    answered = fit_posterior.episodes(held, scores_HL, dataset.said(home / DATASET))
    return fit_posterior.fit(fit_posterior.partly(answered)) if answered else AgreementPosterior()


def apart(data: Dataset, min_labels: int) -> tuple[Dataset, Dataset]:
    """The LLMs to train together, and those that join by their row; those with too few training labels in neither.

    Where fewer than two would be trained together, all are. Raises TrainingError where no LLM has labels enough.
    """
    enough = with_labels(data, min_labels)
    by_row_L = np.array([llm.trained == "row" for llm in enough.llms])
    if by_row_L.any() and (~by_row_L).sum() < LEAST_KNOWN:
        names = ", ".join(llm.id for llm in enough.llms if llm.trained == "row")
        print(f"Trained whole, not by row: {names}; fewer than {LEAST_KNOWN} others have {min_labels} training labels.", file=sys.stderr)
        by_row_L[:] = False
    return columns(enough, ~by_row_L), columns(enough, by_row_L)


def with_labels(data: Dataset, min_labels: int) -> Dataset:
    """Only the LLMs with at least `min_labels` training labels; the others are named on stderr. Raises TrainingError where all are."""
    counts_L = (~np.isnan(data.take("train").labels_QL)).sum(axis=0)
    for llm, count in zip(data.roster, counts_L, strict=True):
        if count < min_labels:
            print(f"Left out of the roster: {llm} has {count} training labels, {min_labels} are needed.", file=sys.stderr)
    if (counts_L < min_labels).all():
        raise TrainingError(f"no LLM has {min_labels} training labels.", next_step="Answer and label more queries (`dvc repro label`).")
    return columns(data, counts_L >= min_labels)


def split(data: Dataset) -> Parts:
    """The splits that training reads, each without the queries that none of its LLMs is labelled on."""
    train, calibration, validation, held = (
        _labelled(data.take(*names)) for names in (("train",), ("calibration",), ("validation",), ("calibration", "validation"))
    )
    return Parts(data.roster, train, calibration, validation, held)


def with_rows(
    weights: "Weights", calibration: "Calibration", whole: Dataset, by_row: Dataset, embed: Callable[[Dataset], Floats]
) -> tuple["Weights", "Calibration", dict[str, int]]:
    """The trained scorer with the rows of the LLMs of `by_row` after its own, which stay as they are; and how many labels each had.

    Fitted on training and calibration queries: validation data choose between scorer versions.
    """
    from scorer.row_fit import Known, joined

    if not by_row.llms:
        return weights, calibration, {}
    known, new = (data.take("train", "calibration") for data in (whole, by_row))
    labelled_Q = np.any(~np.isnan(np.column_stack([known.labels_QL, new.labels_QL])), axis=1)
    known, new = known.where(labelled_Q), new.where(labelled_Q)
    seen = Known(weights, calibration, embed(known), known.labels_QL)
    weights, calibration = joined(seen, new.roster, new.labels_QL, weights_QN=new.weights_QL)
    return weights, calibration, dict(zip(new.roster, (~np.isnan(new.labels_QL)).sum(axis=0).tolist(), strict=True))


def beside(first: Dataset, second: Dataset) -> Dataset:
    """The LLMs of `first`, then those of `second`, on their common queries."""
    grids = ("labels_QL", "cost_QL", "latency_QL", "logprob_QL", *(("weights_QL",) if first.weights_QL is not None else ()))
    together: dict[str, Any] = {name: np.column_stack([getattr(first, name), getattr(second, name)]) for name in grids}
    return replace(first, llms=first.llms + second.llms, **together)


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
    return encoder.load(place, max_tokens=settings.max_tokens, text_features=settings.text_features)


def plan_of(settings: Train) -> "Plan":
    """The section `train` as the training loop wants it."""
    from scorer.training import Plan

    losses = ("positives", "negatives", "out_group", "sample_sample", "labels", "temperature")
    steps = ("seed", "epochs", "patience", "batch_size", "learning_rate", "weight_decay", "fallback_share")
    shrinkage = {name: getattr(settings, name) for name in ("groups", "softness", "pseudo_labels", "ridge", "dims")}
    return Plan(**{name: getattr(settings, name) for name in losses + steps}, shrinkage=Shrinkage(**shrinkage))


def write_artifact(
    home: Path,
    parts: Parts,
    encoder: "Encoder",
    *,
    weights: "Weights",
    calibration: "Calibration",
    evidence: AgreementPosterior,
    figures: dict[str, float],
) -> "Manifest":
    """build/scorer; its drift profile holds the queries as a server embeds them (int8), or serving itself would look like drift."""
    from scorer import export

    exported = embeddings.exported(encoder, home / embeddings.CACHE)
    served, whose = embeddings.as_a_server_has_it(encoder, exported)

    def seen(data: Dataset) -> tuple[Floats, Floats]:
        texts = data.queries["text"].tolist()
        queries_QD = embeddings.served(served, whose, texts, home / embeddings.CACHE)
        return queries_QD[:, : encoder.dims], calibration.probabilities(weights.logits(queries_QD))

    train, held = _sample(parts.train), _sample(parts.held)
    (queries_RD, scores_RL), (held_queries_HD, held_scores_HL) = seen(train), seen(held)
    profile: Profile = export.Profile(
        queries_RD=queries_RD,
        scores_RL=scores_RL,
        domains_R=train.queries["domain"].tolist(),
        held_queries_HD=held_queries_HD,
        held_scores_HL=held_scores_HL,
        held_domains_H=held.queries["domain"].tolist(),
    )
    name = params.load(home / "params.yaml").train.encoder
    return export.write(
        home / SCORER,
        exported=exported,
        weights=weights,
        calibration=calibration,
        answers=asdict(evidence),
        profile=profile,
        encoder={
            "name": name,
            "fingerprint": encoder.fingerprint(),
            "max_tokens": encoder.max_tokens,
            "dims": encoder.dims,
            "text_features": text_features.identity() if encoder.text_features else None,
        },
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
    rows = "".join(f", {llm} by its row on {count}" for llm, count in report["joined_by_row"].items())
    print(
        f"Trained a scorer for {', '.join(report['roster'])} on {report['training_labels']:.0f} labels{rows}: "
        f"best epoch {report['best_epoch']:.0f}, validation loss {report['validation_loss']:.4f}, ECE {report['validation_ece']:.3f}, "
        f"{report['cpu_s']['all']:.1f} CPU seconds."
    )


if __name__ == "__main__":
    main()
