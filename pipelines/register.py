"""Registers the trained scorer in MLflow as `challenger`: `python -m pipelines.register` (same content, same version)."""

import sys
from collections.abc import Sequence

from pipelines import json_files, params, review, scorer_run
from pipelines.project import Project, stage_settings
from registry import lineage, versions
from registry.settings import Settings
from registry.version import Version
from registry.versions import Record
from scorer.errors import RouteMoAError


def register(settings: Settings) -> Version:
    """The version of what the pipeline built in `settings.home`; its number and content are written to registered.json."""
    project = Project(settings.home)
    parsed, traced = params.load(project.params), lineage.trace(project.home, settings.pool_file)
    train = json_files.read(project.training, "train")

    def record(existing: Sequence[Version], roster: Sequence[str]) -> Record:
        newcomers = [llm for llm in roster if not existing or llm not in existing[0].roster]
        return Record(
            run_id=scorer_run.begun(settings),
            reason=scorer_run.reason(),
            content=review.content(project, traced, newcomers),
            validation=review.broken_expectations(project),
            tags=lineage.source(project.home),
        )

    version = versions.register(
        project.scorer,
        project.evaluation,
        metrics=json_files.read(project.metrics, "evaluate"),
        train=train,
        lineage=traced,
        params={"train": parsed.train.model_dump(), "assemble": parsed.assemble.model_dump()},
        record=record,
        settings=settings,
    )
    written = {"version": version.version, "content_hash": version.content_hash, "roster": list(version.roster), "run_id": version.run_id}
    json_files.write(project.registered, written)
    return version


def main() -> None:
    """Registers, and says where to look."""
    settings = stage_settings()
    try:
        with scorer_run.noting_failure(settings, "register"):
            version = register(settings)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    print(f"Scorer version {version.version}{aliases}: {settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{version.version}")


if __name__ == "__main__":
    main()
