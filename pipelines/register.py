"""Registers the trained scorer in MLflow as `challenger`: `python -m pipelines.register` (same content, same version)."""

import json
import sys
from pathlib import Path
from typing import Any

from pipelines import params
from pipelines.errors import PipelineError
from registry import lineage, versions
from registry.settings import Settings
from registry.version import Version
from scorer.atomic_write import replacing
from scorer.errors import RouteMoAError

SCORER = Path("build/scorer")
EVALUATION = Path("build/evaluation")
METRICS = Path("build/metrics.json")
TRAIN = Path("build/train.json")
REGISTERED = Path("build/registered.json")


def register(settings: Settings) -> Version:
    """The version of what the pipeline built in `settings.home`; its number and content are written to registered.json."""
    home = settings.home
    parsed = params.load(home / "params.yaml")
    version = versions.register(
        home / SCORER,
        home / EVALUATION,
        metrics=read_json(home / METRICS, "evaluate"),
        train=read_json(home / TRAIN, "train"),
        lineage=lineage.trace(home, settings.pool_file),
        params={"train": parsed.train.model_dump(), "assemble": parsed.assemble.model_dump()},
        settings=settings,
    )
    written = {"version": version.version, "content_hash": version.content_hash, "roster": list(version.roster), "run_id": version.run_id}
    write_json(home / REGISTERED, written)
    return version


def read_json(path: Path, stage: str) -> dict[str, Any]:
    """The object in the file that `stage` wrote. Raises PipelineError."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise PipelineError(f"{path}: cannot be read ({exc}).", next_step=f"Run `dvc repro {stage}`.") from exc
    if not isinstance(written, dict):
        raise PipelineError(f"{path}: a {type(written).__name__}, not an object.", next_step=f"Run `dvc repro {stage}`.")
    return written


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes `content` by atomic rename."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Registers, and says where to look."""
    settings = Settings()
    try:
        version = register(settings)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    print(f"Scorer version {version.version}{aliases}: {settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{version.version}")


if __name__ == "__main__":
    main()
