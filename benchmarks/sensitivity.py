"""What the scorer's quality hangs on: `python -m benchmarks.sensitivity FOLDER [--tables labels,losses,...]`.

Each row changes one thing and trains again. Rows are judged by folds of the queries outside the test split, each scored by a scorer that
never saw it: nothing here reads the test split but the last table, once. Intervals: bootstrap over queries, paired with the default.

labels: a share of the known training and validation labels turned over (1 - label); what is judged stays true.
losses: each loss, the ridge start, the groups, the training itself, the calibration and the fallback left out.
settings: other values of the parameters, one at a time.
ranking: a share of the queries routed to a random LLM, and noise on the scores: what a worse ranking costs.
tuning: a random search over the parameters, chosen by the validation split's cross-entropy, every trial logged to MLflow (--mlflow URL,
by default a database under --out); then the best one and the default on the test split, once.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import figures, machine, recorded
from benchmarks.recorded import Outcomes
from pipelines import params, train
from registry.mlflow_door import Door, Step
from scorer import calibration, metrics, training
from scorer.interface import Floats
from scorer.start import Labels
from scorer.training import Embedded, Plan
from scorer.weights import Calibration

RESAMPLES = 2000
TABLES = ("labels", "losses", "settings", "ranking", "tuning")
NOISE = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
CORRUPTED = (0.0, 0.05, 0.1, 0.2, 0.4, 1.0)
SPREADS = (0.0, 0.25, 0.5, 1.0, 2.0)  # of the noise on logits
VALUES: dict[str, tuple[float, ...]] = {
    "sample_sample": (0.0, 1.0),
    "temperature": (0.03, 0.3, 1.0),
    "positives": (1, 5),
    "negatives": (1, 5),
    "groups": (4, 8, 32, 64),
    "ridge": (10.0, 30.0, 300.0, 1000.0),
    "dims": (16, 64, 256),
    "pseudo_labels": (1.0, 100.0),
    "softness": (0.02, 0.1),
}
SEARCHED: dict[str, tuple[float, ...]] = {
    "groups": (8, 12, 16, 24, 32, 48),
    "softness": (0.03, 0.05, 0.07, 0.1),
    "pseudo_labels": (3.0, 10.0, 30.0),
    "ridge": (20.0, 50.0, 100.0, 200.0),
    "learning_rate": (1e-4, 3e-4, 1e-3),
    "weight_decay": (3.0, 10.0, 30.0, 100.0),
    "sample_llm": (0.0, 0.3, 1.0),
    "sample_sample": (0.0, 0.2, 1.0),
}
SHRINKING = ("groups", "softness", "pseudo_labels", "ridge", "dims")


@dataclass(frozen=True, slots=True)
class Change:
    """One row: a plan, whether scores are calibrated, and the share of labels turned over."""

    name: str
    plan: Plan
    calibrated: bool = True
    noise: float = 0.0


def changed(plan: Plan, **values: Any) -> Plan:
    """`plan` with other values, those of its shrinkage among them."""
    shrinkage = {name: value for name, value in values.items() if name in SHRINKING}
    rest = {name: value for name, value in values.items() if name not in SHRINKING}
    return replace(plan, shrinkage=replace(plan.shrinkage, **shrinkage), **rest)


def fitted(seen: Outcomes, change: Change) -> tuple[training.Trained, Calibration]:
    """Trained on four fifths of `seen`, epoch chosen on half of the rest, calibrated on the other half."""
    place_Q = np.random.default_rng(1).random(len(seen.queries_QD))
    parts = [seen.where(keep_Q).embedded() for keep_Q in (place_Q < 0.8, (place_Q >= 0.8) & (place_Q < 0.9), place_Q >= 0.9)]
    fit, choose, fix = (turned_over(part, change.noise, seed) for seed, part in enumerate(parts))
    trained = training.train(seen.data.roster, fit, choose, change.plan)
    if not change.calibrated:
        return trained, Calibration.identity(len(seen.data.roster))
    return trained, calibration.fit(trained.weights.logits(fix.queries_QD), fix.labels_QL)


def turned_over(known: Embedded, share: float, seed: int) -> Embedded:
    """The same queries, each label with chance `share` replaced by 1 less it."""
    turned_QL = np.random.default_rng(seed).random(known.labels_QL.shape) < share
    return Embedded(known.queries_QD, np.where(turned_QL, 1 - known.labels_QL, known.labels_QL))


def scored(known: Outcomes, change: Change, folds: int) -> Floats:
    """scores_QL of every query by a scorer that never saw it."""
    fold_Q = np.random.default_rng(0).integers(folds, size=len(known.queries_QD))
    scores_QL = np.zeros(known.labels_QL.shape, dtype=np.float32)
    for fold in range(folds):
        trained, fixed = fitted(known.where(fold_Q != fold), change)
        scores_QL[fold_Q == fold] = fixed.probabilities(trained.weights.logits(known.queries_QD[fold_Q == fold]))
    return scores_QL


def table(known: Outcomes, changes: Iterable[Change], default_QL: Floats, folds: int) -> list[str]:
    """One row a change: quality, its difference to the default with interval, ECE and Brier score."""
    found = {}
    for change in track(list(changes), description="training"):
        usual = change.name == "default"
        scores_QL = default_QL if usual else scored(known, change, folds)
        found[change.name] = judged(scores_QL, None if usual else default_QL, known.labels_QL)
        print(markdown(found)[-1], flush=True)
    return markdown(found)


def judged(scores_QL: Floats, default_QL: Floats | None, labels_QL: Labels) -> dict[str, Any]:
    """The figures of one row. default_QL: the scores it is compared with, None for the default itself."""
    quality_Q = metrics.quality(scores_QL, labels_QL)
    against = "" if default_QL is None else metrics.difference(quality_Q, metrics.quality(default_QL, labels_QL), resamples=RESAMPLES)
    ece, brier = calibration.ece(scores_QL, labels_QL), calibration.brier(scores_QL, labels_QL)
    return {"quality": float(np.nanmean(quality_Q)), "against the default": against, "ECE": ece, "Brier": brier}


def markdown(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Judged rows as lines of Markdown."""
    return figures.table("changed", found).splitlines()


def by_labels(plan: Plan) -> list[Change]:
    """Label noise."""
    return [Change("default" if not share else f"{share:.0%} of labels turned over", plan, noise=share) for share in NOISE]


def by_losses(plan: Plan) -> list[Change]:
    """Each part left out."""
    return [
        Change("default", plan),
        Change("no sample-LLM loss", changed(plan, sample_llm=0.0)),
        Change("no sample-sample loss", changed(plan, sample_sample=0.0)),
        Change("no contrastive loss", changed(plan, sample_llm=0.0, sample_sample=0.0)),
        Change("no label loss", changed(plan, labels=0.0)),
        Change("no training (the start alone)", changed(plan, epochs=0)),
        Change("no ridge start", changed(plan, ridge=1e9)),
        Change("no groups (one for all)", changed(plan, groups=1)),
        Change("no calibration", plan, calibrated=False),
        Change("no fallback", changed(plan, far_share=0.0)),
    ]


def by_settings(plan: Plan) -> list[Change]:
    """Other values, one at a time."""
    return [
        Change("default", plan),
        *(Change(f"{name} {value:g}", changed(plan, **{name: value})) for name in VALUES for value in VALUES[name]),
    ]


def by_ranking(known: Outcomes, scores_QL: Floats) -> list[str]:
    """What routing some queries by lot, or by noisy scores, leaves of the quality; and whether one of the first three answers well."""
    dice, labels_QL = np.random.default_rng(0), known.labels_QL
    usual_Q = metrics.quality(scores_QL, labels_QL)
    logits_QL = np.log(np.clip(scores_QL, 1e-6, 1) / np.clip(1 - scores_QL, 1e-6, 1)).astype(np.float64)
    worse = {f"{share:.0%} of queries ranked by lot": _by_lot(logits_QL, share, dice) for share in CORRUPTED}
    worse |= {f"noise of {spread:g} on every logit": logits_QL + spread * dice.normal(size=logits_QL.shape) for spread in SPREADS}
    lines = ["| ranking | quality | against the default | best of the first three |", "|---|---|---|---|"]
    for name, ranked_QL in worse.items():
        quality_Q = metrics.quality(ranked_QL, labels_QL)
        first_QL = np.take_along_axis(labels_QL, np.argsort(-np.where(np.isnan(labels_QL), -np.inf, ranked_QL), axis=1)[:, :3], axis=1)
        gain = metrics.difference(quality_Q, usual_Q, resamples=RESAMPLES)
        lines.append(f"| {name} | {np.nanmean(quality_Q):.3f} | {gain} | {np.nanmean(np.nanmax(first_QL, axis=1)):.3f} |")
    return lines


def _by_lot(logits_QL: NDArray[np.float64], share: float, dice: np.random.Generator) -> NDArray[np.float64]:
    drawn_Q1 = dice.random((len(logits_QL), 1)) < share
    return np.where(drawn_Q1, dice.random(logits_QL.shape), logits_QL)


def tuned(parts: dict[str, Outcomes], plan: Plan, trials: int, door: Door) -> list[str]:
    """A random search: trials by validation cross-entropy, each one an MLflow run; then the best and the default on the test split."""
    from sklearn.model_selection import ParameterSampler

    def train_one(wanted: Plan) -> training.Trained:
        return training.train(parts["train"].data.roster, parts["train"].embedded(), parts["validation"].embedded(), wanted)

    validation = parts["validation"]
    found: list[tuple[float, dict[str, Any], training.Trained]] = []
    for values in [{}, *ParameterSampler({name: list(each) for name, each in SEARCHED.items()}, trials, random_state=0)]:
        trained = train_one(changed(plan, **values))
        loss = min(epoch.validation for epoch in trained.history)
        reached = float(np.nanmean(metrics.quality(trained.weights.logits(validation.queries_QD), validation.labels_QL)))
        steps = [Step("validation_loss", loss), Step("validation_quality", reached), Step("best_epoch", trained.best_epoch)]
        door.record_run(params=values, metrics=steps, tags={"search": machine.command()}, inputs=[], folders={})
        found.append((loss, values, trained))
        print(f"{len(found) - 1}: validation loss {loss:.4f}, quality {reached:.3f}, {values}", flush=True)
    best = min(found, key=lambda trial: trial[0])
    test = parts["test"]
    quality = [metrics.quality(trained.weights.logits(test.queries_QD), test.labels_QL) for trained in (found[0][2], best[2])]
    gain = metrics.difference(quality[1], quality[0], resamples=RESAMPLES)
    losses = sorted(loss for loss, _, _ in found[1:])
    return [
        f"{trials} trials, validation loss {losses[0]:.4f} to {losses[-1]:.4f}, the default {found[0][0]:.4f}.",
        f"Best: {', '.join(f'{name} {value:g}' for name, value in best[1].items()) or 'the default'}.",
        "",
        "| on the test split | quality | against the default |",
        "|---|---|---|",
        f"| default | {metrics.interval(quality[0], resamples=RESAMPLES)} | |",
        f"| best of the search | {metrics.interval(quality[1], resamples=RESAMPLES)} | {gain} |",
    ]


def main() -> None:
    """Reads, embeds, trains each row, prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--tables", type=recorded.names, default=TABLES, help=f"some of {', '.join(TABLES)}")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--mlflow", help="where trials are logged; a database under --out if not given")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/sensitivity"))
    given = parser.parse_args()
    known = recorded.read(recorded.wanted(given))
    plan = train.plan_of(params.load().train)
    seen = known.where(known.data.splits_Q != "test")
    shown = [
        f"`{machine.command(given.folder)}`",
        "",
        f"{len(known.data.roster)} LLMs, {len(seen.queries_QD)} queries outside the test split, {given.folds} folds.",
    ]
    for title, lines in _tables(given, known, seen, plan):
        shown += ["", f"**{title}**", "", *lines]
        machine.write(given.out, ["\n".join(shown)], {}, ["torch", "scikit-learn", "numpy"])
    print("\n".join(shown))


def _tables(given: argparse.Namespace, known: Outcomes, seen: Outcomes, plan: Plan) -> Iterable[tuple[str, list[str]]]:
    wanted = given.tables
    if set(wanted) != {"tuning"}:
        default_QL = scored(seen, Change("default", plan), given.folds)
    for name, changes in (("losses", by_losses(plan)), ("labels", by_labels(plan)), ("settings", by_settings(plan))):
        if name in wanted:
            yield name, table(seen, changes, default_QL, given.folds)
    if "ranking" in wanted:
        yield "ranking", by_ranking(seen, default_QL)
    if "tuning" in wanted:
        given.out.mkdir(parents=True, exist_ok=True)
        door = Door(given.mlflow or f"sqlite:///{(given.out / 'mlflow.db').absolute()}", "routemoa-scorer")
        yield "tuning", tuned({name: known.take(name) for name in ("train", "validation", "test")}, plan, given.trials, door)


if __name__ == "__main__":
    main()
