"""Trains a scorer on the assembled dataset and writes its artifact: `python -m pipelines.train` -> build/scorer, build/train.json."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixture.choose.posterior import AgreementPosterior
from pipelines import dataset, embeddings, fit_posterior, json_files, params, scorer_artifact, scorer_run, training_parts
from pipelines.dataset import Dataset
from pipelines.params import Train
from pipelines.project import Project, stage_settings
from pipelines.recorded_calls import recorded_calls
from scorer.errors import RouteMoAError
from scorer.initialisation import Shrinkage
from scorer.types import Floats

if TYPE_CHECKING:
    from scorer.training import Plan
    from scorer.weights import Calibration, HeadWeights


def run(project: Project) -> dict[str, Any]:
    """Trains, writes build/scorer and build/train.json, and returns the content of train.json.

    Raises TrainingError where the labels do not suffice, and the errors of dataset, params and encoder.
    """
    from scorer import calibration, metrics, training

    began = time.process_time()
    settings = params.load(project.params).train
    data = dataset.load(project.dataset)
    jointly, by_row = training_parts.apart(data, settings.min_labels)
    parts = training_parts.split(jointly)
    encoder = embeddings.load_encoder(settings)

    def embed(part: Dataset) -> Floats:
        return embeddings.trained_on(encoder, part.queries["text"].tolist(), project.embeddings)

    # first and on their own: an embedding depends slightly on its batch, so a newcomer's queries must not share one
    train_QD, held_out_QD = embed(parts.train), embed(parts.held_out)
    validation_Q = parts.held_out.splits_Q == "validation"
    trained = training.train(
        parts.roster,
        training.Embedded(train_QD, parts.train.labels_QL, parts.train.weights_QL),
        training.Embedded(held_out_QD[validation_Q], parts.validation.labels_QL, parts.validation.weights_QL),
        plan_of(settings),
    )
    logits_CL = trained.weights.logits(held_out_QD[~validation_Q])
    calibrated = calibration.fit(logits_CL, parts.calibration.labels_QL, parts.calibration.weights_QL)
    weights, calibrated, row_labels = with_rows(trained.weights, calibrated, jointly, by_row, embed)
    held_out = jointly.beside(by_row).take("calibration", "validation").labelled()
    scores_HL = calibrated.probabilities(weights.logits(embed(held_out)))
    validation, scores_VL = held_out.take("validation"), scores_HL[held_out.splits_Q == "validation"]
    figures = {
        "best_epoch": float(trained.best_epoch),
        "validation_loss": min(epoch.validation for epoch in trained.history),
        "validation_ece": metrics.calibration_error(scores_VL, validation.labels_QL),
        "validation_brier": metrics.brier(scores_VL, validation.labels_QL),
        "training_queries": float(len(parts.train.queries)),
        "training_labels": float((~np.isnan(parts.train.labels_QL)).sum()),
    }
    measured = data.take("train", "calibration").queries["query_id"]
    manifest = scorer_artifact.write(
        project,
        parts,
        encoder,
        encoder_name=settings.encoder_name,
        weights=weights,
        calibration=calibrated,
        posterior=answer_posterior(project.dataset, held_out, scores_HL),
        recorded_calls=recorded_calls(project.dataset, weights.roster, measured),
        metrics=figures,
    )
    report = {
        **figures,
        "cpu_s": {"head": round(trained.cpu_s, 3), "all": round(time.process_time() - began, 3)},
        "content_hash": manifest.content_hash,
        "roster": list(weights.roster),
        "joined_by_row": row_labels,
        "left_out": [llm for llm in data.roster if llm not in weights.roster],
        "history": [asdict(epoch) for epoch in trained.history],
    }
    json_files.write(project.training, report)
    return report


def answer_posterior(folder: Path, held_out: Dataset, scores_HL: Floats) -> AgreementPosterior:
    """How a mixture of this pool weighs answers, fitted on the queries that calibrate and choose, not on those that train.

    folder: the dataset's, for the final answers. Only answers of LLMs that can be called count, for a mixture sees no others; all do where
    fewer than two can.
    """
    served_L = np.array([llm.served for llm in held_out.llms])
    if served_L.sum() >= 2:
        held_out, scores_HL = held_out.columns(served_L), scores_HL[:, served_L]
    episodes = fit_posterior.episodes(held_out, scores_HL, dataset.final_answers(folder))
    return fit_posterior.fit(fit_posterior.partly(episodes)) if episodes else AgreementPosterior()


def with_rows(
    weights: "HeadWeights", calibration: "Calibration", jointly: Dataset, by_row: Dataset, embed: Callable[[Dataset], Floats]
) -> tuple["HeadWeights", "Calibration", dict[str, int]]:
    """Appends a fitted row of the head for each LLM in `by_row`; existing rows do not change. Also returns each new LLM's label count.

    Fitted on training and calibration queries: validation data choose between scorer versions.
    """
    from scorer.row_fit import TrainedScorer, add_rows

    if not by_row.llms:
        return weights, calibration, {}
    old, new = (data.take("train", "calibration") for data in (jointly, by_row))
    labelled_Q = np.any(~np.isnan(np.column_stack([old.labels_QL, new.labels_QL])), axis=1)
    old, new = old.where(labelled_Q), new.where(labelled_Q)
    trained = TrainedScorer(weights, calibration, embed(old), old.labels_QL)
    weights, calibration = add_rows(trained, new.roster, new.labels_QL, weights_QN=new.weights_QL)
    return weights, calibration, dict(zip(new.roster, (~np.isnan(new.labels_QL)).sum(axis=0).tolist(), strict=True))


def plan_of(settings: Train) -> "Plan":
    """The section `train` as the training loop wants it."""
    from scorer.training import Plan

    losses = ("positives", "negatives", "out_group", "sample_sample", "labels", "temperature")
    steps = ("seed", "epochs", "patience", "batch_size", "learning_rate", "weight_decay", "fallback_share")
    shrinkage = {name: getattr(settings, name) for name in ("groups", "softness", "pseudo_labels", "ridge", "dims")}
    return Plan(**{name: getattr(settings, name) for name in losses + steps}, shrinkage=Shrinkage(**shrinkage))


def main() -> None:
    """Trains, and prints the figures of the training."""
    try:
        settings = stage_settings()
        with scorer_run.training(settings) as made:
            report = run(Project(settings.home))
            made(report["content_hash"])
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
