"""Trains a scorer on the assembled dataset and writes its artifact: `python -m pipelines.train` -> build/scorer, build/train.json."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixture.choose.posterior import AgreementPosterior
from pipelines import dataset, embeddings, fit_posterior, json_files, params, scorer_artifact, scorer_run, tags, training_parts
from pipelines.dataset import Dataset
from pipelines.executor import door
from pipelines.params import AUTO, EncoderChoice, Train
from pipelines.project import Project, stage_settings
from pipelines.recorded_calls import recorded_calls
from scorer.errors import RouteMoAError
from scorer.initialisation import Embedded, Shrinkage
from scorer.types import Floats

if TYPE_CHECKING:
    from pipelines.row_guard import Guarded
    from scorer.choosing import EncoderTrial, HeldOut, OfFold, Wanted
    from scorer.training import Plan
    from scorer.weights import Calibration, HeadWeights


def run(project: Project) -> dict[str, Any]:
    """Trains, writes build/scorer and build/train.json, and returns the content of train.json.

    Raises TrainingError where the labels do not suffice, and the errors of dataset, params and encoder.
    """
    from scorer import calibration, choosing, metrics, training

    began = time.process_time()
    settings = params.load(project.params).train
    data = dataset.load(project.dataset)
    jointly, by_row = training_parts.apart(data, settings.min_labels)
    parts = training_parts.split(jointly)
    choice, encoder_trials = chosen_encoder(settings, parts.train, project)
    encoder = embeddings.load_encoder(settings, choice)

    def with_features(part: Dataset) -> Floats:
        return embeddings.trained_on(encoder, part.queries["text"].tolist(), project.embeddings)

    # first and on their own: an embedding depends slightly on its batch, so a newcomer's queries must not share one
    seen = Embedded(with_features(parts.train), parts.train.labels_QL, parts.train.weights_QL, tags.of(parts.train))
    chosen = choosing.choose(seen, encoder.dims, wanted(settings), shrinkage_of(settings), settings.seed, spread=spread)

    def embed(part: Dataset) -> Floats:
        return chosen.fitting(with_features(part), encoder.dims)

    train_QD, held_out_QD = chosen.fitting(seen.queries_QD, encoder.dims), embed(parts.held_out)
    validation_Q = parts.held_out.splits_Q == "validation"
    trained = training.train(
        parts.roster,
        replace(seen, queries_QD=train_QD),
        Embedded(held_out_QD[validation_Q], parts.validation.labels_QL, parts.validation.weights_QL),
        replace(plan_of(settings), shrinkage=chosen.settings.of(shrinkage_of(settings))),
    )
    logits_CL = trained.weights.logits(held_out_QD[~validation_Q])
    calibrated = calibration.fit(logits_CL, parts.calibration.labels_QL, parts.calibration.weights_QL)
    weights, calibrated, rows = with_rows(trained.weights, calibrated, jointly, by_row, embed)
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
    encoder.text_features = chosen.settings.text_features
    manifest = scorer_artifact.write(
        project,
        parts,
        encoder,
        encoder_name=str(choice),
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
        "rows": {llm: row.as_json() for llm, row in rows.items()},
        "chosen": {**chosen.as_json(), "encoder": str(choice), "encoders_tried": [asdict(trial) for trial in encoder_trials]},
        "left_out": [llm for llm in data.roster if llm not in weights.roster],
        "history": [asdict(epoch) for epoch in trained.history],
    }
    json_files.write(project.training, report)
    return report


def chosen_encoder(settings: Train, training: Dataset, project: Project) -> tuple[EncoderChoice, "tuple[EncoderTrial, ...]"]:
    """Of the encoders that `train.encoder` names the one for these training queries, and what was tried; each embeds them all."""
    from scorer import choosing

    first, *others = settings.encoders
    if not others:
        return first, ()
    vectors = {}
    for each in settings.encoders:
        encoder = embeddings.load_encoder(settings, each)
        found_QD = embeddings.trained_on(encoder, training.queries["text"].tolist(), project.embeddings)
        vectors[str(each)] = np.ascontiguousarray(found_QD[:, : encoder.dims])
    seen = Embedded(vectors[str(first)], training.labels_QL, training.weights_QL, tags.of(training))
    name, trials = choosing.choose_encoder(vectors, seen, wanted(settings), shrinkage_of(settings), settings.seed, spread=spread)
    return next(each for each in settings.encoders if str(each) == name), trials


def spread(work: "HeldOut", ways_and_folds: Sequence[tuple[int, int]]) -> "Iterator[tuple[int, OfFold]]":
    """Cross-fitting, by the executor: a fold a shard."""
    return door.chosen().map(work, ways_and_folds, size=1)


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
) -> tuple["HeadWeights", "Calibration", dict[str, "Guarded"]]:
    """Appends a fitted row of the head for each LLM in `by_row`; existing rows do not change. Also returns what is known of each new row.

    Fitted on training and calibration queries: validation data choose between scorer versions, and shrink a row that makes choices worse.
    """
    from pipelines.row_guard import Validation, add_guarded
    from scorer.row_fit import TrainedScorer

    if not by_row.llms:
        return weights, calibration, {}
    old, new = (data.take("train", "calibration") for data in (jointly, by_row))
    labelled_Q = np.any(~np.isnan(np.column_stack([old.labels_QL, new.labels_QL])), axis=1)
    old, new = old.where(labelled_Q), new.where(labelled_Q)
    trained = TrainedScorer(weights, calibration, embed(old), old.labels_QL)
    judging = jointly.beside(by_row).take("validation").labelled()
    known_QL, new_QN = np.split(judging.labels_QL, [len(jointly.llms)], axis=1)
    return add_guarded(trained, new.roster, new.labels_QL, new.weights_QL, Validation(embed(judging), known_QL, new_QN))


def plan_of(settings: Train) -> "Plan":
    """The section `train` as the training loop wants it; the usual value where it says `auto`."""
    from scorer.training import Plan

    losses = ("positives", "negatives", "out_group", "sample_sample", "labels", "temperature")
    steps = ("seed", "epochs", "patience", "batch_size", "learning_rate", "weight_decay", "trust")
    return Plan(**{name: getattr(settings, name) for name in losses + steps}, shrinkage=shrinkage_of(settings))


def shrinkage_of(settings: Train) -> Shrinkage:
    """How strongly the start believes in what is common, by the section `train`; the usual value where it says `auto`."""
    names = ("tags", "groups", "softness", "pseudo_labels", "ridge", "dims")
    return Shrinkage(**{name: value for name in names if (value := getattr(settings, name)) != AUTO})


def wanted(settings: Train) -> "Wanted":
    """What the section `train` leaves to cross-validation."""
    from scorer.choosing import Wanted

    names = ("text_features", "tags", "groups", "ridge")
    return Wanted(**{name: value for name in names if (value := getattr(settings, name)) != AUTO})


def main() -> None:
    """Trains, and prints the figures of the training."""
    try:
        settings = stage_settings()
        with scorer_run.training(settings) as made:
            report = run(Project(settings.home))
            made(report["content_hash"])
    except RouteMoAError as exc:
        sys.exit(str(exc))
    joined = "".join(f", {llm} by its row on {row['labels']}" for llm, row in report["rows"].items())
    print(
        f"Trained a scorer for {', '.join(report['roster'])} on {report['training_labels']:.0f} labels{joined}: "
        f"best epoch {report['best_epoch']:.0f}, validation loss {report['validation_loss']:.4f}, ECE {report['validation_ece']:.3f}, "
        f"{report['cpu_s']['all']:.1f} CPU seconds. Encoder: {report['chosen']['encoder']}. Chosen: {report['chosen']['said']}."
    )


if __name__ == "__main__":
    main()
