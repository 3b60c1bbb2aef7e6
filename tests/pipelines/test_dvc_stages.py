"""What dvc.yaml promises to those who use DVC."""

from pathlib import Path

from ruamel.yaml import YAML

STAGES = YAML(typ="safe").load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]


def test_an_experiment_keeps_its_metrics() -> None:
    """build/ is ignored by git, so metrics that DVC does not cache are gone once the next experiment has run."""
    metrics = {path: options for stage in STAGES.values() for metric in stage.get("metrics", []) for path, options in metric.items()}
    assert set(metrics) == {"build/train.json", "build/metrics.json"}
    assert all(options.get("cache", True) for options in metrics.values())
