"""Which figures of an evaluation come first: ten for `dvc metrics show`, some thirty for an MLflow run; metrics.json has all.

The names are those of metrics.json, SPLIT.ROW.FIGURE with `.low` and `.high` beside it; a figure that it lacks is left out.
"""

from collections.abc import Mapping
from typing import Any

TEN = {
    "quality": "test.ours.quality",
    "quality_of_best_single": "test.best_single.quality",
    "quality_of_oracle": "test.oracle.quality",
    "gain_over_best_single": "test.gain_over_best_single",
    "gain_low": "test.gain_over_best_single.low",
    "gain_high": "test.gain_over_best_single.high",
    "usd_per_query": "test.ours.cost_usd",
    "calibration_error": "test.ours.ece",
    "gain_out_of_domain": "ood.gain_over_best_single",
    "int8_same_choice": "int8.same_choice",
}
OF_A_RUN = (
    *("test.queries", "test.ours.quality", "test.ours.quality.low", "test.ours.quality.high", "test.ours.regret", "test.ours.hit1_split"),
    *("test.ours.cost_usd", "test.ours.ece", "test.ours.brier"),
    *("test.best_single.quality", "test.best_single.cost_usd", "test.cheapest.quality", "test.random.quality", "test.oracle.quality"),
    *("test.gain_over_best_single", "test.gain_over_best_single.low", "test.gain_over_best_single.high"),
    *("validation.ours.quality", "validation.gain_over_best_single"),
    *("ood.queries", "ood.ours.quality", "ood.gain_over_best_single"),
    "int8.same_choice",
)
OF_TRAINING = ("best_epoch", "validation_loss", "validation_ece", "training_queries", "training_labels", "cpu_s.all")
OF_THE_GATE = ("queries", "quality", "overall.difference", "overall.low", "overall.high", "ece", "decision_ms")


def ten(metrics: Mapping[str, float]) -> dict[str, float]:
    """The figures of `TEN` by their short names, six digits each."""
    return {short: float(f"{metrics[name]:.6g}") for short, name in TEN.items() if name in metrics}


def of_a_run(metrics: Mapping[str, Any]) -> dict[str, float]:
    """An evaluation's headline, `/` between the parts of a name, by which MLflow groups."""
    return {_grouped(name): float(metrics[name]) for name in OF_A_RUN if name in metrics}


def of_training(train: Mapping[str, Any]) -> dict[str, float]:
    """A training's headline, from train.json."""
    found = {name: _at(train, name.split(".")) for name in OF_TRAINING}
    return {f"train/{_grouped(name)}": float(value) for name, value in found.items() if value is not None}


def of_the_gate(figures: Mapping[str, float]) -> dict[str, float]:
    """A gate's headline."""
    return {f"gate/{_grouped(name)}": float(figures[name]) for name in OF_THE_GATE if name in figures}


def _grouped(name: str) -> str:
    return name.replace(".", "/")


def _at(tree: Any, path: list[str]) -> Any:
    """The value at `path`, None where the tree does not have it."""
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree
